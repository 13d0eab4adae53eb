"""The trace consumers of one worker: the same process stores what it, and everybody else, has traced."""

from __future__ import annotations

import asyncio
import os
import socket
import uuid
from collections.abc import Callable, Iterable

from ai_assistant.core.ports import SiteOpener
from ai_assistant.streams.connection import end_tasks
from ai_assistant.traces.consumer import Consumer
from ai_assistant.traces.consumer_options import ConsumerOptions
from ai_assistant.traces.otlp_sender import OtlpSender
from ai_assistant.worker.site_thread import SiteThreads
from ai_assistant.worker.supervisor import Supervisor


class TraceConsumers:
    """One consumer for each Redis that has streams of traces; in most cases there is one. `run` works until `stop`."""

    def __init__(
        self,
        redis_urls: Iterable[str],
        opener: SiteOpener,
        options: ConsumerOptions | None = ConsumerOptions(),  # noqa: B008  # frozen
        *,
        is_busy: Callable[[], bool] = lambda: False,
    ):
        """`options` of `None`: there is none. `is_busy`: whether the process has more urgent things to do."""
        self.supervisor = Supervisor()
        # with threads of its own: storing must not wait for what goes out
        self.sender = OtlpSender(SiteThreads(opener), f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}")
        self.consumers: list[Consumer] = []
        for url in dict.fromkeys(redis_urls if options else ()):
            # with threads of its own: a chat's unit of work must not wait for a batch of traces
            threads = SiteThreads(opener)
            self.consumers.append(
                Consumer(
                    url,
                    threads,
                    self.supervisor,
                    options=options or ConsumerOptions(),
                    is_busy=is_busy,
                    on_ended=self.sender.offer,
                )
            )

    async def run(self) -> None:
        """Works until `stop`; then sends to OpenTelemetry what waits, within a few seconds."""
        sending = asyncio.create_task(self.supervisor.keep("OpenTelemetry", self.sender.run), name="OpenTelemetry")
        try:
            await asyncio.gather(*(consumer.run() for consumer in self.consumers))
        finally:
            await end_tasks([sending])
            await self.sender.finish()

    def serve(self, sites: Iterable[str]) -> None:
        """Serves these sites before anybody has traced there, at the first Redis."""
        for consumer in self.consumers[:1]:
            consumer.serve(sites)

    def stop(self) -> None:
        """Asks them to end after the batches that they have."""
        for consumer in self.consumers:
            consumer.stop()

    @property
    def is_stopping(self) -> bool:
        """Whether `stop` was called."""
        return any(consumer.is_stopping for consumer in self.consumers)

    @property
    def waiting(self) -> int:
        """Entries that waited when they looked last."""
        return sum(consumer.waiting for consumer in self.consumers)
