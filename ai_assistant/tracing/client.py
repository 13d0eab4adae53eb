"""A program's tracing: what `init` makes."""

from __future__ import annotations

import atexit
import logging
import os
import weakref
from collections.abc import Callable
from typing import Any

from ai_assistant.tracing.context import CURRENT
from ai_assistant.tracing.forks import register_end_of_child, register_ends
from ai_assistant.tracing.ids import Ids, now_us
from ai_assistant.tracing.no_span import NoSpan
from ai_assistant.tracing.pipeline import Pipeline
from ai_assistant.tracing.redact import Redactor
from ai_assistant.tracing.settings import Settings, Site
from ai_assistant.tracing.sinks import Health, Sink
from ai_assistant.tracing.tracer import Tracer

log = logging.getLogger("ai_assistant.tracing")

HEALTHY_S = 15.0
"""A consumer that gave a sign of life within so many seconds is at work: it gives one every five."""
NO_SITE = "traces"
"""What stands for the site where the receiver knows it: over HTTP."""


class Client:
    """Settings, tracers and the publisher of a program."""

    def __init__(
        self, settings: Settings, sink: Sink | None, *, ids: Ids | None = None, clock: Callable[[], int] = now_us
    ):
        """Without a sink nothing is traced, and everything is free. `clock` gives epoch microseconds."""
        self.settings = settings
        self.enabled = sink is not None and settings.enabled
        self._ids = ids
        self._clock = clock
        self._tracers: dict[Any, Tracer] = {}
        self.pipeline: Pipeline | None = None
        self.default: Tracer | None = None
        if sink is not None and settings.enabled:
            self.pipeline = Pipeline(
                sink,
                Redactor(settings.mask, settings.mask_patterns),
                buffer_bytes=settings.buffer_bytes,
                flush_interval=settings.flush_interval,
                service=settings.service,
                clock=clock,
            )
            self.default = self.tracer(settings.site or NO_SITE)
            if not CLIENTS:
                register_end_of_child(_end)
            CLIENTS.add(self)

    def tracer(self, site: Site, *, settings: Settings | None = None) -> Tracer:
        """Begins observations for a site: a name, or a function that gives it for each trace. Raises ValueError where
        nothing is traced."""
        if self.pipeline is None:
            raise ValueError("tracing is off: ask `enabled` first")
        key = (site, settings)
        tracer = self._tracers.get(key) if settings is None else None
        if tracer is None:
            tracer = Tracer(self.pipeline, settings or self.settings, site, ids=self._ids or Ids(), clock=self._clock)
            if settings is None:
                self._tracers[key] = tracer
        return tracer

    def check(self) -> Health:
        """Looks at the connection and at the consumer. Does not raise."""
        if self.pipeline is None:
            return Health(where="nowhere", connected=False, problem="tracing is off")
        try:
            site: Any = self.settings.site() if callable(self.settings.site) else self.settings.site
        except Exception as error:  # noqa: BLE001  # the program's own function; said in the answer
            return Health(where="nowhere", connected=False, problem=f"site: {error!r}")
        try:
            return self.pipeline.sink.check(str(site or NO_SITE))
        except Exception as error:  # noqa: BLE001  # what no sink foresaw; without its words, which may hold a password
            return Health(where="nowhere", connected=False, problem=f"{type(error).__name__} while it was looked")

    def flush(self, timeout: float = 5.0) -> bool:
        """Whether everything noted so far was delivered within `timeout` seconds."""
        return self.pipeline.flush(timeout) if self.pipeline else True

    def shutdown(self, timeout: float | None = None) -> bool:
        """Delivers what waits and ends; whether all was delivered. What is noted later is lost."""
        if self.pipeline is None:
            return True
        self.enabled = False
        CLIENTS.discard(self)
        return self.pipeline.shutdown(self.settings.shutdown_timeout if timeout is None else timeout)

    def status(self) -> dict[str, Any]:
        """Figures of the publisher."""
        return {"enabled": self.enabled, **(self.pipeline.status() if self.pipeline else {})}

    def after_fork(self) -> None:
        """In a child process."""
        if self.pipeline is None:
            return
        self.pipeline.after_fork()
        for tracer in self._tracers.values():
            tracer.after_fork()
            tracer.ids = self._ids or Ids()


CLIENTS: weakref.WeakSet[Client] = weakref.WeakSet()
"""Those that live, for what concerns the process: its end, its forks."""


def _end() -> None:
    for client in list(CLIENTS):
        client.shutdown()


def _after_fork() -> None:
    """A child goes on below its parent's current observation, which the parent ends."""
    for client in list(CLIENTS):
        client.after_fork()
    span = CURRENT.get()
    if span is not None and not isinstance(span, NoSpan):
        CURRENT.set(span.in_child())


def _before_fork() -> None:
    if CLIENTS:
        register_ends(_end)


atexit.register(_end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork)
