"""Traces and observations as they are stored: the columns of AI Trace and AI Observation, and what is asked of them.

Times are epoch microseconds (UTC) here; stores turn them into their own. Payloads are text: a string as it is, anything
else as JSON. `None` means that it is not known.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

ObservationType = Literal["span", "generation", "tool", "agent", "retriever", "event"]
TYPES: Final = ("span", "generation", "tool", "agent", "retriever", "event")
Status = Literal["running", "completed", "failed", "cancelled", "interrupted"]
STATUSES: Final = ("running", "completed", "failed", "cancelled", "interrupted")
LEVELS: Final = ("debug", "info", "warning", "error")

PAYLOADS: Final = ("input", "output", "reasoning")
"""Prompts, responses and reasoning: large, private, at permission level 1, and never read by a list."""
PRIVATE: Final = (*PAYLOADS, "metadata", "marks", "error_stack")
"""Everything at permission level 1."""
TOKENS: Final = ("prompt_tokens", "completion_tokens", "reasoning_tokens", "cached_tokens", "total_tokens")
REASONING_CHARS: Final = 50 * 1024
"""Characters of reasoning that are kept, unless told otherwise (S3.4)."""
TRACE_PAYLOAD_CHARS: Final = 20_000
"""Characters of the root's input and output that its trace repeats; the observation has all of it."""

#: Fields of an observation, by kind of value. `parent`: span id of the parent, '' for a root.
OBSERVATION_WORDS: Final = (
    "parent", "type", "title", "status", "level", "model", "provider", "finish_reason", "error_type", "tool_call_id",
)  # fmt: skip
OBSERVATION_TEXTS: Final = (*PRIVATE, "error_message", "progress_message", "scores")
"""`metadata` (object), `marks` and `scores` (lists) are JSON."""
OBSERVATION_INTS: Final = (
    *TOKENS, "usage_estimated", "ttft_ms", "reasoning_ms", "reasoning_chars", "input_truncated", "output_truncated",
    "reasoning_truncated", "attempt", "segment_events",
)  # fmt: skip
"""`reasoning_chars`: of the whole reasoning, before it was cut. `segment_events`: at the end of a local root, how many
events its segment has had so far."""
OBSERVATION_FLOATS: Final = ("cost", "confidence", "progress")
"""`cost` in US dollars, `confidence` from 0 to 1, `progress` from 0 to 100."""
OBSERVATION_TIMES: Final = ("started_at", "ended_at")

#: Fields of a trace that an event of the kind `trace` may say. Everything else of a trace is derived.
TRACE_WORDS: Final = (
    "title", "user", "session", "conversation", "task_id", "message_id", "mode", "environment", "release", "service",
    "source", "status", "reference_doctype", "reference_name", "cancelled_by",
)  # fmt: skip
TRACE_TEXTS: Final = ("input", "output", "reasoning", "metadata", "scores")
TRACE_INTS: Final = ("chunks_received", "events_emitted", "events_persisted", "acknowledged_seq")
"""Of a chat: chunks that came from the provider, events that went out, events that Redis took, and the highest `seq`
that a client has confirmed."""
TRACE_TAGS: Final = "tags"
"""A list of words."""


class Totals(msgspec.Struct, kw_only=True):
    """What a store finds among the observations of one trace."""

    observations: int = 0
    running: int = 0
    errors: int = 0
    started_at: int | None = None
    ended_at: int | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    cached_tokens: int = 0
    total_tokens: int = 0
    cost: float | None = None
    ttft_ms: int | None = None
    """Of the first generation that has one."""
    model: str | None = None
    """Of the first generation that has one."""
    provider: str | None = None
    root: str | None = None
    """Span id of the first observation without a parent."""
    root_title: str | None = None
    root_status: str | None = None
    root_ended_at: int | None = None
    error_message: str | None = None
    """Of the root, else of the first observation that failed."""
    words: str = ""
    """Names and errors of its observations, each once: what the full-text search looks through."""
    size: int = 0
    """About how many bytes they take."""
    lost: int = 0
    """Those that nobody will end, since their producer has died."""
    first_title: str | None = None
    """Of the first observation that has one."""


class TraceHead(msgspec.Struct, kw_only=True):
    """What a writer must know of a stored trace before it changes it."""

    user: str | None = None
    places: str = ""
    """Which events it has, `{"<producer>/<segment>": "1-57,59"}` as JSON: see `traces.ranges`."""
    observations: int = 0
    status: str = "running"
    title: str | None = None
    versions: str = ""
    """Which of its columns an event has said, and which event: see `traces.rows`."""
    started_at: int | None = None
    root: str | None = None
    """Span id of the observation that its title, status and payloads are taken from."""
    search_text: str = ""


class StoredVersion(msgspec.Struct, kw_only=True):
    """What a writer must know of a stored observation before it changes it."""

    versions: str
    version: int
    started_at: int | None
    ended_at: int | None
    producer: str
    """Who said it last."""


class ProducerHead(msgspec.Struct, kw_only=True):
    """What is known of a producer: which of its numbers were stored, given up by it, or became dead letters. All are
    written like `1-57,59`."""

    stored: str = ""
    dropped: str = ""
    dead: str = ""
    highest: int = 0
    """The highest number that it is known to have given."""
    ended: int = 0
    """1 after its last word."""
    last_at: int | None = None
    """When its latest event happened, by its own clock."""
    heard_at: int | None = None
    """When something of it was stored last."""
    user: str | None = None
    """In whose name its events came over HTTP; `None`: a trusted program."""


class TraceFilter(msgspec.Struct, kw_only=True, frozen=True):
    """Which traces a list wants; what is `None` does not matter. Times are epoch microseconds, `since` included,
    `until` not."""

    user: str | None = None
    model: str | None = None
    status: str | None = None
    since: int | None = None
    until: int | None = None
    conversation: str | None = None
    session: str | None = None
    tag: str | None = None
    min_cost: float | None = None
    max_cost: float | None = None
    min_duration_ms: int | None = None
    max_duration_ms: int | None = None
    reference_doctype: str | None = None
    reference_name: str | None = None
    environment: str | None = None
    service: str | None = None
    source: str | None = None
    complete: bool | None = None
    """False: only traces that miss events."""
    search: str | None = None
    """Words that names or errors must hold."""


class Page(msgspec.Struct, kw_only=True):
    """Rows of a list, newest first, without any payload."""

    rows: list[dict[str, Any]]
    cursor: str | None
    """Give it back for the next page; `None` at the end."""
