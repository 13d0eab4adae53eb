"""The embedded host's `TraceStore`: AI Trace and AI Observation in SQLite, or in any database of SQLAlchemy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ai_assistant.core.check import shown
from ai_assistant.core.errors import ValidationError
from ai_assistant.core.session import User
from ai_assistant.core.trace import PRIVATE, Page, TraceFilter, TraceHead
from ai_assistant.core.trace_access import view_name
from ai_assistant.host.database import UnitOfWork
from ai_assistant.host.trace_rows import Sql, chunks
from ai_assistant.host.trace_statistics import SqlTraceStatistics
from ai_assistant.host.trace_writes import TraceWriting
from ai_assistant.traces.listing import Conditions, conditions, cursor_of, page_size
from ai_assistant.traces.rows import OBSERVATION_CHECKS, OBSERVATION_LISTED, TRACE_CHECKS, TRACE_LISTED
from ai_assistant.traces.search import words_of
from ai_assistant.traces.writer import now_us

TRACE_PRIVATE = tuple(name for name in PRIVATE if name in TRACE_CHECKS)
EXPORTED = tuple(dict.fromkeys((*OBSERVATION_LISTED, *OBSERVATION_CHECKS)))
EXPORT_ROWS = 200
"""Observations with their payloads that are in memory at once."""
PRODUCER_LISTED = (
    "name", "service", "host", "pid", "user", "sdk", "python", "started_at", "last_at", "heard_at", "ended", "highest",
    "stored_count", "missing_count", "dropped_count", "dead_count",
)  # fmt: skip
NARROWING = ("user", "model", "status", "conversation", "session", "reference_name", "tag")
"""Filters with an index of their own."""
TABLES = ("ai_trace", "ai_observation", "ai_trace_tag", "ai_trace_search", "ai_trace_view", "ai_trace_producer")


class SqlTraces(TraceWriting, SqlTraceStatistics):
    """Traces in one unit of work. See `core.trace_ports.TraceStore` for what each method promises."""

    def __init__(self, work: UnitOfWork):
        self._work = work
        self._found: Sql | None = None
        self._heads: dict[str, TraceHead] = {}

    @property
    def _sql(self) -> Sql:
        """Made when it is first needed: no connection is taken before."""
        if self._found is None:
            self._found = Sql(self._work, self._work.dialect)
        return self._found

    def list(self, wanted: TraceFilter, *, owner: str | None, limit: int, cursor: str | None) -> Page:
        """A page of traces, newest first."""
        sql, size = self._sql, page_size(limit)
        found = conditions(wanted, owner, cursor, sql.words)
        source = self._source(wanted, owner, found)
        if source is None or not size:
            return Page(rows=[], cursor=None)
        columns = ", ".join(sql.words.column(name) for name in TRACE_LISTED)
        order = f"ORDER BY {source[1]} DESC, {source[2]} DESC LIMIT {size + 1}"
        rows = sql.rows(
            sql.read(f"SELECT {columns} FROM {source[0]} WHERE {found} {order}", found.values), TRACE_LISTED
        )
        page = self._with_tags(rows[:size])
        return Page(rows=page, cursor=cursor_of(page[-1]) if len(rows) > size else None)

    def _source(self, wanted: TraceFilter, owner: str | None, found: Conditions) -> tuple[str, str, str] | None:
        """What is read, and the columns of its order; None where nothing can be found."""
        time, name = (self._sql.words.column(column) for column in ("started_at", "name"))
        if wanted.search is not None:
            terms = words_of(wanted.search)
            for term in terms:
                found.add(f"{self._position()} > 0", f" {term}")
            # in this order: the words first, in the order of time, and of the traces only those that are shown
            join = "ai_trace_search s CROSS JOIN ai_trace t ON t.name = s.trace"
            if not self._sql.is_sqlite:
                join = join.replace("CROSS JOIN", "JOIN")
            return (join, "s.started_at", "s.trace") if terms else None
        narrow = owner is not None or any(getattr(wanted, each) is not None for each in NARROWING)
        if narrow or not self._sql.is_sqlite:
            return "ai_trace t", time, name
        return "ai_trace t INDEXED BY ix_ai_trace_listed", time, name

    def _position(self) -> str:
        """Where a word stands among the words of a trace."""
        function = "strpos" if self._sql.backend == "postgresql" else "instr"
        return f"{function}(s.words, {self._sql.mark})"

    def _with_tags(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The rows with their tags, in order."""
        tags: dict[str, list[str]] = {row["name"]: [] for row in rows}
        for piece in chunks(list(tags)):
            marks = self._sql.words.marks(len(piece))
            query = f"SELECT parent, tag FROM ai_trace_tag WHERE parent IN ({marks}) ORDER BY parent, idx"
            for parent, tag in self._sql.read(query, piece):
                tags[parent].append(tag)
        return [{**row, "tags": tags[row["name"]]} for row in rows]

    def get(self, trace: str, *, owner: str | None) -> dict[str, Any] | None:
        """A trace with its tags."""
        sql = self._sql
        found = Conditions(sql.words)
        found.compare("name", "=", trace)
        found.compare("user", "=", owner)
        columns = ", ".join(sql.words.column(name) for name in TRACE_LISTED)
        rows = sql.rows(sql.read(f"SELECT {columns} FROM ai_trace t WHERE {found}", found.values), TRACE_LISTED)
        return self._with_tags(rows)[0] if rows else None

    def observations(self, trace: str, *, limit: int = 100_000) -> list[dict[str, Any]]:
        """All observations of a trace in the order in which they began."""
        sql = self._sql
        query = f"SELECT {sql.names(OBSERVATION_LISTED)} FROM ai_observation WHERE trace = {sql.mark}"
        rows = sql.rows(sql.read(f"{query} LIMIT {int(limit)}", [trace]), OBSERVATION_LISTED)
        return sorted(rows, key=_began)

    def payload(self, trace: str, span: str, column: str) -> str | None:
        """One private column."""
        known = PRIVATE if span else TRACE_PRIVATE
        if column not in known:
            raise ValidationError(f"column: must be one of {', '.join(known)}, not {shown(column)}")
        table = "ai_observation" if span else "ai_trace"
        query = f"SELECT {self._sql.names([column])} FROM {table} WHERE name = {self._sql.mark}"
        rows = self._sql.read(query, [trace + span])
        return rows[0][0] if rows else None

    def payloads(self, trace: str) -> Iterable[dict[str, Any]]:
        """Every observation with all its columns."""
        order = [trace + row["span"] for row in self.observations(trace)]
        return self._exported(order)

    def rows(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """Observations by name, with all their columns."""
        sql, columns, found = self._sql, ("trace", *EXPORTED), []
        for piece in chunks(names):
            query = f"SELECT {sql.names(columns)} FROM ai_observation WHERE name IN ({sql.words.marks(len(piece))})"
            found += sql.rows(sql.read(query, piece), columns)
        return found

    def _exported(self, names: Sequence[str]) -> Iterator[dict[str, Any]]:
        sql = self._sql
        for start in range(0, len(names), EXPORT_ROWS):
            piece = names[start : start + EXPORT_ROWS]
            query = f"SELECT {sql.names(EXPORTED)} FROM ai_observation WHERE name IN ({sql.words.marks(len(piece))})"
            rows = sql.rows(sql.read(query, piece), EXPORTED)
            yield from sorted(rows, key=_began)

    def note_view(self, trace: str, owner: str, viewer: User) -> None:
        """The first look of each hour."""
        at = now_us()
        name, now = view_name(trace, viewer, at), self._sql.to_moment(at)
        if self._sql.read(f"SELECT name FROM ai_trace_view WHERE name = {self._sql.mark}", [name]):
            return
        columns = ("name", "creation", "modified", "owner", "trace", "trace_user", "viewer", "viewed_at")
        values = (name, now, now, viewer.name, trace, owner, viewer.name, now)
        self._sql.write(self._sql.upsert("ai_trace_view", columns, frozenset(columns)), values)

    def producers(self, limit: int = 200) -> list[dict[str, Any]]:
        """By the time at which something of them was stored last."""
        columns = self._sql.names(PRODUCER_LISTED)
        query = f"SELECT {columns} FROM ai_trace_producer WHERE heard_at IS NOT NULL ORDER BY heard_at DESC"
        rows = self._sql.rows(self._sql.read(f"{query} LIMIT {int(limit)}"), PRODUCER_LISTED)
        return [{**row, "highest": int(row["highest"] or 0)} for row in rows]

    def incomplete(self, since: int) -> int:
        """By the index on time, which has what is missing."""
        query = f"SELECT count(*) FROM ai_trace WHERE started_at >= {self._sql.mark} AND missing_events > 0"
        return self._sql.read(query, [self._sql.to_moment(since)])[0][0]

    def delete(self, traces: Sequence[str]) -> int:
        """The trace's row is locked first, as writers lock it, and goes last."""
        sql, count = self._sql, 0
        lock = "" if sql.is_sqlite else " FOR UPDATE"
        for piece in chunks(traces):
            marks = sql.words.marks(len(piece))
            query = f"SELECT name, started_at FROM ai_trace WHERE name IN ({marks}) ORDER BY name{lock}"
            rows = sql.read_current(query, piece)
            for table, column in (("ai_observation", "trace"), ("ai_trace_tag", "parent"), ("ai_trace_view", "trace")):
                sql.write(f"DELETE FROM {table} WHERE {column} IN ({marks})", piece)
            search = f"DELETE FROM ai_trace_search WHERE started_at = {sql.mark} AND trace = {sql.mark}"
            sql.write_many(search, [(at, name) for name, at in rows if at is not None])
            count += sql.write(f"DELETE FROM ai_trace WHERE name IN ({marks})", piece)
        return count

    def expired(self, *, before: int | None, max_bytes: int | None, limit: int) -> list[str]:
        """Oldest first. For the size it reckons with the average trace, since a database does not say what a single
        one takes."""
        sql, found = self._sql, []
        if before is not None:
            query = f"SELECT name FROM ai_trace WHERE started_at < {sql.mark} ORDER BY started_at LIMIT {int(limit)}"
            found = [row[0] for row in sql.read(query, [sql.to_moment(before)])]
        if max_bytes is not None and len(found) < limit and (size := self.size()) > max_bytes:
            count = sql.read("SELECT count(*) FROM ai_trace")[0][0]
            surplus = min(limit, -(-count * (size - max_bytes) // size))
            query = f"SELECT name FROM ai_trace ORDER BY started_at LIMIT {max(surplus, len(found))}"
            found = [row[0] for row in sql.read(query)]
        return found

    def size(self) -> int:
        """On SQLite what is in use of the whole file; elsewhere what the server reckons for the tables."""
        sql = self._sql
        if sql.is_sqlite:
            pages, free, size = (
                sql.read(f"PRAGMA {name}")[0][0] for name in ("page_count", "freelist_count", "page_size")
            )
            return (pages - free) * size
        marks = sql.words.marks(len(TABLES))
        if sql.backend == "postgresql":
            query = f"SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class WHERE relname IN ({marks})"
        else:
            query = (
                "SELECT coalesce(sum(data_length + index_length), 0) FROM information_schema.tables "
                f"WHERE table_schema = database() AND table_name IN ({marks})"
            )
        return int(sql.read(query, TABLES)[0][0])


def _began(row: dict[str, Any]) -> tuple[bool, int, str]:
    """Sorts by the beginning; those whose beginning has not arrived come last."""
    return row["started_at"] is None, row["started_at"] or row["ended_at"] or 0, row["span"]
