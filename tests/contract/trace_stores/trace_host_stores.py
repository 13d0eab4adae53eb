"""The embedded host's store of traces, on SQLite and on any database."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trace_factories import Stores

from ai_assistant.core.trace_ports import TraceStore
from ai_assistant.host.database import Database
from ai_assistant.host.schema import OBSERVATION, TRACE, TRACE_PRODUCER, TRACE_SEARCH, TRACE_TAG, TRACE_VIEW
from ai_assistant.host.traces import SqlTraces

DATABASE_URL = "AI_ASSISTANT_TEST_DATABASE_URL"
"""A SQLAlchemy URL of an empty database, for example mysql+pymysql://root@127.0.0.1:3306/test"""


def stores_of(database: Database) -> Stores:
    @contextmanager
    def open_store() -> Iterator[TraceStore]:
        with database.unit() as work:
            yield SqlTraces(work)

    return open_store


@contextmanager
def sqlite(folder: Path) -> Iterator[Stores]:
    database = Database.open(folder / "assistant.db")
    yield stores_of(database)
    database.close()


@contextmanager
def database_url(folder: Path) -> Iterator[Stores]:
    database = Database.open(os.environ[DATABASE_URL])
    with database.write() as connection:
        for table in (OBSERVATION, TRACE_TAG, TRACE_VIEW, TRACE_SEARCH, TRACE, TRACE_PRODUCER):
            connection.execute(table.delete())
    yield stores_of(database)
    database.close()


FACTORIES = {"sqlite": sqlite}
if DATABASE_URL in os.environ:
    FACTORIES["database_url"] = database_url
