"""The reading half of a `TraceStore`, in SQL. Lists and trees never touch a payload."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from ai_assistant.core.check import shown
from ai_assistant.core.errors import ValidationError
from ai_assistant.core.session import User
from ai_assistant.core.trace import PRIVATE, Page, TraceFilter
from ai_assistant.core.trace_access import view_name
from ai_assistant.traces.listing import Conditions, conditions, cursor_of, page_size
from ai_assistant.traces.rows import OBSERVATION_CHECKS, OBSERVATION_LISTED, TRACE_CHECKS, TRACE_LISTED
from ai_assistant.traces.search import words_of
from ai_assistant.traces.sql import TraceSql, chunks
from ai_assistant.traces.values import now_us

TRACE_PRIVATE: Final = tuple(name for name in PRIVATE if name in TRACE_CHECKS)
EXPORTED: Final = tuple(dict.fromkeys((*OBSERVATION_LISTED, *OBSERVATION_CHECKS)))
EXPORT_ROWS: Final = 200
"""Observations with their payloads that are in memory at once."""
PRODUCER_LISTED: Final = (
    "name", "service", "host", "pid", "user", "sdk", "python", "started_at", "last_at", "heard_at", "ended", "highest",
    "stored_count", "missing_count", "dropped_count", "dead_count",
)  # fmt: skip
SELECTIVE: Final = ("conversation", "session", "reference_doctype", "reference_name")
"""Filters with an index of their own, by which few traces are found."""
INDEXED: Final = ("user", "model", "status")
"""Filters with an index of their own, by which many are."""

Row = dict[str, Any]


class TraceReading:
    """See `core.trace_ports.TraceReads` for what each method promises."""

    _sql: TraceSql

    def list(self, wanted: TraceFilter, *, owner: str | None, limit: int, cursor: str | None) -> Page:
        """A page of traces, newest first."""
        sql, size = self._sql, page_size(limit)
        found = conditions(wanted, owner, cursor, sql)
        terms = words_of(wanted.search) if wanted.search is not None else None
        if not size or terms == []:
            return Page(rows=[], cursor=None)
        if terms is None:
            source, time, name = sql.listed(is_narrow(wanted, owner)), sql.column("started_at"), sql.column("name")
        else:
            source, time, name, words = sql.search(terms)
            for condition, value in words:
                found.add(condition, value)
        query = f"SELECT {self._columns()} FROM {source} WHERE {found} ORDER BY {time} DESC, {name} DESC"
        rows = sql.dicts("trace", TRACE_LISTED, sql.read(f"{query} LIMIT {size + 1}", found.values))
        page = self._with_tags(rows[:size])
        return Page(rows=page, cursor=cursor_of(page[-1]) if len(rows) > size else None)

    def _columns(self) -> str:
        return ", ".join(self._sql.column(name) for name in (*TRACE_LISTED, *self._sql.besides("trace", TRACE_LISTED)))

    def _with_tags(self, rows: Sequence[Row]) -> builtins.list[Row]:
        """The rows with their tags, in order."""
        sql = self._sql
        tags = {row["name"]: [] for row in rows}
        for piece in chunks([*tags]):
            where = f"parent IN ({sql.marks(len(piece))}) ORDER BY parent, idx"
            for row in sql.select("tag", ("parent", "tag"), where, piece):
                tags[row["parent"]].append(row["tag"])
        return [{**row, "tags": tags[row["name"]]} for row in rows]

    def get(self, trace: str, *, owner: str | None) -> Row | None:
        """A trace with its tags."""
        sql = self._sql
        found = Conditions(sql)
        found.compare("name", "=", trace)
        found.compare("user", "=", owner)
        query = f"SELECT {self._columns()} FROM {sql.tables['trace']} t WHERE {found}"
        rows = sql.dicts("trace", TRACE_LISTED, sql.read(query, found.values))
        return self._with_tags(rows)[0] if rows else None

    def observations(self, trace: str, *, limit: int = 100_000) -> builtins.list[Row]:
        """All observations of a trace in the order in which they began."""
        where = f"trace = {self._sql.mark} ORDER BY started_at LIMIT {int(limit)}"
        found = self._sql.read(self._sql.query("observation", OBSERVATION_LISTED, where), [trace])
        return sorted(self._sql.known("observation", OBSERVATION_LISTED, found), key=_began)

    def payload(self, trace: str, span: str, column: str) -> str | None:
        """One private column."""
        known = PRIVATE if span else TRACE_PRIVATE
        if column not in known:
            raise ValidationError(f"column: must be one of {', '.join(known)}, not {shown(column)}")
        kind = "observation" if span else "trace"
        rows = self._sql.select(kind, (column,), f"name = {self._sql.mark}", [trace + span])
        return rows[0][column] if rows else None

    def payloads(self, trace: str) -> Iterable[Row]:
        """Every observation with all its columns."""
        return self._exported([trace + row["span"] for row in self.observations(trace)])

    def _exported(self, names: Sequence[str]) -> Iterator[Row]:
        for start in range(0, len(names), EXPORT_ROWS):
            piece = names[start : start + EXPORT_ROWS]
            where = f"name IN ({self._sql.marks(len(piece))})"
            yield from sorted(self._sql.select("observation", EXPORTED, where, piece), key=_began)

    def rows(self, names: Sequence[str]) -> Sequence[Row]:
        """Observations by name, with all their columns."""
        return [
            row
            for piece in chunks(names)
            for row in self._sql.select(
                "observation", ("trace", *EXPORTED), f"name IN ({self._sql.marks(len(piece))})", piece
            )
        ]

    def note_view(self, trace: str, owner: str, viewer: User) -> None:
        """The first look of each hour."""
        sql, now = self._sql, now_us()
        name = view_name(trace, viewer, now)
        if sql.select("view", ("name",), f"name = {sql.mark}", [name]):
            return
        row = sql.standard(viewer.name) | {"name": name, "creation": now, "modified": now}
        row |= {"trace": trace, "trace_user": owner, "viewer": viewer.name, "viewed_at": now}
        sql.insert("view", tuple(row), [sql.values(row)], sql.ignore())

    def producers(self, limit: int = 200, *, lossy_since: int | None = None) -> builtins.list[Row]:
        """By the time at which something of them was stored last."""
        sql, where, values = self._sql, "heard_at IS NOT NULL", []
        if lossy_since is not None:
            where = f"heard_at >= {sql.mark} AND (missing_count > 0 OR dropped_count > 0)"
            values = [sql.to_moment(lossy_since)]
        rows = sql.select("producer", PRODUCER_LISTED, f"{where} ORDER BY heard_at DESC LIMIT {int(limit)}", values)
        return [{**row, "highest": int(row["highest"] or 0)} for row in rows]

    def incomplete(self, since: int) -> int:
        """By the index on time."""
        sql = self._sql
        query = f"SELECT count(*) FROM {sql.tables['trace']} WHERE started_at >= {sql.mark} AND missing_events > 0"
        return sql.read(query, [sql.to_moment(since)])[0][0]


def is_narrow(wanted: TraceFilter, owner: str | None) -> bool:
    """Whether a filter has an index of its own, and no other one would make a database look at all that it finds."""
    given = {name for name in wanted.__struct_fields__ if getattr(wanted, name) is not None}
    if given & set(SELECTIVE):
        return True
    return (owner is not None or bool(given & set(INDEXED))) and given <= {*INDEXED, "since", "until"}


def _began(row: Row) -> tuple[bool, int, str]:
    """Sorts by the beginning; those whose beginning has not arrived come last."""
    started_at = row.get("started_at")
    return started_at is None, started_at or row.get("ended_at") or 0, row["span"]
