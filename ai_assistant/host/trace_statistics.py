"""How calls to models went, from the embedded host's tables."""

from __future__ import annotations

from ai_assistant.core.trace_statistics import ModelCall
from ai_assistant.host.trace_rows import Sql

TABLE = "ai_observation"


class SqlTraceStatistics:
    """Part of the store of traces: `core.trace_statistics.TraceStatistics`."""

    _sql: Sql

    def model_calls(self, since: int, until: int, limit: int) -> list[ModelCall]:
        """By the index on status and time."""
        sql = self._sql
        status, kind, started = (sql.names([name]) for name in ("status", "type", "started_at"))
        query = (
            f"SELECT {sql.names(['model', 'status', 'ttft_ms', 'cost'])} FROM {TABLE} "
            f"WHERE {status} IN ({sql.mark}, {sql.mark}) AND {started} >= {sql.mark} AND {started} < {sql.mark} "
            f"AND {kind} = {sql.mark} AND model <> {sql.mark} ORDER BY {started} DESC LIMIT {int(limit)}"
        )
        values = ("completed", "failed", sql.to_moment(since), sql.to_moment(until), "generation", "")
        rows = sql.read(query, values)
        return [ModelCall(model, status == "failed", ttft_ms, cost) for model, status, ttft_ms, cost in rows]
