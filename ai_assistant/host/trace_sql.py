"""The embedded host's database in the words of `traces.sql`: SQLite, MariaDB or MySQL, PostgreSQL."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from ai_assistant.core.errors import ServiceUnavailableError
from ai_assistant.host import trace_times
from ai_assistant.host.database import UnitOfWork
from ai_assistant.traces.sql import KINDS, TraceSql

log = logging.getLogger(__name__)

SERVER_AWAY = frozenset({1040, 1053, 1158, 1159, 1160, 1161, 1205, 1213, 1927, 2002, 2003, 2006, 2013, 2055})
"""MariaDB's codes for a server that is away, a lock that was waited for too long, and a deadlock."""


def away(error: BaseException) -> ServiceUnavailableError | None:
    """The error to raise where the database, not the data, is why: the same may be tried again. None for others."""
    if isinstance(error, PoolTimeoutError):
        return ServiceUnavailableError("The database is busy. Try again in a moment.", retry_after=1)
    if not isinstance(error, DBAPIError):
        return None
    arguments = getattr(error.orig, "args", ())
    code = arguments[0] if arguments and isinstance(arguments[0], int) else None
    if error.connection_invalidated or (isinstance(error, OperationalError) and (code is None or code in SERVER_AWAY)):
        log.warning("the database cannot be used: %s", error.orig)
        return ServiceUnavailableError("The database cannot be used at the moment. Try again later.", retry_after=1)
    return None


@contextmanager
def telling() -> Iterator[None]:
    """Raises ServiceUnavailableError for errors of a database that is away or busy."""
    try:
        yield
    except Exception as error:
        found = away(error)
        if found is None:
            raise
        raise found from error


class HostSql(TraceSql):
    """A unit of work's connection."""

    def __init__(self, work: UnitOfWork):
        self._work = work
        dialect = work.dialect
        self.backend = {"mariadb": "mysql"}.get(dialect.name, dialect.name)
        self.is_sqlite = self.backend == "sqlite"
        self.quote = "`" if self.backend == "mysql" else '"'
        self.mark = "?" if dialect.paramstyle == "qmark" else "%s"
        # SQLite's one writer is this one
        self.lock = "" if self.is_sqlite else " FOR UPDATE"
        tables = ("ai_trace", "ai_observation", "ai_trace_tag", "ai_trace_producer", "ai_trace_view")
        self.tables = dict(zip(KINDS, tables, strict=True))
        self.to_moment = trace_times.to_text if self.is_sqlite else trace_times.to_datetime
        self.from_moment = trace_times.from_text if self.is_sqlite else trace_times.from_datetime

    def read(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """Rows of a query."""
        with telling():
            return list(self._work.reading().exec_driver_sql(statement, tuple(values)).fetchall())

    def read_current(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """Rows of a query, inside the write transaction."""
        with telling():
            return list(self._work.writing().exec_driver_sql(statement, tuple(values)).fetchall())

    def write(self, statement: str, values: Sequence[Any] = ()) -> int:
        """Runs a statement; gives how many rows it changed."""
        with telling():
            return self._work.writing().exec_driver_sql(statement, tuple(values)).rowcount

    def write_rows(self, head: str, rows: Sequence[tuple[Any, ...]], tail: str = "") -> None:
        """One prepared statement, run for all of the rows; PyMySQL makes one large statement of it."""
        if rows:
            with telling():
                statement = f"{head} VALUES ({self.marks(len(rows[0]))}){tail}"
                self._work.writing().exec_driver_sql(statement, list(rows))

    def write_many(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Runs a statement for each of the rows."""
        if rows:
            with telling():
                self._work.writing().exec_driver_sql(statement, list(rows))

    def ignore(self) -> str:
        """On MariaDB an update that changes nothing: INSERT IGNORE would hide errors too."""
        return " ON DUPLICATE KEY UPDATE name = name" if self.backend == "mysql" else " ON CONFLICT (name) DO NOTHING"

    def replace(self, columns: Sequence[str]) -> str:
        """The new values are named differently."""
        if self.backend == "mysql":
            names = (self.names("observation", [name]) for name in columns)
            return f" ON DUPLICATE KEY UPDATE {', '.join(f'{name} = VALUES({name})' for name in names)}"
        names = (self.names("observation", [name]) for name in columns)
        return f" ON CONFLICT (name) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in names)}"

    def listed(self, narrow: bool) -> str:
        """On SQLite by the index that is made for it, where no other is better."""
        return "ai_trace t" if narrow or not self.is_sqlite else "ai_trace t INDEXED BY ix_ai_trace_listed"

    def search(self, terms: Sequence[str]) -> tuple[str, str, str, list[tuple[str, Any]]]:
        """The words first, in the order of time; of the traces only those that are shown."""
        function = "strpos" if self.backend == "postgresql" else "instr"
        join = "CROSS JOIN" if self.is_sqlite else "JOIN"
        found = [(f"{function}(s.words, {self.mark}) > 0", f" {term}") for term in terms]
        traces = self.listed(False)
        on = "t.started_at = s.started_at AND t.name = s.trace"
        return f"ai_trace_search s {join} {traces} ON {on}", "s.started_at", "s.trace", found
