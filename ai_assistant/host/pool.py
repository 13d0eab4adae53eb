"""A bounded thread pool: endpoints are synchronous and must not run on the event loop."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from ai_assistant.core.errors import ServiceUnavailableError

Result = TypeVar("Result")

THREADS = 16
#: Calls that may wait for a thread; more are answered with 503.
MAX_WAITING = 400


class CallPool:
    """Runs blocking calls for the event loop, each in a copy of the caller's context."""

    def __init__(self, threads: int = THREADS, max_waiting: int = MAX_WAITING):
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="call")
        self._limit = threads + max_waiting
        self._pending = 0

    async def run(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """`function(*arguments)` in a thread. Raises ServiceUnavailableError when too many calls wait already."""
        if self._pending >= self._limit:
            raise ServiceUnavailableError("The server is busy. Try again in a few seconds.", retry_after=2)
        self._pending += 1
        future = self._executor.submit(contextvars.copy_context().run, function, *arguments)
        try:
            return await asyncio.wrap_future(future)
        finally:
            self._pending -= 1

    def close(self) -> None:
        """Takes no more calls; those that run are finished by their threads."""
        self._executor.shutdown(wait=False, cancel_futures=True)
