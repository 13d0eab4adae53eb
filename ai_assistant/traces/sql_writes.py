"""The writing half of a `TraceStore`, in SQL: locks, rows, totals."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from ai_assistant.core.trace import ProducerHead, StoredVersion, Totals, TraceHead
from ai_assistant.traces.sql import TraceSql, chunks
from ai_assistant.traces.totals import TOTAL_COLUMNS, totals_of
from ai_assistant.traces.values import now_us

HEAD: Final = (
    "name", "user", "places", "observation_count", "status", "title", "versions", "started_at", "root", "search_text",
)  # fmt: skip
PRODUCER_HEAD: Final = ("name", "stored", "dropped", "dead", "highest", "ended", "last_at", "heard_at", "user")
RUNNING: Final = ("trace", "span", "producer", "started_at", "version")
MADE_ONCE: Final = frozenset({"name", "trace", "span", "user", "creation", "owner", "modified_by", "idx", "docstatus"})
"""Columns of a row that stay as they were made."""

Row = dict[str, Any]


class TraceWriting:
    """See `core.trace_ports.TraceWrites` for what each method promises."""

    _sql: TraceSql

    def lock(
        self, traces: Sequence[str], producers: Sequence[str]
    ) -> tuple[dict[str, TraceHead], dict[str, ProducerHead]]:
        """Producers first, then traces, in the order of their names."""
        self._sql.begin()
        found = {row["name"]: _producer_head(row) for row in self._locked("producer", PRODUCER_HEAD, producers)}
        return {row["name"]: _head(row) for row in self._locked("trace", HEAD, traces)}, found

    def _locked(self, kind: str, columns: Sequence[str], names: Sequence[str]) -> Iterator[Row]:
        """The rows of these names, made where they are not there, and locked."""
        sql, now = self._sql, now_us()
        first = {"name": "", **sql.standard(None), "creation": now, "modified": now}
        if kind == "trace":
            first["status"] = "running"
        _, *rest = sql.values(first)
        for piece in chunks(names):
            sql.insert(kind, tuple(first), [(name, *rest) for name in piece], sql.ignore())
            where = f"name IN ({sql.marks(len(piece))}) ORDER BY name{sql.lock}"
            yield from sql.select_current(kind, columns, where, piece)

    def versions(self, names: Sequence[str]) -> dict[str, StoredVersion]:
        """By name, in pieces."""
        sql, columns, found = self._sql, ("name", "versions", "version", "started_at", "ended_at", "producer"), {}
        for piece in chunks(names):
            statement = f"SELECT {sql.names('observation', columns)} FROM {sql.tables['observation']} WHERE name IN "
            for name, versions, version, started, ended, producer in sql.read_current(
                f"{statement}({sql.marks(len(piece))})", piece
            ):
                found[name] = StoredVersion(
                    versions=versions or "",
                    version=version or 0,
                    started_at=sql.from_moment(started),
                    ended_at=sql.from_moment(ended),
                    producer=producer or "",
                )
        return found

    def put_observations(self, rows: Sequence[Row]) -> None:
        """One statement for all rows of the same columns."""
        self._put("observation", [(row["name"], row) for row in rows])

    def put_traces(self, rows: Mapping[str, Row]) -> None:
        """The rows are there already: `lock` has made them."""
        plain = [(name, {column: row[column] for column in row if column != "tags"}) for name, row in rows.items()]
        self._put("trace", plain)
        self._put_tags({name: row["tags"] for name, row in rows.items() if "tags" in row})

    def put_producers(self, rows: Mapping[str, Row]) -> None:
        """The rows are there already: `lock` has made them."""
        # an Int column ends at 2^31
        self._put("producer", [(name, {**row, "highest": str(row["highest"])}) for name, row in rows.items()])

    def _put(self, kind: str, rows: Sequence[tuple[str, Row]]) -> None:
        """Makes or changes rows, those of the same columns together."""
        sql, now = self._sql, now_us()
        standard = sql.standard(None) | {"creation": now, "modified": now}
        groups: dict[tuple[str, ...], list[tuple[Any, ...]]] = {}
        for name, row in rows:
            stored = sql.stored(kind, row)
            if "name" not in stored:
                stored = {"name": name, **stored}
            groups.setdefault(tuple(stored), []).append(tuple(stored.values()))
        once = MADE_ONCE if kind == "observation" else MADE_ONCE - {"user", "owner"}
        for own, group in groups.items():
            rest = {name: value for name, value in standard.items() if name not in own}
            columns = (*own, *rest)
            changed = [name for name in columns if name not in once and (name != "owner" or "user" in columns)]
            sql.insert(kind, columns, sql.with_moments(own, group, sql.values(rest)), sql.replace(changed))

    def _put_tags(self, tags: Mapping[str, Sequence[str]]) -> None:
        """Replaces the tags of these traces."""
        sql, now = self._sql, now_us()
        for piece in chunks(list(tags)):
            sql.write(f"DELETE FROM {sql.tables['tag']} WHERE parent IN ({sql.marks(len(piece))})", piece)
        first = sql.standard(None) | {"creation": now, "modified": now}
        child = ("parenttype", "parentfield", "name", "parent", "idx", "tag")
        columns = tuple(name for name in first if name not in child) + child
        rest = sql.values({name: first[name] for name in columns if name in first and name not in child})
        rows = [
            (*rest, "AI Trace", "tags", f"{name}-{place}", name, place, sql.stored("tag", {"tag": tag})["tag"])
            for name, words in tags.items()
            for place, tag in enumerate(words, 1)
        ]
        sql.insert("tag", columns, rows)

    def totals(self, traces: Sequence[str]) -> dict[str, Totals]:
        """From what lists show of the observations, never from their payloads."""
        sql, columns = self._sql, ("trace", *TOTAL_COLUMNS)
        found: dict[str, list[list[Any]]] = {name: [] for name in traces}
        for piece in chunks(traces):
            for row in sql.select_current("observation", columns, f"trace IN ({sql.marks(len(piece))})", piece):
                trace, *values = row.values()
                found[trace].append(values)
        return {name: totals_of(rows) for name, rows in found.items()}

    def running(self, limit: int, *, besides: Collection[str] = ()) -> list[Row]:
        """By the index on status and time."""
        sql, others = self._sql, list(besides)
        condition = f" AND producer NOT IN ({sql.marks(len(others))})" if others else ""
        where = f"status = 'running'{condition} ORDER BY started_at LIMIT {int(limit)}"
        statement = f"SELECT {sql.names('observation', RUNNING)} FROM {sql.tables['observation']} WHERE {where}"
        rows = [dict(zip(RUNNING, row, strict=True)) for row in sql.read(statement, others)]
        return [{**row, "started_at": sql.from_moment(row["started_at"])} for row in rows]


def _head(row: Row) -> TraceHead:
    return TraceHead(
        user=row["user"] or None,
        places=row["places"] or "",
        observations=row["observation_count"] or 0,
        status=row["status"] or "running",
        title=row["title"],
        versions=row["versions"] or "",
        started_at=row["started_at"],
        root=row["root"] or None,
        search_text=row["search_text"] or "",
    )


def _producer_head(row: Row) -> ProducerHead:
    return ProducerHead(
        stored=row["stored"] or "",
        dropped=row["dropped"] or "",
        dead=row["dead"] or "",
        highest=int(row["highest"] or 0),
        ended=row["ended"] or 0,
        last_at=row["last_at"],
        heard_at=row["heard_at"],
        user=row["user"] or None,
    )
