"""Plain SQL for rows of traces, prepared by the names of their columns; errors told apart.

Thousands of rows a second go through here, each with some forty columns: the statements go to the driver as they are,
since SQLAlchemy's processing of each value would cost more than the database does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from ai_assistant.core.errors import ServiceUnavailableError
from ai_assistant.host import trace_times
from ai_assistant.host.database import UnitOfWork
from ai_assistant.traces.listing import Words

TIMES = frozenset({"started_at", "ended_at", "creation", "modified", "last_at", "heard_at", "viewed_at"})
STORED_NAMES = {"parent": "parent_span"}
"""Columns of observations that the DocType has to name otherwise: `parent` is Frappe's own."""
CHUNK = 500
"""Values in one list of SQL."""
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
        return ServiceUnavailableError(f"The database cannot be used at the moment: {error.orig}", retry_after=1)
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


def chunks(names: Sequence[str]) -> Iterator[Sequence[str]]:
    """The names in pieces of CHUNK, each once and in order."""
    rest = iter(sorted(set(names)))
    while piece := tuple(islice(rest, CHUNK)):
        yield piece


class Sql:
    """Statements in the words of one database, run on a unit of work's connection."""

    def __init__(self, work: UnitOfWork, dialect: sa.Dialect):
        self._work = work
        self.backend = {"mariadb": "mysql"}.get(dialect.name, dialect.name)
        self.is_sqlite = self.backend == "sqlite"
        self.quote = "`" if self.backend == "mysql" else '"'
        self.mark = "?" if dialect.paramstyle == "qmark" else "%s"
        self.to_moment = trace_times.to_text if self.is_sqlite else trace_times.to_datetime
        self.from_moment = trace_times.from_text if self.is_sqlite else trace_times.from_datetime
        self.words = Words(self.quote, self.mark, self.to_moment, "ai_trace_tag")

    def read(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """Rows of a query."""
        with telling():
            return list(self._work.reading().exec_driver_sql(statement, tuple(values)))

    def read_current(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """Rows of a query, inside the write transaction: what it finds is still true at its end."""
        with telling():
            return list(self._work.writing().exec_driver_sql(statement, tuple(values)))

    def write(self, statement: str, values: Sequence[Any] = ()) -> int:
        """Runs a statement; gives how many rows it changed."""
        with telling():
            return self._work.writing().exec_driver_sql(statement, tuple(values)).rowcount

    def write_many(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Runs a statement for each of the rows."""
        if rows:
            with telling():
                self._work.writing().exec_driver_sql(statement, list(rows))

    def names(self, columns: Sequence[str]) -> str:
        """Columns, quoted, by the names that they are stored under."""
        return ", ".join(f"{self.quote}{STORED_NAMES.get(name, name)}{self.quote}" for name in columns)

    def values(self, row: Mapping[str, Any]) -> tuple[Any, ...]:
        """A row's values as the database wants them."""
        to_moment = self.to_moment
        return tuple(to_moment(value) if name in TIMES else value for name, value in row.items())

    def rows(self, found: Sequence[Any], columns: Sequence[str]) -> list[dict[str, Any]]:
        """Rows of a query as dicts by these columns."""
        at = [index for index, name in enumerate(columns) if name in TIMES]
        from_moment, dicts = self.from_moment, []
        for each in found:
            row = dict(zip(columns, each, strict=True))
            for index in at:
                row[columns[index]] = from_moment(each[index])
            dicts.append(row)
        return dicts

    def upsert(self, table: str, columns: tuple[str, ...], kept: frozenset[str]) -> str:
        """Makes a row, or sets its columns but `kept` where one of its name is there."""
        return upsert(self.backend, self.quote, self.mark, table, columns, kept)

    def update(self, table: str, columns: tuple[str, ...]) -> str:
        """Sets columns of the row with a name, which is the last value."""
        sets = ", ".join(f"{self.names([name])} = {self.mark}" for name in columns)
        return f"UPDATE {table} SET {sets} WHERE name = {self.mark}"


@lru_cache(512)
def upsert(backend: str, quote: str, mark: str, table: str, columns: tuple[str, ...], kept: frozenset[str]) -> str:
    """See `Sql.upsert`."""
    quoted = [f"{quote}{STORED_NAMES.get(name, name)}{quote}" for name in columns]
    changed = [name for name, column in zip(quoted, columns, strict=True) if column not in kept]
    head = f"INSERT INTO {table} ({', '.join(quoted)}) VALUES ({', '.join([mark] * len(columns))})"
    if backend == "mysql":
        sets = ", ".join(f"{name} = VALUES({name})" for name in changed) or "name = name"
        return f"{head} ON DUPLICATE KEY UPDATE {sets}"
    if not changed:
        return f"{head} ON CONFLICT (name) DO NOTHING"
    return f"{head} ON CONFLICT (name) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in changed)}"
