"""Traces and observations as clients see them: times in epoch milliseconds, and payloads only where they are asked for.

Times are kept in microseconds; as JSON numbers in milliseconds they keep their microseconds behind the point.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ai_assistant.core.trace import PRIVATE

TIMES: Final = ("started_at", "ended_at")
LENGTHS: Final = ("input_chars", "output_chars", "reasoning_kept")
INTERNAL: Final = frozenset(
    {
        *("creation", "modified", "modified_by", "owner", "idx", "docstatus"),
        *("search_text", "places", "versions", "version", "known_numbers", "cost_known", "parent_span", "root"),
    }
)
"""Frappe's columns, and what only the writer and the search need."""
HIDDEN: Final = frozenset({*PRIVATE, *INTERNAL})
"""What no list and no tree holds."""
FLAGS: Final = ("usage_estimated", "input_truncated", "output_truncated", "reasoning_truncated")
"""Of an observation: 1 or 0."""
BOOKKEEPING: Final = ("name", "trace", "segment_events", "producer", "user")
"""Of an observation: what its trace says already, or what only the writer needs."""


def shown_trace(row: Mapping[str, Any]) -> dict[str, Any]:
    """A trace without its payloads. `trace` is its id, `scores` a list."""
    found = {"trace": row["name"]} if "name" in row else {}
    found |= {key: value for key, value in row.items() if key not in HIDDEN and key != "name"}
    return with_times(found)


def shown_observation(row: dict[str, Any], depth: int) -> dict[str, Any]:
    """The same row as clients see an observation, without payloads; `depth` is its place in the tree. `row` has only
    what is known, and of the flags only those that are set stay: there may be many thousands, and each word of them is
    to be written, compressed and read."""
    if not HIDDEN.isdisjoint(row):
        for key in HIDDEN & row.keys():
            del row[key]
    for key in BOOKKEEPING:
        row.pop(key, None)
    for flag in FLAGS:
        if not row.get(flag, True):
            del row[flag]
    row["depth"] = depth
    return with_times(row)


def with_times(row: dict[str, Any]) -> dict[str, Any]:
    """The same row, its times in milliseconds and its scores as data."""
    for name in TIMES:
        if (at := row.get(name)) is not None:
            row[name] = at / 1000
    if isinstance(scores := row.get("scores"), str):
        row["scores"] = data_of(scores)
    return row


def data_of(text: str) -> Any:
    """What a column of JSON says; the text itself where it is none."""
    try:
        return msgspec.json.decode(text) if text else None
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return text
