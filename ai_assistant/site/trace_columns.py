"""What Frappe's columns want of rows of traces: no empty numbers, and no HTML for the Desk."""

from __future__ import annotations

from typing import Any

from ai_assistant.core import trace as columns
from ai_assistant.site.columns import from_title, to_title
from ai_assistant.traces.derive import LENGTHS
from ai_assistant.traces.rows import OBSERVATION_LETTERS, TRACE_LETTERS, read_stamps

WORDS = frozenset(
    {
        *columns.OBSERVATION_WORDS,
        *columns.TRACE_WORDS,
        *("error_message", "progress_message", "tag", "producer"),
        *("host", "pid", "sdk", "python"),
    }
) - {"parent", "type", "status", "level"}
"""Texts that lists and reports show: those take them for HTML (v15 `formatters.js`), so `<` and `>` are stored as
entities, as Frappe stores what is typed."""
LONGER = {"title": 560, "error_message": 16_000, "progress_message": 4_000}
"""Characters of the columns that hold more than a Data field's 140."""
FLAGS = frozenset({"usage_estimated", "input_truncated", "output_truncated", "reasoning_truncated"})
MAYBE_UNKNOWN = {
    **{name: name for name in (*columns.OBSERVATION_INTS, *columns.OBSERVATION_FLOATS) if name not in FLAGS},
    **{length: payload for payload, length in LENGTHS.items()},
}
"""Numbers of an observation, and the column that an event has said where they are known."""
DERIVED = ("duration_ms", "ttft_ms", "cost")
"""Numbers of a trace that come from its observations."""


def stored(kind: str, row: dict[str, Any]) -> dict[str, Any]:
    """The row as the columns hold it. Numbers that are not known are 0: of an observation `versions` tells which of
    them an event has said, of a trace also `known_numbers`."""
    found = {name: encoded(name, value) if name in WORDS and value else value for name, value in row.items()}
    if kind == "trace" and "observation_count" in row:
        known = [name for name in DERIVED if row.get(name) is not None]
        found["known_numbers"] = ",".join(known)
        found |= dict.fromkeys((name for name in DERIVED if row.get(name) is None), 0)
    if kind == "trace" and row.get("user"):
        found["owner"] = row["user"]
    return found


def encoded(name: str, text: str) -> str:
    """The text without signs that HTML begins with, in the length of its column."""
    text = to_title(text)
    most = LONGER.get(name, 140)
    return text if len(text) <= most else text[:most].rpartition("&")[0] or text[:most]


def row_of(kind: str, row: dict[str, Any]) -> dict[str, Any]:
    """The row that was stored; it has the columns of EXTRA."""
    found = {name: from_title(value) if name in WORDS and value else value for name, value in row.items()}
    if kind == "observation":
        known = read_stamps(found["versions"], OBSERVATION_LETTERS)
        for name in found:
            if name in MAYBE_UNKNOWN and MAYBE_UNKNOWN[name] not in known:
                found[name] = None
        if "duration_ms" in found and not known.keys() >= {"started_at", "ended_at"}:
            found["duration_ms"] = None
    elif kind == "trace":
        known = {*(found["known_numbers"] or "").split(","), *read_stamps(found["versions"], TRACE_LETTERS)}
        for name in (*DERIVED, *columns.TRACE_INTS):
            if name in found and name not in known:
                found[name] = None
    return found


EXTRA = {"observation": ("versions",), "trace": ("versions", "known_numbers")}
"""Columns that `row_of` needs besides."""
