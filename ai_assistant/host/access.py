"""Units of work of the embedded host: its configuration and its stores, as `core.ports` wants them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ai_assistant.core.check import shown
from ai_assistant.core.errors import DoesNotExistError
from ai_assistant.core.model import ModelConfig
from ai_assistant.core.otel import OtelConfig
from ai_assistant.core.settings import Settings
from ai_assistant.host.config import HostConfig
from ai_assistant.host.conversations import SqlConversations
from ai_assistant.host.database import Database, UnitOfWork
from ai_assistant.host.trace_sql import telling
from ai_assistant.host.traces import SqlTraces


class HostAccess:
    """`core.ports.SiteAccess`. Settings and models are the configuration's: they change with a restart only."""

    def __init__(self, config: HostConfig, work: UnitOfWork):
        self._config = config
        self.conversations = SqlConversations(work)
        self.traces = SqlTraces(work)

    def settings(self) -> Settings:
        """The settings of the configuration."""
        return self._config.settings

    def models(self) -> dict[str, ModelConfig]:
        """The models of the configuration, in the file's order."""
        return self._config.models_by_name()

    @property
    def otel(self) -> OtelConfig:
        """`[otel]` of the configuration, or OpenTelemetry's own variables."""
        return self._config.otel

    @property
    def trace_redis_url(self) -> str | None:
        """None: traces are where the tasks are."""
        return None


class HostOpener:
    """`core.ports.SiteOpener` over one database. Any thread may open a unit of work of its own; no connection is
    taken before a store is asked."""

    def __init__(self, config: HostConfig, database: Database):
        self._config = config
        self._database = database

    @contextmanager
    def open(self, site: str) -> Iterator[HostAccess]:
        """A unit of work on the one site that there is. Raises DoesNotExistError for another, and
        ServiceUnavailableError where the database cannot keep what was written."""
        if site != self._config.site:
            raise DoesNotExistError(f"site: this server is {self._config.site}, not {shown(site)}")
        work = UnitOfWork(self._database)
        try:
            yield HostAccess(self._config, work)
        except BaseException:
            work.close(commit=False)
            raise
        with telling():
            work.close(commit=True)
