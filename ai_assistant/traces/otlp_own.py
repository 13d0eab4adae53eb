"""What no convention has a name for: this app's own attributes, so that a span that went out can be read back whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ai_assistant.traces.otlp_attributes import Attributes, parsed

PREFIX: Final = "ai_assistant"
COLUMNS: Final = (
    "type", "level", "status", "progress", "progress_message", "confidence", "attempt", "scores", "reasoning_ms",
    "reasoning_chars", "usage_estimated", "input_truncated", "output_truncated", "reasoning_truncated",
)  # fmt: skip
"""Columns of an observation that always go out under this app's name."""
FLAGS: Final = frozenset({"usage_estimated", "input_truncated", "output_truncated", "reasoning_truncated"})
"""Those of them that say nothing while they are 0."""
PRIVATE: Final = ("metadata", "marks")
"""The same, where content goes out."""
RESTORED: Final = (*COLUMNS, *PRIVATE, "title", "input", "output", "reasoning", "provider", "model")
"""All that is read back; those at the end go out only where their convention would not give them back as they were."""
TRACE_WORDS: Final = (
    "title", "conversation", "task_id", "message_id", "mode", "cancelled_by", "reference_doctype", "reference_name",
)  # fmt: skip
"""Columns of a trace; its root carries them."""
TRACE_CONTENT: Final = frozenset({"title", "cancelled_by"})
TRACE_PREFIX: Final = f"{PREFIX}.trace"


def read_own(found: Attributes) -> dict[str, Any]:
    """What this app's own attributes say, by columns."""
    return {column: found.take(f"{PREFIX}.{column}") for column in RESTORED}


def read_own_trace(found: Attributes) -> tuple[dict[str, str], dict[str, Any]]:
    """What they say of the trace: its words, and its metadata as data."""
    said = {column: found.word(f"{TRACE_PREFIX}.{column}") for column in TRACE_WORDS}
    metadata = parsed(found.take(f"{TRACE_PREFIX}.metadata"))
    words = {column: value for column, value in said.items() if value is not None}
    return words, metadata if isinstance(metadata, dict) else {}


def own_attributes(row: Mapping[str, Any], *, content: bool) -> dict[str, Any]:
    """The attributes of an observation."""
    columns = (*COLUMNS, *PRIVATE) if content else COLUMNS
    found = {name: row.get(name) for name in columns if row.get(name) not in (None, "")}
    told = {"status"} if row.get("status") in ("completed", "failed") else set()  # the span's own status says it
    return {
        f"{PREFIX}.{name}": value for name, value in found.items() if name not in told and (value or name not in FLAGS)
    }


def own_trace_attributes(trace: Mapping[str, Any], *, content: bool) -> dict[str, Any]:
    """The attributes of a trace, for its root. Whose it is, its title, which of a chat is what was asked, and what it
    holds beside figures, is content."""
    words = TRACE_WORDS if content else [name for name in TRACE_WORDS if name not in TRACE_CONTENT]
    found = {f"{TRACE_PREFIX}.{name}": trace.get(name) for name in words}
    found |= {"session.id": trace.get("session"), "tag.tags": list(trace.get("tags") or ()) or None}
    if content:
        found |= {"user.id": trace.get("user"), f"{TRACE_PREFIX}.metadata": trace.get("metadata")}
    return {name: value for name, value in found.items() if value not in (None, "")}
