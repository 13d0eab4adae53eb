"""Fixtures of this folder: worker processes over one SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from processes import WorkerProcess

from tests.redis_fixtures import (  # noqa: F401
    client,
    proxy,
    redis_server,
    redis_url,
    tasks,
    upstream,
    upstream_server,
)
from tests.servers import Upstream

Spawn = Callable[..., list[WorkerProcess]]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """The file of the conversations."""
    return tmp_path / "conversations.db"


@pytest.fixture
def spawn(redis_url: str, upstream: Upstream, database: Path) -> Iterator[Spawn]:  # noqa: F811
    """Starts so many worker processes, and returns when all are ready."""
    running: list[WorkerProcess] = []

    def start(
        count: int = 1, *, url: str | None = None, settings: dict[str, Any] | None = None, **options: Any
    ) -> list[WorkerProcess]:
        new = [
            WorkerProcess(url or redis_url, upstream.base, database, settings or {}, **options) for _ in range(count)
        ]
        running.extend(new)
        return [each.wait_ready() for each in new]

    yield start
    for each in running:
        each.close()


@pytest.fixture
def message(database: Path) -> Callable[[str], tuple[Any, ...] | None]:
    """Status and content of a message in the database; `None` when it is not there."""

    def read(name: str) -> tuple[Any, ...] | None:
        with closing(sqlite3.connect(database)) as connection:
            return connection.execute("SELECT status, content FROM ai_message WHERE name = ?", (name,)).fetchone()

    return read
