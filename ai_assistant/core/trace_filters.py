"""Reads what callers say of traces: ids, times, filters. Every refusal names the field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, Final

from ai_assistant.core import check
from ai_assistant.core.errors import ValidationError
from ai_assistant.core.trace import STATUSES, TraceFilter

WORDS: Final = (
    "user", "model", "conversation", "session", "tag", "reference_doctype", "reference_name", "environment", "service",
    "source",
)  # fmt: skip
"""Filters that are compared as they are; at most MAX_WORD characters."""
MAX_WORD: Final = 140
MAX_SEARCH: Final = 200
MAX_COST: Final = 1e12
MAX_DURATION_MS: Final = 2**53
MAX_MOMENT_MS: Final = 253_402_300_799_999
"""The end of the year 9999, the last one that ISO 8601 and the databases know."""

_TRACE = re.compile(r"[0-9a-f]{32}")
_SPAN = re.compile(r"[0-9a-f]{16}")
_DIGITS = re.compile(r"\d{1,15}(\.\d{1,6})?", re.ASCII)


def trace_id(value: Any, field: str = "trace") -> str:
    """A trace's id: 32 hexadecimal digits, not all zero (W3C Trace Context); gives it in lower case."""
    text = hexadecimal(field, value, _TRACE, 32)
    if text is None:
        raise ValidationError(f"{field}: is missing")
    return text


def span_id(value: Any, field: str = "span") -> str:
    """An observation's id: 16 hexadecimal digits, in lower case; `''` where none is given: the trace itself."""
    return hexadecimal(field, value, _SPAN, 16) or ""


def hexadecimal(field: str, value: Any, pattern: re.Pattern[str], digits: int) -> str | None:
    """The value in lower case, if it matches; `None` where there is none."""
    if value is None or value == "":
        return None
    text = value.lower() if isinstance(value, str) and len(value) == digits else ""
    if not pattern.fullmatch(text) or not text.strip("0"):
        raise ValidationError(f"{field}: must be {digits} hexadecimal digits, not {check.shown(value)}")
    return text


def moment(field: str, value: Any) -> int | None:
    """Epoch microseconds of a time given in ISO 8601 (UTC where it names no zone) or in epoch milliseconds."""
    if value is None or value == "":
        return None
    milliseconds = as_number(value)
    if milliseconds is not None:
        if not 0 <= milliseconds <= MAX_MOMENT_MS:
            raise ValidationError(f"{field}: must be between 0 and {MAX_MOMENT_MS} ms, not {check.shown(value)}")
        return round(milliseconds * 1000)
    try:
        if not isinstance(value, str) or len(value) > 40:
            raise ValueError
        found = datetime.fromisoformat(value.strip().replace("Z", "+00:00"))
        found = found if found.tzinfo else found.replace(tzinfo=timezone.utc)
        return max(0, round(found.timestamp() * 1_000_000))
    except (ValueError, OverflowError):
        raise ValidationError(
            f"{field}: must be a time in ISO 8601 or in epoch milliseconds, not {check.shown(value)}"
        ) from None


def as_number(value: Any) -> float | None:
    """The value as a number where it is one, or the digits of one."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return float(value) if abs(value) < 2**63 else -1.0
    return float(value) if isinstance(value, str) and _DIGITS.fullmatch(value) else None


def trace_filter(arguments: Mapping[str, Any]) -> TraceFilter:
    """The filter that these arguments of `get_traces` describe. Raises ValidationError."""
    words = {name: check.text(name, arguments.get(name), max_length=MAX_WORD) for name in WORDS}
    found = TraceFilter(
        **words,
        status=check.choice("status", arguments.get("status"), STATUSES),
        since=moment("since", arguments.get("since")),
        until=moment("until", arguments.get("until")),
        min_cost=check.number("min_cost", arguments.get("min_cost"), low=0, high=MAX_COST),
        max_cost=check.number("max_cost", arguments.get("max_cost"), low=0, high=MAX_COST),
        min_duration_ms=duration("min_duration_ms", arguments.get("min_duration_ms")),
        max_duration_ms=duration("max_duration_ms", arguments.get("max_duration_ms")),
        complete=yes_or_no("complete", arguments.get("complete")),
        search=searched(arguments.get("search")),
    )
    for low, high in (("since", "until"), ("min_cost", "max_cost"), ("min_duration_ms", "max_duration_ms")):
        in_order(found, low, high)
    return found


def duration(field: str, value: Any) -> int | None:
    """Whole milliseconds, or nothing."""
    if value is None or value == "":
        return None
    return check.integer(field, value, low=0, high=MAX_DURATION_MS, default=0)


def yes_or_no(field: str, value: Any) -> bool | None:
    """True, false, or nothing."""
    return None if value is None or value == "" else check.boolean(field, value, default=False)


def searched(value: Any) -> str | None:
    """Words to look for; blanks alone are none."""
    text = check.text("search", value, max_length=MAX_SEARCH)
    return text.strip() or None if text else None


def in_order(found: TraceFilter, low: str, high: str) -> None:
    """Raises ValidationError where a range ends before it begins: nothing could ever be in it."""
    least, most = getattr(found, low), getattr(found, high)
    if least is not None and most is not None and least > most:
        raise ValidationError(f"{high}: is less than {low}; swap them, or leave one out")
