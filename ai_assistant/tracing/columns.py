"""What a program says of an observation, as columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ai_assistant.core.trace import (
    LEVELS,
    OBSERVATION_FLOATS,
    OBSERVATION_INTS,
    OBSERVATION_TEXTS,
    OBSERVATION_WORDS,
)
from ai_assistant.tracing.capture import as_text, storable

COLUMNS: Final = frozenset((*OBSERVATION_WORDS, *OBSERVATION_TEXTS, *OBSERVATION_INTS, *OBSERVATION_FLOATS))
NAMES: Final = {"name": "title", "error": "error_message"}
"""What columns are called by programs."""
USAGE: Final = {
    "prompt_tokens": "prompt_tokens",
    "input_tokens": "prompt_tokens",
    "completion_tokens": "completion_tokens",
    "output_tokens": "completion_tokens",
    "reasoning_tokens": "reasoning_tokens",
    "cached_tokens": "cached_tokens",
    "cache_read_input_tokens": "cached_tokens",
    "total_tokens": "total_tokens",
    "cost": "cost",
    "estimated": "usage_estimated",
}
"""What providers call the parts of a usage, and the columns they go into."""
MAX_METADATA_CHARS: Final = 64 * 1024


def usage_columns(usage: Any) -> dict[str, Any]:
    """Token counts as columns, from a mapping with the names of any of the big providers."""
    if not isinstance(usage, Mapping):
        return {}
    known = {USAGE[name]: value for name, value in usage.items() if name in USAGE and value is not None}
    found = {column: plain(column, value) for column, value in known.items()}
    if "total_tokens" not in found and ("prompt_tokens" in found or "completion_tokens" in found):
        found["total_tokens"] = found.get("prompt_tokens", 0) + found.get("completion_tokens", 0)
    return found


def plain(column: str, value: Any) -> Any:
    """A value in the type of its column. Raises ValueError and TypeError for what it cannot be."""
    if column in OBSERVATION_INTS:
        return int(value)
    if column in OBSERVATION_FLOATS:
        return float(value)
    if column == "level" and value not in LEVELS:
        return "info"
    if isinstance(value, str):
        return value if value.isascii() else storable(value)
    return as_text(value, MAX_METADATA_CHARS)[0] if column in OBSERVATION_TEXTS else str(value)
