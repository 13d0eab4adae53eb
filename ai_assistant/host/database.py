"""The embedded host's database: SQLite in the data folder, or any SQLAlchemy URL.

    database = Database.open("sqlite:////data/assistant.db")   # schema made or upgraded here
    with database.read() as connection: …                       # one consistent snapshot
    with database.write() as connection: …                      # committed at the end, rolled back on an exception

Every call blocks: none of them belongs on an event loop. Safe to use from several threads and several processes.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError

from ai_assistant.core.errors import ConfigError, ServiceUnavailableError
from ai_assistant.host.schema import METADATA
from ai_assistant.host.upgrade import upgrade

BUSY_TIMEOUT_S = 10.0
"""How long a write waits for another one before it gives up with 503."""

PRAGMAS = (
    "PRAGMA synchronous = NORMAL",  # with WAL: a power cut may lose the last commits, never consistency
    "PRAGMA foreign_keys = ON",
    "PRAGMA journal_size_limit = 67108864",
)


class UnitOfWork:
    """One connection for one piece of work. Reads see one snapshot until the first write begins.

    SQLite lets one writer in at a time, and a snapshot that is already open cannot become a writer once somebody
    else has written. Writing therefore starts a transaction of its own, which holds the write lock from its first
    statement: what it reads after that is still true when it commits.
    """

    def __init__(self, database: Database):
        self._database = database
        self._connection: sa.Connection | None = None
        self._is_writing = False

    @property
    def dialect(self) -> sa.Dialect:
        """The database's kind, without connecting."""
        return self._database.engine.dialect

    def reading(self) -> sa.Connection:
        """The connection to read from; inside the write transaction when there is one."""
        if self._connection is None:
            self._connection = self._database.engine.connect()
        return self._connection

    def writing(self) -> sa.Connection:
        """The connection inside a write transaction. Raises ServiceUnavailableError when the lock stays taken."""
        connection = self.reading()
        if not self._is_writing:
            connection.rollback()
            self._database.begin_write(connection)
            self._is_writing = True
        return connection

    def close(self, *, commit: bool) -> None:
        """Ends the work and gives the connection back."""
        if self._connection is None:
            return
        try:
            self._connection.commit() if commit else self._connection.rollback()
        finally:
            self._connection.close()
            self._connection = None
            if self._is_writing:
                self._is_writing = False
                self._database.end_write()


class Database:
    """An engine whose schema is up to date. Make it with `Database.open`."""

    def __init__(self, engine: sa.Engine, *, busy_timeout: float = BUSY_TIMEOUT_S):
        self.engine = engine
        self.is_sqlite = engine.dialect.name == "sqlite"
        self._busy_timeout = busy_timeout
        self._write_lock = threading.Lock()

    @classmethod
    def open(
        cls, url: str | Path, *, metadata: sa.MetaData = METADATA, busy_timeout: float = BUSY_TIMEOUT_S
    ) -> Database:
        """Connects to a SQLAlchemy URL (or the path of a SQLite file) and brings the schema up to date.

        Declare every table on `metadata` before. Raises ConfigError for `database_url`: unknown driver, a database
        that cannot be reached or is none, or one that a newer version of this program has written.
        """
        database = cls(_engine(url, busy_timeout), busy_timeout=busy_timeout)
        try:
            upgrade(database, metadata)
        except DBAPIError as error:
            database.close()
            raise ConfigError("database_url", f"the database cannot be opened: {error.orig}") from error
        except BaseException:
            database.close()
            raise
        return database

    @contextmanager
    def unit(self) -> Iterator[UnitOfWork]:
        """A unit of work: committed when it ends well, rolled back when it raises."""
        work = UnitOfWork(self)
        try:
            yield work
        except BaseException:
            work.close(commit=False)
            raise
        work.close(commit=True)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection that sees one snapshot; nothing is written."""
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A write transaction, which on SQLite has the write lock from the start."""
        with self.unit() as work:
            yield work.writing()

    def begin_write(self, connection: sa.Connection) -> None:
        """Starts the write transaction of `connection`; `end_write` must follow. Threads of this process queue up
        at a lock, because SQLite's own waiting is neither fair nor quick."""
        if not self.is_sqlite:
            connection.begin()
            return
        if not self._write_lock.acquire(timeout=self._busy_timeout):
            raise ServiceUnavailableError("The database is busy. Try again in a moment.", retry_after=1)
        try:
            connection.execution_options(sqlite_begin="BEGIN IMMEDIATE")
            connection.begin()
        except BaseException as error:
            self._write_lock.release()
            if isinstance(error, OperationalError) and "locked" in str(error.orig):
                message = "The database is busy. Try again in a moment."
                raise ServiceUnavailableError(message, retry_after=1) from error
            raise

    def end_write(self) -> None:
        """After the end of a transaction that `begin_write` started."""
        if self.is_sqlite:
            self._write_lock.release()

    def close(self) -> None:
        """Closes the pooled connections."""
        self.engine.dispose()


def _engine(url: str | Path, busy_timeout: float) -> sa.Engine:
    """The engine of a URL or of a SQLite file's path."""
    parsed = sa.URL.create("sqlite", database=str(url)) if isinstance(url, Path) else _parse(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite_engine(parsed, busy_timeout)
    try:
        return sa.create_engine(
            parsed, isolation_level="READ COMMITTED", pool_pre_ping=True, pool_size=8, pool_timeout=busy_timeout
        )
    except (NoSuchModuleError, ImportError) as error:
        message = f"there is no driver for {parsed.drivername!r} ({error}); install it into this environment"
        raise ConfigError("database_url", message) from error


def _parse(url: str) -> sa.URL:
    try:
        return sa.make_url(url)
    except (ArgumentError, ValueError) as error:
        message = "this is no SQLAlchemy URL; an example is sqlite:////path/to/assistant.db"
        raise ConfigError("database_url", message) from error


def _sqlite_engine(url: sa.URL, busy_timeout: float) -> sa.Engine:
    """SQLite with WAL, and with transactions that begin when we say so (Python's own begin too late)."""
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        message = "a database in memory is not shared by threads; give the path of a file"
        raise ConfigError("database_url", message)
    _create_private(Path(url.database))
    engine = sa.create_engine(
        url, connect_args={"timeout": busy_timeout}, pool_size=8, max_overflow=24, pool_timeout=busy_timeout
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _create_private(path: Path) -> None:
    """Makes the file readable by its owner only: it holds people's conversations."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise ConfigError("database_url", f"{path} cannot be written: {error.strerror}") from error


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    _use_wal(connection)
    for pragma in PRAGMAS:
        connection.execute(pragma)


def _use_wal(connection: Any) -> None:
    """With a write-ahead log readers and the writer do not stop each other. It stays with the file.

    Two processes that make the same file at the same time both try to switch it on, and SQLite does not wait for a
    lock there (its busy handler is not called; sqlite.org/c3ref/busy_handler.html): so this waits.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _begin_sqlite(connection: sa.Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))
