"""Keeps a worker's loops going: a loop that ends unseen is a worker that lives and does not work."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from redis.exceptions import RedisError

from ai_assistant.core.errors import ServiceUnavailableError
from ai_assistant.streams.connection import was_cancelled

log = logging.getLogger("ai_assistant.worker")

RETRY_S = 0.5
"""Between attempts while Redis is away."""
LOG_EVERY = 20
"""One of so many failures of Redis is logged."""


class Supervisor:
    """Runs loops again after each failure, whatever it was, and counts the failures."""

    def __init__(self) -> None:
        self.redis_errors = 0
        self.failures = 0

    async def keep(self, name: str, loop: Callable[[], Awaitable[None]], until: asyncio.Event | None = None) -> None:
        """Runs `loop` until it returns; when `until` is set, its next failure is its end too."""
        while True:
            try:
                return await loop()
            except (RedisError, OSError, ServiceUnavailableError) as error:
                self.redis_failed(name, error)
            except Exception:
                self.failures += 1
                log.exception("%s failed; it is started again", name)
            if until is not None and until.is_set():
                return None
            if was_cancelled():
                raise asyncio.CancelledError
            await asyncio.sleep(RETRY_S)

    def redis_failed(self, name: str, error: Exception) -> None:
        """Counts a failure of Redis."""
        self.redis_errors += 1
        if self.redis_errors % LOG_EVERY == 1:
            log.warning("%s: Redis is away, trying again: %s", name, error)


async def first_of(*events: asyncio.Event) -> None:
    """Returns when one of the events is set."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
