"""The typed events of a pipeline (S4.1): what it is doing, what its tools do, and what it has found.

    emitter.emit(ToolProgress(name="ocr", progress=40, message="page 2 of 5"))
    emitter.emit(ApplicationEvent(name="total", value="41.20", confidence=0.93, reasoning="The last line says so."))

The names of the fields are those of the wire (`ai_progress`), where an event has a form there. An application may
derive events of its own; `tag` gives their kind.
"""

from __future__ import annotations

import time
from typing import Any, ClassVar

import msgspec


class Event(msgspec.Struct, kw_only=True, frozen=True, tag_field="type", tag="event"):
    """Something that happened. A frozen value: handlers share it."""

    subject: str | None = None
    """What the work is about, for filtering: the name of a document, a file, an order."""
    at: int = msgspec.field(default_factory=lambda: time.time_ns() // 1000)
    """When: epoch microseconds."""
    data: dict[str, Any] | None = None
    """Anything more, of the application's own."""

    @property
    def kind(self) -> str:
        """The event's type in words: `tool_progress`."""
        return kind_of(type(self))

    def fields(self) -> dict[str, Any]:
        """What the event says, as plain values and without what it leaves open; `type` is among them."""
        plain = msgspec.to_builtins(self, enc_hook=repr)
        return {name: value for name, value in plain.items() if value is not None}


def kind_of(event_type: type[Event]) -> str:
    """The kind of a class of events: `tool_progress`."""
    return str(event_type.__struct_config__.tag)


class ProcessingStarted(Event, frozen=True, kw_only=True, tag="processing_started"):
    """A piece of work has begun."""

    name: str
    total: int | None = None
    """How many steps or items it has, where that is known."""


class ProcessingCompleted(Event, frozen=True, kw_only=True, tag="processing_completed"):
    """It is done."""

    name: str
    result: Any = None
    duration_ms: float | None = None


class ProcessingFailed(Event, frozen=True, kw_only=True, tag="processing_failed"):
    """It could not be done."""

    name: str
    error: str
    error_type: str | None = None
    duration_ms: float | None = None


class ToolEvent(Event, frozen=True, kw_only=True, tag="tool"):
    """What the events of a tool have in common."""

    name: str
    """The tool."""
    tool_call_id: str | None = None
    """The call, where a tool may run several times."""


class ToolStarted(ToolEvent, frozen=True, kw_only=True, tag="tool_started"):
    """A tool was called."""

    arguments: Any = None


class ToolProgress(ToolEvent, frozen=True, kw_only=True, tag="tool_progress"):
    """A tool is at work."""

    progress: float
    """From 0 to 100."""
    message: str | None = None

    def __post_init__(self) -> None:
        check_range("progress", self.progress, 100)


class ToolCompleted(ToolEvent, frozen=True, kw_only=True, tag="tool_completed"):
    """A tool has answered."""

    result: Any = None
    duration_ms: float | None = None


class ToolFailed(ToolEvent, frozen=True, kw_only=True, tag="tool_failed"):
    """A tool gave an error."""

    error: str
    error_type: str | None = None
    duration_ms: float | None = None


class ApplicationEvent(Event, frozen=True, kw_only=True, tag="data"):
    """Something that the application has found, and how sure it is of it."""

    PAYLOAD: ClassVar = ("value", "confidence", "reasoning", "data")

    name: str
    """What it is: `total`, `vendor`, `is_duplicate`."""
    value: Any = None
    confidence: float | None = None
    """From 0 (a guess) to 1 (certain)."""
    reasoning: str | None = None
    """Why it is believed."""

    def __post_init__(self) -> None:
        if self.confidence is not None:
            check_range("confidence", self.confidence, 1)

    def payload(self) -> dict[str, Any]:
        """Value, confidence, reasoning and data, without what is open: the `data` of the event on the wire."""
        said = self.fields()
        return {name: said[name] for name in self.PAYLOAD if name in said}


def check_range(name: str, value: float, highest: float) -> None:
    """Raises ValueError unless `value` is a number from 0 to `highest`."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= highest:
        raise ValueError(f"{name} must be a number from 0 to {highest}, not {value!r}")
