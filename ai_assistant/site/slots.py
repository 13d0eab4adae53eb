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


@contextmanager
def slot(tasks: Tasks, most: int, seconds: float) -> Iterator[bool]:
    """Whether one of `most` slots is free; if so it is taken until the block ends. One whose process was killed is
    free again after `seconds`. Raises ServiceUnavailableError."""
    key, token = slots_key(tasks), uuid.uuid4().hex
    with unavailable_as_503():
        taken = bool(tasks.run(TAKE, [key], [token, most, int(seconds * 1000)]))
    try:
        yield taken
    finally:
        if taken:
            release(tasks, key, token)


def slots_key(tasks: Tasks) -> str:
    """Where the slots of this machine's web server are."""
    return f"{names.PREFIX}:{tasks.keys.scope}:waiting:{socket.gethostname()}"


def release(tasks: Tasks, key: str, token: str) -> None:
    """Gives a slot back. Where Redis is away it frees itself when its time has passed."""
    try:
        tasks.client.zrem(key, token)
    except (RedisError, OSError) as error:
        log.warning("a waiting request's slot could not be given back: %s", error)
