"""The embedded host's stores, on SQLite and on any database."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from store_factories import Stores

from ai_assistant.core.ports import ConversationStore
from ai_assistant.host.conversations import SqlConversations
from ai_assistant.host.database import Database
from ai_assistant.host.schema import CONVERSATION, MESSAGE

DATABASE_URL = "AI_ASSISTANT_TEST_DATABASE_URL"
"""A SQLAlchemy URL of an empty database, for example mysql+pymysql://root@127.0.0.1:3306/test"""


def stores_of(database: Database) -> Stores:
    @contextmanager
    def open_store() -> Iterator[ConversationStore]:
        with database.unit() as work:
            yield SqlConversations(work)

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
        connection.execute(MESSAGE.delete())
        connection.execute(CONVERSATION.delete())
    yield stores_of(database)
    database.close()


FACTORIES = {"sqlite": sqlite}
if DATABASE_URL in os.environ:
    FACTORIES["database_url"] = database_url
