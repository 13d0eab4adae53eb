"""How calls to models went, in SQL."""

from __future__ import annotations

from ai_assistant.core.trace_statistics import ModelCall
from ai_assistant.traces.sql import TraceSql


class TraceCounting:
    """Part of the store of traces: `core.trace_statistics.TraceStatistics`."""

    _sql: TraceSql

    def model_calls(self, since: int, until: int, limit: int) -> list[ModelCall]:
        """By the index on status and time."""
        sql = self._sql
        found = sql.select(
            "observation",
            ("model", "status", "ttft_ms", "cost", "cost_known"),
            f"status IN ('completed', 'failed') AND started_at >= {sql.mark} AND started_at < {sql.mark} "
            f"AND {sql.names('observation', ['type'])} = 'generation' AND model <> '' "
            f"ORDER BY started_at DESC LIMIT {int(limit)}",
            (sql.to_moment(since), sql.to_moment(until)),
        )
        # Frappe's columns of numbers are 0 where nothing is known; nobody answers within no time
        return [
            ModelCall(
                row["model"],
                row["status"] == "failed",
                row["ttft_ms"] or None,
                row["cost"] if row["cost_known"] else None,
            )
            for row in found
        ]
