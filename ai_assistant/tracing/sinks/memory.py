"""Keeps events in memory, for tests of traced code."""

from __future__ import annotations

from typing import Any

from ai_assistant.core.trace_event import TraceEvent, unpack_one
from ai_assistant.tracing.sinks import Health


class MemorySink:
    """Every event that was delivered, in order."""

    def __init__(self) -> None:
        self.events: list[TraceEvent] = []
        self.beats: list[dict[str, Any]] = []

    def send(self, site: str, producer: str, entries: list[list[bytes]], beat: dict[str, Any]) -> None:
        """See `Sink.send`."""
        self.events += [unpack_one(event) for entry in entries for event in entry]
        self.beats.append(beat)

    def leave(self, site: str, producer: str) -> None:
        """See `Sink.leave`."""

    def check(self, site: str) -> Health:
        """See `Sink.check`."""
        return Health(where="memory", connected=True, consumer_age_s=0.0)

    def after_fork(self) -> None:
        """See `Sink.after_fork`."""

    def close(self) -> None:
        """See `Sink.close`."""
