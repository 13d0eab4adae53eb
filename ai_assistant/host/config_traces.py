"""The table `[traces]` of the config file."""

from __future__ import annotations

import msgspec

from ai_assistant.host.config_table import ConfigTable
from ai_assistant.traces.ingest import MAX_STREAM_BYTES, MAX_STREAM_ENTRIES
from ai_assistant.traces.metrics import Bounds
from ai_assistant.traces.retention import Policy

MAX_DAYS = 36_500
CHATS = ("chats", "content")
"""Keys of the table that are `trace_chats` and `trace_content` of the settings."""


class TraceConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What the embedded host is told of traces."""

    retention_days: int = 30
    """Traces that began longer ago are deleted; 0: none for their age."""
    max_bytes: int = 0
    """Bytes of the database that traces may take; beyond them the oldest are deleted. 0: without a bound."""

    redis_url: str | None = None
    """The Redis of the stream; `None`: that of the tasks."""
    max_stream_bytes: int = MAX_STREAM_BYTES
    """Bytes of events that may wait in Redis to be stored; beyond them producers hold theirs back."""
    max_stream_entries: int = MAX_STREAM_ENTRIES
    """The same in entries of up to 50 events."""

    @property
    def bounds(self) -> Bounds:
        """What may wait in the stream."""
        return Bounds(self.max_stream_entries, self.max_stream_bytes)

    @property
    def retention(self) -> Policy:
        """What may stay."""
        return Policy(days=self.retention_days, max_bytes=self.max_bytes)


def traces_of(root: ConfigTable) -> TraceConfig:
    """`[traces]`; what is left out is the default."""
    table, default = root.table("traces"), TraceConfig()
    found = TraceConfig(
        retention_days=table.integer("retention_days", default.retention_days, high=MAX_DAYS),
        max_bytes=table.integer("max_bytes", default.max_bytes, high=2**62),
        redis_url=_redis(table, "redis_url"),
        max_stream_bytes=table.integer("max_stream_bytes", default.max_stream_bytes, low=2**20, high=2**62),
        max_stream_entries=table.integer("max_stream_entries", default.max_stream_entries, low=1000),
    )
    for name in CHATS:
        table.has(name)  # read with the settings
    table.done()
    return found


def _redis(table: ConfigTable, key: str) -> str | None:
    """A URL, which is not shown in the error: it may hold a password."""
    url = table.secret(key)
    if url and not url.startswith(("redis://", "rediss://", "unix://")):
        raise table.error(key, "must begin with redis:// or rediss:// or unix://")
    return url
