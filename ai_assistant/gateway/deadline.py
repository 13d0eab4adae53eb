"""Time limits around awaits, also on Python 3.10, where asyncio has none of its own."""

from __future__ import annotations

import asyncio
import sys
import time

if sys.version_info >= (3, 11):
    from asyncio import timeout_at
else:  # aiohttp brings this package on Python 3.10
    from async_timeout import timeout_at

from ai_assistant.core.model import Timeouts

__all__ = ["Deadlines", "timeout_at"]


class Deadlines:
    """When the next piece of one attempt is due. Times are those of the event loop's clock, in seconds."""

    def __init__(self, limits: Timeouts, *, stream: bool, started: float):
        """`started` is when the call to this model began (retries share the total); `stream` false means that the
        whole answer comes at once, so that only the total counts."""
        now = _now()
        self.limits = limits
        self.total = started + limits.total
        self._first = now + limits.first_token if stream else self.total
        self._waiting = True
        self._stream = stream

    def sending(self) -> None:
        """The request is sent only now: what came before (an import) does not count for the first delta."""
        if self._stream:
            self._first = _now() + self.limits.first_token

    def answered(self) -> None:
        """The first delta has come."""
        self._waiting = False

    def next(self) -> tuple[float, str]:
        """When the next read must be over, and which limit that is."""
        due, phase = (self._first, "first_token") if self._waiting else (self.total, "total")
        if self.total <= due:
            due, phase = self.total, "total"
        if self._stream:
            idle = _now() + self.limits.idle
            if not self._waiting and idle < due:
                due, phase = idle, "idle"
        return due, phase

    def soon(self, seconds: float) -> float:
        """A point in time from now."""
        return _now() + seconds

    def seconds(self, phase: str) -> float:
        """The limit of a phase, for messages."""
        return float(getattr(self.limits, phase))


def _now() -> float:
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return time.monotonic()
