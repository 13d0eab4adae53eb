"""A worker as a process of its own, for tests that kill it: `worker_main.py '<JSON>'`; says `ready` when it is.

The JSON: `redis`, `upstream`, `database` (a SQLite file), `options` of the worker, `settings`.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from ai_assistant.core.model import ModelConfig
from ai_assistant.core.settings import Settings
from ai_assistant.host.conversations import SqlConversations
from ai_assistant.host.database import Database, UnitOfWork
from ai_assistant.worker.worker import Worker, WorkerOptions
from tests.kit import MODEL, SCOPE, SITE, model


class Config(msgspec.Struct):
    """What the test says."""

    redis: str
    upstream: str
    database: str
    options: WorkerOptions
    settings: Settings = Settings()


class SqlAccess:
    """`core.ports.SiteAccess` over a SQLite file."""

    def __init__(self, config: Config, work: UnitOfWork):
        self._config = config
        self.conversations = SqlConversations(work)
        self.trace_redis_url = None
        self.otel = None

    def settings(self) -> Settings:
        """The test's settings."""
        return self._config.settings

    def models(self) -> dict[str, ModelConfig]:
        """The provider of the test."""
        return {MODEL: model(self._config.upstream)}


class SqlSite:
    """`core.ports.SiteOpener` over a SQLite file."""

    def __init__(self, config: Config, busy_timeout: float = 1.0):
        self._config = config
        self.database = Database.open(Path(config.database), busy_timeout=busy_timeout)

    @contextmanager
    def open(self, site: str) -> Iterator[SqlAccess]:
        """A unit of work."""
        with self.database.unit() as work:
            yield SqlAccess(self._config, work)


async def main(config: Config) -> None:
    """Works until SIGTERM."""
    worker = Worker(config.redis, SCOPE, SqlSite(config), sites=(SITE,), options=config.options)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
    running: Any = asyncio.create_task(worker.run())
    await worker.ready.wait()
    print("ready", worker.id, flush=True)  # noqa: T201  # the test waits for it
    await running


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(main(msgspec.json.decode(sys.argv[1], type=Config)))
