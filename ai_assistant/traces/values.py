"""Checks and shapes what events say of a field: a wrong kind is an error, what is too long or too large is cut."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from typing import Any

from ai_assistant.core.check import shown
from ai_assistant.core.errors import AssistantError
from ai_assistant.core.message_rows import storable

MAX_WORD = 140
"""Characters of a Data field."""
MAX_TEXT = 4_000_000
"""Characters of a payload. Producers cut much earlier."""
MAX_INT = 2**31 - 1
"""What an Int column holds."""
MAX_COST = 1e11
"""US dollars; Frappe's decimal(21,9) holds ten times as many."""
EARLIEST = 946_684_800_000_000
LATEST = 4_102_444_800_000_000
"""Times before the year 2000 and after 2099 are no times of an event: epoch microseconds."""
MAX_TAGS = 50


class StoreError(AssistantError):
    """An event that cannot be stored, ever: it becomes a dead letter. The message names the field."""


def now_us() -> int:
    """Epoch microseconds."""
    return time.time_ns() // 1000


def word(field: str, value: Any) -> str:
    """A text of one line at most MAX_WORD characters; the rest is cut off."""
    if not isinstance(value, str):
        raise StoreError(f"{field}: must be a text, not {shown(value)}")
    if len(value) <= MAX_WORD and value.isascii():  # most are
        return value
    return storable(value[:MAX_WORD])


def choice(options: tuple[str, ...]) -> Callable[[str, Any], str]:
    """One of `options`."""

    def check(field: str, value: Any) -> str:
        if value not in options:
            raise StoreError(f"{field}: must be one of {', '.join(options)}, not {shown(value)}")
        return value

    return check


def text(limit: int = MAX_TEXT) -> Callable[[str, Any], str]:
    """A text of at most `limit` characters; anything else that MessagePack brings, but bytes, as JSON."""

    def check(field: str, value: Any) -> str:
        if not isinstance(value, str):
            value = as_json(field, value)
        if len(value) <= limit and value.isascii():
            return value
        return storable(value if len(value) <= limit else value[: limit - 1] + "…")

    return check


def as_json(field: str, value: Any) -> str:
    """The value as JSON."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):
        raise StoreError(f"{field}: must be a text, or something that JSON can hold, not {shown(value)}") from None


def integer(field: str, value: Any) -> int:
    """A whole number, brought into the range from 0 to MAX_INT."""
    if type(value) is int and 0 <= value <= MAX_INT:  # most are
        return value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int):
        raise StoreError(f"{field}: must be a whole number, not {shown(value)}")
    return min(max(int(value), 0), MAX_INT)


def flag(field: str, value: Any) -> int:
    """1 or 0."""
    return int(integer(field, value) > 0)


def decimal(most: float) -> Callable[[str, Any], float]:
    """A number, brought into the range from 0 to `most`."""

    def check(field: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise StoreError(f"{field}: must be a number, not {shown(value)}")
        return float(min(max(value, 0), most))

    return check


def moment(field: str, value: Any) -> int:
    """Epoch microseconds within this century."""
    if type(value) is int and EARLIEST <= value < LATEST:  # most are
        return value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not EARLIEST <= value < LATEST:
        raise StoreError(f"{field}: must be a time in epoch microseconds, from 2000 to 2099, not {shown(value)}")
    return value


def tags(field: str, value: Any) -> list[str]:
    """Words, each once, in the order in which they were given; empty ones do not count."""
    if not isinstance(value, list):
        raise StoreError(f"{field}: must be a list of words, not {shown(value)}")
    words = (word(field, each).strip() for each in value)
    return list(dict.fromkeys(each for each in words if each))[:MAX_TAGS]
