"""A site's `TraceStore`: AI Trace and AI Observation in Frappe's database.

Rows are written plainly and in bulk, not as documents: one `insert()` of a document takes a millisecond, and a consumer
has thousands of rows a second.
"""

from __future__ import annotations

from datetime import datetime
from functools import cached_property

import frappe

from ai_assistant.core.session import User
from ai_assistant.site.trace_sql import SiteSql
from ai_assistant.site.trace_times import EPOCH, MICROSECOND
from ai_assistant.traces.sql_reads import TraceReading
from ai_assistant.traces.sql_statistics import TraceCounting
from ai_assistant.traces.sql_upkeep import TraceUpkeeping
from ai_assistant.traces.sql_writes import TraceWriting


class SiteTraces(TraceWriting, TraceReading, TraceUpkeeping, TraceCounting):
    """Traces in the open transaction of `frappe.local.site`. See `core.trace_ports.TraceStore` for what each method
    promises."""

    @cached_property
    def _sql(self) -> SiteSql:  # pyright: ignore[reportIncompatibleVariableOverride]
        return SiteSql()

    def note_view(self, trace: str, owner: str, viewer: User) -> None:
        """Frappe takes back what a GET has written, unless it is told not to (v15 `app.sync_database`)."""
        super().note_view(trace, owner, viewer)
        frappe.local.flags.commit = True


def microseconds(utc: datetime) -> int:
    """Epoch microseconds of a time in UTC without a zone."""
    return (utc - EPOCH) // MICROSECOND
