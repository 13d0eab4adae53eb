"""The traces of all chats of one worker: a tracer for each site, and one publisher for all that share a Redis."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

import ai_assistant
from ai_assistant.core.chat import ChatRequest
from ai_assistant.core.settings import Settings
from ai_assistant.core.task import Task
from ai_assistant.traces.metrics import Bounds
from ai_assistant.tracing.client import Client
from ai_assistant.tracing.settings import Settings as TracingSettings
from ai_assistant.tracing.sinks.redis import RedisSink
from ai_assistant.tracing.tracer import Tracer
from ai_assistant.worker.chat_trace import ChatTrace

log = logging.getLogger("ai_assistant.worker")

SERVICE: Final = "ai-assistant"
CLOSE_S: Final = 3.0
"""How long the end of a worker waits for the last delivery; what is not delivered then is lost, and missed."""


class ChatTraces:
    """Begins traces. Nothing runs, and nothing is connected, before the first one."""

    def __init__(self, redis_url: str, bounds: Bounds = Bounds()):  # noqa: B008  # frozen
        """`redis_url`: where the streams of traces are, unless a site names another Redis. `bounds`: of each."""
        self._redis_url = redis_url
        self._bounds = bounds
        self._clients: dict[str, Client] = {}
        self.failures = 0
        """Traces that could not be begun."""

    def begin(
        self, task: Task, request: ChatRequest, settings: Settings, *, queue_ms: int, redis_url: str | None = None
    ) -> ChatTrace | None:
        """The trace of a task that runs now; `None` where the site wants none. Does not raise."""
        if not settings.trace_chats:
            return None
        try:
            tracer = self._tracer(redis_url or self._redis_url, task.ref.site)
            return ChatTrace(tracer, task, request, queue_ms, with_content=bool(settings.trace_content))
        except Exception:
            self.failures += 1
            log.exception("task %s is not traced (%d such failures)", task.ref.id, self.failures)
            return None

    def _tracer(self, redis_url: str, site: str) -> Tracer:
        client = self._clients.get(redis_url)
        if client is None:
            settings = TracingSettings(redis_url=redis_url, service=SERVICE, release=ai_assistant.__version__)
            sink = RedisSink(redis_url, max_entries=self._bounds.entries, max_bytes=self._bounds.bytes)
            client = self._clients[redis_url] = Client(settings, sink)
        return client.tracer(site)

    async def close(self) -> None:
        """Delivers what waits, and ends the publishers."""
        clients, self._clients = self._clients, {}
        await asyncio.gather(*(asyncio.to_thread(client.shutdown, CLOSE_S) for client in clients.values()))

    def stats(self) -> dict[str, int]:
        """Figures of the publishers, added up: events made, delivered, dropped and waiting, and failures."""
        found = [client.status() for client in self._clients.values()]
        names = ("made", "delivered", "dropped", "refused", "waiting", "errors")
        return {**{name: sum(each[name] for each in found) for name in names}, "failures": self.failures}
