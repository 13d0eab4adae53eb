"""The lease on a scope's background worker: who runs as the one job that a bench starts when no daemon is alive.

It is `pending` from the moment somebody asks for a job until that job begins, and `held` while the job takes tasks.
Both run out by themselves, so that whatever dies leaves a lease that the next reader takes. A holder that leaves does
so in one step with the look at the queue: a task is either seen by it, or its START comes later and finds no lease.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from typing import Any, Final, Literal

from redis.exceptions import RedisError

from ai_assistant.streams.keys import PREFIX
from ai_assistant.streams.script import Script
from ai_assistant.streams.tasks import Tasks

log = logging.getLogger("ai_assistant.lease")

HELD_MS = 10_000
"""A holder that was killed is replaced after this."""
PENDING_MS = 10_000
"""A job that did not begin within this is looked for in the job queue, and asked for again when it is not there."""

Claim = Literal["mine", "held", "served"]
"""`held`: another job has it; `served`: a daemon lives."""

# A hash: token, state (pending or held), until (ms), next (the token of the successor that was asked for)
# Redis forgets it a day after its last change.
COMMON = """
local function served(workers, info, after)
  for _, w in ipairs(redis.call('ZRANGEBYSCORE', workers, now() - tonumber(after), '+inf')) do
    local said = redis.call('HGET', info, w)
    if said then
      local ok, it = pcall(cjson.decode, said)
      if ok and type(it) == 'table' and it.kind ~= 'job' and not it.stopping then return true end
    end
  end
  return false
end
local function put(lease, token, state, ms)
  redis.call('DEL', lease)
  redis.call('HSET', lease, 'token', token, 'state', state, 'until', now() + tonumber(ms))
  redis.call('EXPIRE', lease, 86400)
end
"""

# KEYS lease queue unsaved workers info   ARGV 1 token 2 pending ms 3 dead after ms 4 wanted: 1 whatever waits
# returns {'idle'} nothing waits, {'leased'}, {'served'} a daemon lives, {'taken'} ask for a job with the token, or
# {'late', token} the job that was asked for has not begun in time
WAKE: Final = Script(
    COMMON
    + """
local t = now()
if ARGV[4] ~= '1' and redis.call('XLEN', KEYS[2]) == 0 and redis.call('ZCOUNT', KEYS[3], '-inf', t) == 0 then
  return {'idle'}
end
local l = redis.call('HMGET', KEYS[1], 'token', 'state', 'until')
if l[1] and tonumber(l[3]) > t then return {'leased'} end
if served(KEYS[4], KEYS[5], ARGV[3]) then return {'served'} end
if l[1] and l[2] == 'pending' then return {'late', l[1]} end
put(KEYS[1], ARGV[1], 'pending', ARGV[2])
return {'taken'}
"""
)

# KEYS lease   ARGV 1 the late token 2 its successor, or the same again 3 pending ms
# returns 1 when nobody was quicker
REPLACE: Final = Script(
    COMMON
    + """
local l = redis.call('HMGET', KEYS[1], 'token', 'state')
if l[1] ~= ARGV[1] or l[2] ~= 'pending' then return 0 end
put(KEYS[1], ARGV[2], 'pending', ARGV[3])
return 1
"""
)

# KEYS lease workers info   ARGV 1 token 2 held ms 3 dead after ms 4 begin: 1 may follow a holder that hands over
# returns 'mine', 'held' or 'served'. Whoever finds no holder takes the lease: a holder that Redis forgot goes on, and
# of several jobs that were asked for the first to begin is it
HOLD: Final = Script(
    COMMON
    + """
local l = redis.call('HMGET', KEYS[1], 'token', 'state', 'until', 'next')
local mine = l[1] == ARGV[1]
local other = l[1] and not mine and l[2] == 'held' and tonumber(l[3]) > now()
if other and not (ARGV[4] == '1' and l[4]) then return 'held' end
if served(KEYS[2], KEYS[3], ARGV[3]) then
  if mine then redis.call('DEL', KEYS[1]) end
  return 'served'
end
if mine and l[2] == 'held' then
  redis.call('HSET', KEYS[1], 'until', now() + tonumber(ARGV[2]))
else
  put(KEYS[1], ARGV[1], 'held', ARGV[2])
end
return 'mine'
"""
)

# KEYS lease   ARGV 1 token 2 successor
APPOINT: Final = Script(
    """
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'next', ARGV[2])
return 1
"""
)

# KEYS lease queue unsaved   ARGV 1 token 2 whether conversations that could not be written count
# returns 1 gone, 0 there is work
LEAVE: Final = Script(
    """
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return 1 end
if redis.call('XLEN', KEYS[2]) > 0 then return 0 end
if ARGV[2] == '1' and redis.call('ZCARD', KEYS[3]) > 0 then return 0 end
redis.call('DEL', KEYS[1])
return 1
"""
)

# KEYS lease queue   ARGV 1 token 2 successor 3 pending ms 4 always
# returns 1 when a job with the successor's token is to be asked for. One that was appointed was asked for already
RELEASE: Final = Script(
    COMMON
    + """
local l = redis.call('HMGET', KEYS[1], 'token', 'next')
if l[1] ~= ARGV[1] then return 0 end
if l[2] then
  put(KEYS[1], l[2], 'pending', ARGV[3])
  return 0
end
if ARGV[4] == '1' or redis.call('XLEN', KEYS[2]) > 0 then
  put(KEYS[1], ARGV[2], 'pending', ARGV[3])
  return 1
end
redis.call('DEL', KEYS[1])
return 0
"""
)

# KEYS lease   ARGV 1 token
GIVE_BACK: Final = Script(
    """
local l = redis.call('HMGET', KEYS[1], 'token', 'state')
if l[1] ~= ARGV[1] or l[2] ~= 'pending' then return 0 end
return redis.call('DEL', KEYS[1])
"""
)


def new_token() -> str:
    """The name of a job that is asked for; no secret."""
    return uuid.uuid4().hex


class Lease:
    """The lease of one scope. Its calls raise redis-py's errors, and OSError."""

    def __init__(self, tasks: Tasks, *, held_ms: int = HELD_MS, pending_ms: int = PENDING_MS):
        self._tasks = tasks
        self._held_ms = held_ms
        self._pending_ms = pending_ms
        self.key = f"{PREFIX}:{tasks.keys.scope}:lease"

    def wake(self, enqueue: Callable[[str], Any], is_queued: Callable[[str], bool], *, is_wanted: bool = False) -> bool:
        """Asks for a job where tasks wait, or (`is_wanted`) something else does, and nobody is there; whether it did.

        `enqueue` puts a job with this token into the job queue, `is_queued` tells whether one still waits there. What
        `enqueue` raises is raised again, the lease having been given back.
        """
        keys, token = self._tasks.keys, new_token()
        state, *late = self._tasks.run(
            WAKE,
            [self.key, keys.queue, keys.unsaved, keys.workers, keys.worker_info],
            [token, self._pending_ms, self._tasks.dead_after_ms, int(is_wanted)],
        )
        if state == b"late" and not self._replace(late[0].decode(), token, is_queued):
            return False
        if state not in (b"late", b"taken"):
            return False
        self._ask(token, enqueue)
        return True

    def _replace(self, late: str, token: str, is_queued: Callable[[str], bool]) -> bool:
        waits = is_queued(late)  # all of the bench's job workers are busy: it must not be asked for twice
        replaced = self._tasks.run(REPLACE, [self.key], [late, late if waits else token, self._pending_ms])
        return bool(replaced) and not waits

    def _ask(self, token: str, enqueue: Callable[[str], Any]) -> None:
        try:
            enqueue(token)
        except BaseException:
            self.give_back(token)
            raise

    def hold(self, token: str, *, begin: bool = False) -> Claim:
        """Takes the lease, or renews it. `begin`: a job that begins; it may follow a holder that
        has appointed a successor, whichever that was."""
        keys = self._tasks.keys
        args = [token, self._held_ms, self._tasks.dead_after_ms, int(begin)]
        return self._tasks.run(HOLD, [self.key, keys.workers, keys.worker_info], args).decode()

    def appoint(self, token: str, successor: str, enqueue: Callable[[str], Any]) -> bool:
        """Asks for the job that follows the holder; it takes over as soon as it begins. False when `token` does not
        hold the lease any more."""
        if not self._tasks.run(APPOINT, [self.key], [token, successor]):
            return False
        try:
            enqueue(successor)
        except BaseException:
            self._tasks.client.hdel(self.key, "next")
            raise
        return True

    def leave(self, token: str, *, mind_unsaved: bool = True) -> bool:
        """Gives the lease up unless there is work: tasks in the queue, or (`mind_unsaved`) conversations that could
        not be written yet."""
        keys = self._tasks.keys
        return bool(self._tasks.run(LEAVE, [self.key, keys.queue, keys.unsaved], [token, int(mind_unsaved)]))

    def release(self, token: str, enqueue: Callable[[str], Any], *, always: bool = False) -> None:
        """Gives the lease up whatever waits, and asks for a successor where tasks do, or (`always`) in any case.

        Does nothing for a token that does not hold it.
        """
        successor = new_token()
        args = [token, successor, self._pending_ms, int(always)]
        if self._tasks.run(RELEASE, [self.key, self._tasks.keys.queue], args):
            self._ask(successor, enqueue)

    def give_back(self, token: str) -> None:
        """Ends the pending lease of a job that could not be asked for. Where Redis is away it runs out by itself."""
        try:
            self._tasks.run(GIVE_BACK, [self.key], [token])
        except (RedisError, OSError) as error:
            log.warning("the lease could not be given back, it runs out by itself: %s", error)

    def read(self) -> dict[str, str]:
        """What the lease says, for the doctor: empty where there is none."""
        found: dict[bytes, bytes] = self._tasks.client.hgetall(self.key)  # type: ignore[assignment]
        return {name.decode(): value.decode() for name, value in found.items()}
