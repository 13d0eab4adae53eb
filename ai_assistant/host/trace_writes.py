"""The writing half of the embedded host's `TraceStore`: locks, rows, totals."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from ai_assistant.core.trace import ProducerHead, StoredVersion, Totals, TraceHead
from ai_assistant.host.trace_rows import Sql, chunks
from ai_assistant.traces.totals import TOTAL_COLUMNS, totals_of
from ai_assistant.traces.writer import now_us

HEAD = ("user", "places", "observation_count", "status", "title", "versions", "started_at", "root", "search_text")
PRODUCER_HEAD = ("stored", "dropped", "dead", "highest", "ended", "last_at", "heard_at", "user")
KEPT = frozenset({"name", "trace", "span", "user", "creation"})
"""Columns of an observation that stay as they were made."""
RUNNING = ("trace", "span", "producer", "started_at", "version")


class TraceWriting:
    """See `core.trace_ports.TraceWrites` for what each method promises."""

    _sql: Sql
    _heads: dict[str, TraceHead]

    def lock(
        self, traces: Sequence[str], producers: Sequence[str]
    ) -> tuple[dict[str, TraceHead], dict[str, ProducerHead]]:
        """Producers first, then traces, in the order of their names."""
        for table, names in (("ai_trace_producer", producers), ("ai_trace", traces)):
            self._make(table, names)
        heads = {
            row["name"]: ProducerHead(
                stored=row["stored"] or "",
                dropped=row["dropped"] or "",
                dead=row["dead"] or "",
                highest=int(row["highest"] or 0),
                ended=row["ended"] or 0,
                last_at=row["last_at"],
                heard_at=row["heard_at"],
                user=row["user"],
            )
            for row in self._locked("ai_trace_producer", PRODUCER_HEAD, producers)
        }
        found = {row["name"]: _head(row) for row in self._locked("ai_trace", HEAD, traces)}
        self._heads |= found
        return found, heads

    def _make(self, table: str, names: Sequence[str]) -> None:
        """Makes the rows that are not there."""
        now = self._sql.to_moment(now_us())
        columns = ("name", "creation", "modified", *(("status",) if table == "ai_trace" else ()))
        statement = self._sql.upsert(table, columns, frozenset(columns))
        rest = ("running",) if table == "ai_trace" else ()
        self._sql.write_many(statement, [(name, now, now, *rest) for name in sorted(set(names))])

    def _locked(self, table: str, columns: tuple[str, ...], names: Sequence[str]) -> Iterable[dict[str, Any]]:
        """The rows of these names, locked. SQLite's one writer is this one."""
        lock = "" if self._sql.is_sqlite else " FOR UPDATE"
        columns = ("name", *columns)
        for piece in chunks(names):
            query = (
                f"SELECT {self._sql.names(columns)} FROM {table} WHERE name IN ({self._sql.words.marks(len(piece))})"
            )
            yield from self._sql.rows(self._sql.read_current(f"{query} ORDER BY name{lock}", piece), columns)

    def versions(self, names: Sequence[str]) -> dict[str, StoredVersion]:
        """What is known of these observations."""
        columns = ("name", "versions", "version", "started_at", "ended_at")
        found = {}
        for piece in chunks(names):
            marks = self._sql.words.marks(len(piece))
            query = f"SELECT {self._sql.names(columns)} FROM ai_observation WHERE name IN ({marks})"
            for row in self._sql.rows(self._sql.read_current(query, piece), columns):
                name = row.pop("name")
                found[name] = StoredVersion(**{**row, "versions": row["versions"] or ""})
        return found

    def put_observations(self, rows: Sequence[dict[str, Any]]) -> None:
        """One statement for all rows of the same columns."""
        now = now_us()
        groups: dict[tuple[str, ...], list[tuple[Any, ...]]] = {}
        for row in rows:
            row = {**row, "modified": now, "creation": now}
            groups.setdefault(tuple(row), []).append(self._sql.values(row))
        for columns, group in groups.items():
            self._sql.write_many(self._sql.upsert("ai_observation", columns, KEPT), group)

    def put_traces(self, rows: Mapping[str, dict[str, Any]]) -> None:
        """Also keeps the table that searches read."""
        now = now_us()
        groups: dict[tuple[str, ...], list[tuple[Any, ...]]] = {}
        for name, row in rows.items():
            row = {**{column: value for column, value in row.items() if column != "tags"}, "modified": now}
            groups.setdefault(tuple(row), []).append((*self._sql.values(row), name))
        for columns, group in groups.items():
            self._sql.write_many(self._sql.update("ai_trace", columns), group)
        self._put_tags({name: row["tags"] for name, row in rows.items() if "tags" in row})
        self._put_search(rows)

    def _put_tags(self, tags: Mapping[str, Sequence[str]]) -> None:
        """Replaces the tags of these traces."""
        now = self._sql.to_moment(now_us())
        self._sql.write_many(f"DELETE FROM ai_trace_tag WHERE parent = {self._sql.mark}", [(name,) for name in tags])
        columns = "name, parent, parentfield, parenttype, idx, creation, modified, tag"
        rows = [
            (f"{name}-{place}", name, "tags", "AI Trace", place, now, now, tag)
            for name, words in tags.items()
            for place, tag in enumerate(words, 1)
        ]
        self._sql.write_many(f"INSERT INTO ai_trace_tag ({columns}) VALUES ({self._sql.words.marks(8)})", rows)

    def _put_search(self, rows: Mapping[str, dict[str, Any]]) -> None:
        """Writes the words of traces whose words or time have changed."""
        gone, new = [], []
        for name, row in rows.items():
            head = self._heads[name]
            at, words = row.get("started_at", head.started_at), row.get("search_text", head.search_text)
            if (at, words) == (head.started_at, head.search_text) or at is None:
                continue
            if head.started_at is not None:
                gone.append((self._sql.to_moment(head.started_at), name))
            new.append((self._sql.to_moment(at), name, words))
            head.started_at, head.search_text = at, words
        mark = self._sql.mark
        self._sql.write_many(f"DELETE FROM ai_trace_search WHERE started_at = {mark} AND trace = {mark}", gone)
        insert = f"INSERT INTO ai_trace_search (started_at, trace, words) VALUES ({mark}, {mark}, {mark})"
        self._sql.write_many(insert, new)

    def put_producers(self, rows: Mapping[str, dict[str, Any]]) -> None:
        """One statement for each producer: there are few."""
        for name, row in rows.items():
            row = {**row, "modified": now_us()}
            if "highest" in row:
                row["highest"] = str(row["highest"])  # an Int column ends at 2^31
            self._sql.write(self._sql.update("ai_trace_producer", tuple(row)), (*self._sql.values(row), name))

    def totals(self, traces: Sequence[str]) -> dict[str, Totals]:
        """From what lists show of the observations, never from their payloads."""
        columns = ("trace", *TOTAL_COLUMNS)
        found: dict[str, list[Sequence[Any]]] = {name: [] for name in traces}
        at = [columns.index(name) for name in ("started_at", "ended_at")]
        from_moment = self._sql.from_moment
        for piece in chunks(traces):
            marks = self._sql.words.marks(len(piece))
            query = f"SELECT {self._sql.names(columns)} FROM ai_observation WHERE trace IN ({marks})"
            for row in self._sql.read_current(query, piece):
                values = list(row)
                for index in at:
                    values[index] = from_moment(values[index])
                found[values[0]].append(values[1:])
        return {name: totals_of(rows) for name, rows in found.items()}

    def running(self, limit: int, *, besides: Collection[str] = ()) -> list[dict[str, Any]]:
        """By the index on status and time."""
        columns = self._sql.names(RUNNING)
        others = list(besides)
        condition = f" AND producer NOT IN ({self._sql.words.marks(len(others))})" if others else ""
        query = (
            f"SELECT {columns} FROM ai_observation WHERE status = 'running'{condition} "
            f"ORDER BY started_at LIMIT {int(limit)}"
        )
        return self._sql.rows(self._sql.read(query, others), RUNNING)


def _head(row: Mapping[str, Any]) -> TraceHead:
    return TraceHead(
        user=row["user"],
        places=row["places"] or "",
        observations=row["observation_count"] or 0,
        status=row["status"] or "running",
        title=row["title"],
        versions=row["versions"] or "",
        started_at=row["started_at"],
        root=row["root"],
        search_text=row["search_text"] or "",
    )
