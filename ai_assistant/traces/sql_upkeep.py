"""Removal of traces, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ai_assistant.traces.sql import TraceSql, chunks

PARTS: Final = (("observation", "trace"), ("tag", "parent"), ("view", "trace"))
"""What belongs to a trace: the kind, and its column that names the trace."""


class TraceUpkeeping:
    """See `core.trace_ports.TraceUpkeep` for what each method promises."""

    _sql: TraceSql

    def delete(self, traces: Sequence[str]) -> int:
        """The traces' rows are locked first, as writers lock them, and go last."""
        sql, count = self._sql, 0
        sql.begin()
        for piece in chunks(traces):
            marks = sql.marks(len(piece))
            sql.select_current("trace", ("name",), f"name IN ({marks}) ORDER BY name{sql.lock}", piece)
            self.delete_parts(piece)
            count += sql.write(f"DELETE FROM {sql.tables['trace']} WHERE name IN ({marks})", piece)
        return count

    def delete_parts(self, traces: Sequence[str]) -> None:
        """Everything of these traces, which are locked, but their own rows."""
        sql = self._sql
        for piece in chunks(traces):
            for kind, column in PARTS:
                sql.write(f"{sql.delete_from(kind)} WHERE {column} IN ({sql.marks(len(piece))})", piece)

    def expired(self, *, before: int | None, max_bytes: int | None, limit: int) -> list[str]:
        """Oldest first."""
        sql = self._sql
        table, names = sql.tables["trace"], []
        if before is not None:
            query = f"SELECT name FROM {table} WHERE started_at < {sql.mark} ORDER BY started_at LIMIT {int(limit)}"
            names = [row[0] for row in sql.read(query, [sql.to_moment(before)])]
        surplus = 0 if max_bytes is None or len(names) >= limit else self.size() - max_bytes
        if surplus <= 0:
            return names
        query = f"SELECT name, stored_bytes FROM {table} ORDER BY started_at, name LIMIT {int(limit)}"
        oldest: list[str] = []
        for name, size in sql.read(query):
            if surplus <= 0:
                break
            oldest.append(name)
            surplus -= size or 0
        return oldest if len(oldest) > len(names) else names

    def forget_producers(self, *, before: int, limit: int) -> int:
        """The longest silent first."""
        sql = self._sql
        done = "ended = 1 AND missing_count = 0 AND dead_count = 0"
        where = f"heard_at < {sql.mark} AND {done} ORDER BY heard_at LIMIT {int(limit)}"
        names = [row["name"] for row in sql.select("producer", ("name",), where, [sql.to_moment(before)])]
        count = 0
        for piece in chunks(names):
            # a writer may have come between
            where = f"name IN ({sql.marks(len(piece))}) AND {done}"
            count += sql.write(f"DELETE FROM {sql.tables['producer']} WHERE {where}", piece)
        return count

    def size(self) -> int:
        """By what each trace is reckoned to take. A database's own figures would go down long after a deletion, or
        never: whoever went by them would delete everything."""
        return int(self._sql.read(f"SELECT coalesce(sum(stored_bytes), 0) FROM {self._sql.tables['trace']}")[0][0])
