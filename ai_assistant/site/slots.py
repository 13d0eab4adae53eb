"""Slots in Redis: how many requests of this machine wait at once, whatever their process."""

from __future__ import annotations

import logging
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import RedisError

from ai_assistant.streams import keys as names
from ai_assistant.streams.connection import unavailable_as_503
from ai_assistant.streams.script import Script
from ai_assistant.streams.tasks import Tasks

log = logging.getLogger("ai_assistant.site")

# KEYS slots   ARGV 1 token 2 slots 3 held for ms
# returns 1 when the request may wait. The key lives as long as its longest holder
TAKE = Script("""
local t = now()
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', t)
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
redis.call('ZADD', KEYS[1], t + tonumber(ARGV[3]), ARGV[1])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
return 1
""")

# KEYS slots   ARGV 1 token 2 held for ms
# A Redis that came back empty is told again
KEEP = Script("""
redis.call('ZADD', KEYS[1], now() + tonumber(ARGV[2]), ARGV[1])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 1
""")


class Slot:
    """A slot that is held. It is free again when its time has passed, whatever has become of its process."""

    def __init__(self, tasks: Tasks, seconds: float):
        self._tasks = tasks
        self._key, self._token = slots_key(tasks), uuid.uuid4().hex
        self._held_ms = int(seconds * 1000)

    def take(self, most: int) -> bool:
        """Whether one of `most` was free. Raises ServiceUnavailableError."""
        with unavailable_as_503():
            return bool(self._tasks.run(TAKE, [self._key], [self._token, most, self._held_ms]))

    def keep(self) -> None:
        """Begins its time anew. Raises ServiceUnavailableError."""
        with unavailable_as_503():
            self._tasks.run(KEEP, [self._key], [self._token, self._held_ms])

    def release(self) -> None:
        """Gives it back. Where Redis is away it frees itself."""
        try:
            self._tasks.client.zrem(self._key, self._token)
        except (RedisError, OSError) as error:
            log.warning("a waiting request's slot could not be given back: %s", error)


@contextmanager
def slot(tasks: Tasks, most: int, seconds: float) -> Iterator[Slot | None]:
    """One of `most` slots until the block ends, or `None` when all are taken. Its time is `seconds`, unless it is kept.
    Raises ServiceUnavailableError."""
    own = Slot(tasks, seconds)
    if not own.take(most):
        yield None
        return
    try:
        yield own
    finally:
        own.release()


def slots_key(tasks: Tasks) -> str:
    """Where the slots of this machine's web server are."""
    return f"{names.PREFIX}:{tasks.keys.scope}:waiting:{socket.gethostname()}"
