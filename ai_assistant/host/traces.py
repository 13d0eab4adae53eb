"""The embedded host's `TraceStore`: AI Trace and AI Observation in SQLite, or in any database of SQLAlchemy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from ai_assistant.core.trace import ProducerHead, TraceHead
from ai_assistant.host.database import UnitOfWork
from ai_assistant.host.trace_sql import HostSql
from ai_assistant.traces.sql import chunks
from ai_assistant.traces.sql_reads import TraceReading
from ai_assistant.traces.sql_statistics import TraceCounting
from ai_assistant.traces.sql_upkeep import TraceUpkeeping
from ai_assistant.traces.sql_writes import TraceWriting


class SqlTraces(TraceWriting, TraceReading, TraceUpkeeping, TraceCounting):
    """Traces in one unit of work. See `core.trace_ports.TraceStore` for what each method promises.

    Besides the DocTypes' tables it keeps `ai_trace_search`, which its searches read.
    """

    def __init__(self, work: UnitOfWork):
        self._work = work
        self._heads: dict[str, TraceHead] = {}

    @cached_property
    def _sql(self) -> HostSql:  # pyright: ignore[reportIncompatibleVariableOverride]
        return HostSql(self._work)

    def lock(
        self, traces: Sequence[str], producers: Sequence[str]
    ) -> tuple[dict[str, TraceHead], dict[str, ProducerHead]]:
        """Keeps the heads: by their time the rows of the search are found."""
        found = super().lock(traces, producers)
        self._heads |= found[0]
        return found

    def put_traces(self, rows: Mapping[str, dict[str, Any]]) -> None:
        """Writes the words of those whose words or time have changed, too."""
        super().put_traces(rows)
        gone, new, to_moment, mark = [], [], self._sql.to_moment, self._sql.mark
        for name, row in rows.items():
            head = self._heads[name]
            at, words = row.get("started_at", head.started_at), row.get("search_text", head.search_text)
            if at is None or (at, words) == (head.started_at, head.search_text):
                continue
            if head.started_at is not None:
                gone.append((to_moment(head.started_at), name))
            new.append((to_moment(at), name, words))
            head.started_at, head.search_text = at, words
        self._sql.write_many(f"DELETE FROM ai_trace_search WHERE started_at = {mark} AND trace = {mark}", gone)
        self._sql.write_rows("INSERT INTO ai_trace_search (started_at, trace, words)", new)

    def delete_parts(self, traces: Sequence[str]) -> None:
        """The words of the search, too."""
        super().delete_parts(traces)
        mark = self._sql.mark
        for piece in chunks(traces):
            query = f"SELECT started_at, name FROM ai_trace WHERE name IN ({self._sql.marks(len(piece))})"
            rows = [tuple(row) for row in self._sql.read_current(query, piece) if row[0] is not None]
            self._sql.write_many(f"DELETE FROM ai_trace_search WHERE started_at = {mark} AND trace = {mark}", rows)
