"""When to try again: exponential backoff with jitter, and what the provider asks for in `Retry-After`."""

from __future__ import annotations

import email.utils
import random
import time
from collections.abc import Mapping

import msgspec

from ai_assistant.core.errors import ChatError

#: Seconds that a provider may ask to wait; more is no answer to the question.
_LONGEST = 1e9


class Backoff(msgspec.Struct, frozen=True, kw_only=True):
    """Waits between attempts, in seconds."""

    first: float = 0.5
    factor: float = 2.0
    longest: float = 8.0
    longest_retry_after: float = 20.0
    """A provider that asks for a longer wait is not waited for: the next fallback, or the caller, takes over."""

    def delay(self, attempt: int, error: ChatError) -> float | None:
        """Seconds to wait after attempt number `attempt` (from 1) failed with `error`; `None`: do not retry."""
        if not error.retryable:
            return None
        if error.retry_after is not None:
            return error.retry_after if error.retry_after <= self.longest_retry_after else None
        full = min(self.longest, self.first * self.factor ** (attempt - 1))
        return full * random.uniform(0.5, 1.0)


def parse_retry_after(headers: Mapping[str, str], *, now: float | None = None) -> float | None:
    """Seconds from `retry-after-ms` (OpenAI) or `Retry-After`: delay-seconds or HTTP-date (RFC 9110, 10.2.3).

    `headers` has lower-case names (or is case-insensitive, as httpx's); `now` is epoch seconds. Unreadable values
    count as absent, those in the past as 0.
    """
    millis = _number(headers.get("retry-after-ms"))
    if millis is not None:
        return millis / 1000
    value = headers.get("retry-after")
    if value is None:
        return None
    seconds = _number(value)
    if seconds is not None:
        return seconds
    try:
        date = email.utils.parsedate_to_datetime(value.strip())
    except (ValueError, TypeError, IndexError):
        return None
    wait = max(0.0, date.timestamp() - (time.time() if now is None else now))
    return wait if wait < _LONGEST else None


def _number(value: str | None) -> float | None:
    """A non-negative finite number, or `None`."""
    try:
        number = float(value) if value is not None else -1.0
    except ValueError:
        return None
    return number if 0 <= number < _LONGEST else None
