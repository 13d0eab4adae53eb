"""Brings a database's schema up to date at start, by adding what it lacks: tables, columns, indexes.

Nothing is ever dropped or changed in place, so older code can go on with a database that newer code has extended,
unless the newer code raised `SCHEMA_VERSION`. Every change is recorded in `schema_change`.

Safe to interrupt: on SQLite (and PostgreSQL) all of it is one transaction; on MariaDB, where each statement commits
by itself, the next start finds what is still missing and goes on. Two processes that start together take turns.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.schema import CreateColumn, CreateIndex, CreateTable, ExecutableDDLElement

from ai_assistant import __version__
from ai_assistant.core.errors import ConfigError
from ai_assistant.host.schema import METADATA, SCHEMA_VERSION

if TYPE_CHECKING:
    from ai_assistant.host.database import Database

log = logging.getLogger(__name__)

LOCK_TIMEOUT_S = 60
"""How long a second process waits for the first one's upgrade."""

CHANGES = sa.Table(
    "schema_change",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("applied_at", sa.DateTime, nullable=False),
    sa.Column("schema_version", sa.Integer, nullable=False),
    sa.Column("package_version", sa.String(40), nullable=False),
    sa.Column("statement", sa.Text, nullable=False),
)


def upgrade(database: Database, metadata: sa.MetaData, version: int = SCHEMA_VERSION) -> list[str]:
    """Adds what `metadata` declares and the database lacks; gives the statements that were run.

    Raises ConfigError when the database was written under a higher version than `version`.
    """
    with database.write() as connection, _exclusive(connection):
        CHANGES.create(connection, checkfirst=True)
        known = connection.scalar(sa.select(sa.func.max(CHANGES.c.schema_version)))
        if known is not None and known > version:
            raise _too_new(connection, known, version)
        statements = [_run(connection, ddl, version) for ddl in _missing(connection, metadata)]
        _mark_complete(connection, version)
    for statement in statements:
        log.debug("database: %s", statement.split("(", 1)[0].strip())
    if statements:
        log.info("database: %s; %d changes", "schema upgraded" if known else "set up", len(statements))
    return statements


def _missing(connection: sa.Connection, metadata: sa.MetaData) -> Iterator[ExecutableDDLElement]:
    """The DDL for what is declared and is not there, in an order that can be run."""
    inspector = sa.inspect(connection)
    existing = set(inspector.get_table_names())
    for table in metadata.sorted_tables:
        indexes: set[str | None] = set()
        if table.name in existing:
            columns = {column["name"] for column in inspector.get_columns(table.name)}
            indexes = {index["name"] for index in inspector.get_indexes(table.name)}
            yield from (_add_column(column, connection) for column in table.columns if column.name not in columns)
        else:
            yield CreateTable(table)
        yield from (CreateIndex(i) for i in _sorted(table.indexes) if i.name not in indexes)


def _sorted(indexes: set[sa.Index]) -> list[sa.Index]:
    return sorted(indexes, key=lambda index: str(index.name))


def _add_column(column: sa.Column, connection: sa.Connection) -> sa.DDL:
    """ALTER TABLE … ADD COLUMN. Rows that exist get the server default, else NULL."""
    default = column.server_default
    default_text: Any = default.arg if isinstance(default, sa.DefaultClause) else None
    nullable = column.nullable or default is None
    copy = sa.Column(column.name, column.type, nullable=nullable, server_default=default_text)
    sa.Table(column.table.name, sa.MetaData(), copy)
    table = connection.dialect.identifier_preparer.format_table(column.table)
    definition = str(CreateColumn(copy).compile(dialect=connection.dialect)).replace("%", "%%")
    return sa.DDL(f"ALTER TABLE {table} ADD COLUMN {definition}")


def _run(connection: sa.Connection, ddl: ExecutableDDLElement, version: int) -> str:
    """Runs one statement. Recorded before it: where DDL commits by itself, that commits the record too, so that no
    change is ever made without one; a statement that was cut off is in the record twice."""
    statement = " ".join(str(ddl.compile(dialect=connection.dialect)).split())
    _record(connection, version, statement)
    connection.execute(ddl)
    return statement


def _mark_complete(connection: sa.Connection, version: int) -> None:
    """Notes that everything of a version is there."""
    mark = f"schema version {version}"
    if connection.scalar(sa.select(CHANGES.c.id).where(CHANGES.c.statement == mark).limit(1)) is None:
        _record(connection, version, mark)


def _record(connection: sa.Connection, version: int, statement: str) -> None:
    connection.execute(
        CHANGES.insert().values(
            applied_at=datetime.now(timezone.utc).replace(tzinfo=None),
            schema_version=version,
            package_version=__version__,
            statement=statement,
        )
    )


def _too_new(connection: sa.Connection, known: int, version: int) -> ConfigError:
    newest = connection.scalar(sa.select(CHANGES.c.package_version).where(CHANGES.c.schema_version == known).limit(1))
    return ConfigError(
        "database_url",
        f"this database was written by AI Assistant {newest} (schema {known}), which is newer than this program "
        f"({__version__}, schema {version}). Install that version, or use another data folder",
    )


@contextmanager
def _exclusive(connection: sa.Connection) -> Iterator[None]:
    """One upgrade at a time. SQLite's write lock does that by itself; the others need a lock of their own."""
    backend = connection.dialect.name
    if backend in ("mysql", "mariadb"):
        name = "ai_assistant_schema"
        if not connection.scalar(sa.select(sa.func.get_lock(name, LOCK_TIMEOUT_S))):
            message = f"another process has been upgrading it for {LOCK_TIMEOUT_S} s; see whether it hangs"
            raise ConfigError("database_url", message)
        try:
            yield
        finally:
            connection.scalar(sa.select(sa.func.release_lock(name)))
        return
    if backend == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext("ai_assistant_schema"))))
    yield
