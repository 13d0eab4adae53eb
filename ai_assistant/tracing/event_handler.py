"""Writes typed events into the trace: `emitter.add(tracing_handler)`.

What started, completed or failed becomes an observation with a beginning and an end: of type `tool` for tools, `span`
for processing. What an application found becomes an event with its value, confidence and reasoning. All of it goes
below the processing of the same subject that is open, else below the observation that is current where it is emitted.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any, Final

from ai_assistant.tracing.context import CURRENT
from ai_assistant.tracing.span import Span
from ai_assistant.tracing.state import start_span
from ai_assistant.tracing.tracer import current
from ai_assistant.tracing.typed_events import (
    ApplicationEvent,
    Event,
    ProcessingCompleted,
    ProcessingFailed,
    ProcessingStarted,
    ToolCompleted,
    ToolFailed,
    ToolProgress,
    ToolStarted,
)

MAX_OPEN: Final = 10_000
"""Observations that may be open at once; an older one that nobody ended gives way, and ends as cancelled."""

Key = tuple[Any, ...]


class TracingHandler:
    """A handler for an `Emitter`, which runs within `emit`. Thread-safe."""

    inline = True

    def __init__(self) -> None:
        self._open: OrderedDict[Key, tuple[Span, Key]] = OrderedDict()
        """By trace, subject, type, name and call: the observation, and where it was begun."""
        self._processing: dict[Key, list[Span]] = {}
        """Processing that is open, by the observation that was current at its beginning, and its subject."""
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        """Writes one event."""
        if isinstance(event, ProcessingStarted):
            self._start(key_of(event, "span"), event, total=event.total)
        elif isinstance(event, ToolStarted):
            self._start(key_of(event, "tool"), event, input=event.arguments, tool_call_id=event.tool_call_id)
        elif isinstance(event, ToolProgress):
            known = self._open.get(key_of(event, "tool"))
            (known[0] if known else self._above(event)).progress(event.progress, message=event.message)
        elif isinstance(event, (ProcessingCompleted, ProcessingFailed)):
            self._end(key_of(event, "span"), event)
        elif isinstance(event, (ToolCompleted, ToolFailed)):
            self._end(key_of(event, "tool"), event)
        elif isinstance(event, ApplicationEvent):
            self._note(self._above(event), event)
        else:
            self._above(event).event(event.kind, event.fields())

    def _start(self, key: Key, event: Any, **values: Any) -> None:
        begun_at = (current().id, event.subject)
        span = below(self._above(event), event.name, key[2], subject=event.subject, metadata=event.data, **values)
        if not span.is_recording:
            return
        with self._lock:
            given_up = [self._open.pop(key, None)]
            self._open[key] = (span, begun_at)
            if key[2] == "span":
                self._processing.setdefault(begun_at, []).append(span)
            if len(self._open) > MAX_OPEN:
                given_up.append(self._open.popitem(last=False)[1])
            for known in given_up:
                self._forget(known)
        for known in given_up:
            if known is not None:
                known[0].end(status="cancelled")

    def _end(self, key: Key, event: Any) -> None:
        with self._lock:
            known = self._open.pop(key, None)
            self._forget(known)
        span = known[0] if known else below(self._above(event), event.name, key[2], subject=event.subject)
        if isinstance(event, (ProcessingFailed, ToolFailed)):
            span.update(level="error", error_type=event.error_type or "error", error_message=event.error)
            span.end(status="failed", metadata=event.data)
        else:
            span.end(status="completed", output=event.result, metadata=event.data)

    def _forget(self, known: tuple[Span, Key] | None) -> None:
        if known is None:
            return
        span, begun_at = known
        others = [each for each in self._processing.pop(begun_at, ()) if each is not span]
        if others:
            self._processing[begun_at] = others

    def _above(self, event: Event) -> Span:
        """The processing that was begun here and is open, the latest of several; else the current observation."""
        found = self._processing.get((current().id, event.subject))
        return found[-1] if found else current()

    def _note(self, above: Span, event: ApplicationEvent) -> None:
        values = {"value": event.value, "confidence": event.confidence, "reasoning": event.reasoning}
        values |= {"subject": event.subject, "metadata": event.data}
        above.event(event.name, **{name: value for name, value in values.items() if value is not None})


def key_of(event: Any, type_: str) -> Key:
    """What events of one call, or one piece of work, have in common; its third member is the type."""
    return (current().trace_id, event.subject, type_, event.name, getattr(event, "tool_call_id", None))


def below(above: Span, name: str, type_: str, **values: Any) -> Span:
    """Begins an observation below another one; a trace of its own where nothing is current."""
    if above.state.lane:
        return above.tracer.base.start(name, type_, parent=above, **values)
    return above if CURRENT.get() is not None else start_span(name, type_, **values)


tracing_handler = TracingHandler()
"""One for the program: `emitter.add(tracing_handler)`."""
