"""The table `[traces]` of the config file."""

from __future__ import annotations

import msgspec

from ai_assistant.host.config_table import ConfigTable
from ai_assistant.traces.retention import Policy

MAX_DAYS = 36_500


class TraceConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What the embedded host is told of traces."""

    retention_days: int = 30
    """Traces that began longer ago are deleted; 0: none for their age."""
    max_bytes: int = 0
    """Bytes of the database that traces may take; beyond them the oldest are deleted. 0: without a bound."""

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
    )
    table.done()
    return found
