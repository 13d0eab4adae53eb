"""An emitter's typed events as events of a task."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ai_assistant.tracing.task_values import fitted, shortened
from ai_assistant.tracing.typed_events import (
    ApplicationEvent,
    Event,
    ToolCompleted,
    ToolEvent,
    ToolFailed,
    ToolProgress,
    ToolStarted,
)

if TYPE_CHECKING:
    from ai_assistant.tracing.task_handle import Task

MESSAGE_BYTES = 2048


class Forwarder:
    """A handler for `Emitter.add`. Runs within `emit`, so that the order of events is the program's."""

    inline = True

    def __init__(self, task: Task):
        self._task = task
        self._calls: dict[str, str] = {}
        """Of tools whose events name no call: the id that stands for it."""

    def __call__(self, event: Event) -> None:
        """Forwards one event."""
        if isinstance(event, ToolProgress):
            message = None if event.message is None else shortened(event.message, MESSAGE_BYTES)
            self._task.events.progress(self._call_of(event), event.name, event.progress, message)
        elif isinstance(event, (ToolStarted, ToolCompleted, ToolFailed)):
            self._tool(event)
        elif isinstance(event, ApplicationEvent):
            self._task.send_data(event.name, event.payload())
        else:
            said = event.fields()
            self._task.send_data(str(said.get("name") or event.kind), said)

    def _tool(self, event: ToolStarted | ToolCompleted | ToolFailed) -> None:
        call = self._call_of(event)
        fields: dict[str, Any] = {"tool_call_id": call, "name": event.name}
        for name, write in WRITERS.items():
            value = getattr(event, name, None)
            if value is not None:
                fields[name] = write(value)
        type_ = "tool_started" if isinstance(event, ToolStarted) else "tool_completed"
        type_ = "tool_failed" if isinstance(event, ToolFailed) else type_
        self._task.events.send(type_, **fields)
        if type_ != "tool_started":
            self._calls.pop(event.name, None)

    def _call_of(self, event: ToolEvent) -> str:
        return event.tool_call_id or self._calls.setdefault(event.name, f"call_{uuid.uuid4().hex[:24]}")


WRITERS: dict[str, Callable[[Any], Any]] = {
    "arguments": lambda value: fitted(value)[0],
    "result": lambda value: fitted(value)[0],
    "error": lambda value: shortened(value, MESSAGE_BYTES),
    "duration_ms": lambda value: value,
}
