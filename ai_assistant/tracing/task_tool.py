"""A tool at work inside a task: events for the user, and an observation."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ai_assistant.tracing.span import Span
from ai_assistant.tracing.task_errors import TaskCancelled, shown_message
from ai_assistant.tracing.task_observation import TaskObservation
from ai_assistant.tracing.task_values import fitted, shortened
from ai_assistant.tracing.tracer import NOTHING

if TYPE_CHECKING:
    from ai_assistant.tracing.task_handle import Task

MESSAGE_BYTES = 2048


class ToolRun:
    """`with task.tool("ocr") as tool:`; an exception makes it `tool_failed` and goes on. `result` is noted."""

    def __init__(self, task: Task, name: str, call_id: str, observation: TaskObservation, arguments: Any):
        """Made by `Task.tool`."""
        self.id = call_id
        """`tool_call_id` of its events."""
        self.name = name
        self.span: Span = NOTHING
        """Its observation, from the `with` on."""
        self.result: Any = None
        """What it found."""
        self._task = task
        self._observation = observation
        self._arguments = arguments
        self._began = 0.0

    def progress(self, done: float, total: float = 100.0, message: str | None = None) -> None:
        """How far it is."""
        share = max(0.0, min(100.0, 100.0 * done / total)) if total else 0.0
        words = None if message is None else shortened(message, MESSAGE_BYTES)
        self._task.events.progress(self.id, self.name, share, words)
        self.span.progress(done, total, message)

    def __enter__(self) -> ToolRun:
        self._began = time.monotonic()
        self.span = self._observation.child(self.name, "tool", input=self._arguments, tool_call_id=self.id)
        said = {} if self._arguments is None else {"arguments": fitted(self._arguments)[0]}
        self._task.events.send("tool_started", tool_call_id=self.id, name=self.name, **said)
        self.span.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        common: dict[str, Any] = {"tool_call_id": self.id, "name": self.name, "duration_ms": self._duration_ms()}
        if error is None:
            said = {} if self.result is None else {"result": fitted(self.result)[0]}
            self._task.events.send("tool_completed", **common, **said)
            self.span.update(output=self.result)
        else:
            self._task.events.send("tool_failed", **common, error=shown_message(error))
        if isinstance(error, TaskCancelled):
            self.span.update(status="cancelled")
            self.span.__exit__(None, None, None)
        else:
            self.span.__exit__(kind, error, tb)

    async def __aenter__(self) -> ToolRun:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, tb)

    def _duration_ms(self) -> int:
        return round((time.monotonic() - self._began) * 1000)
