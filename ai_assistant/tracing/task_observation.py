"""The trace of a program's task: its root, or a child of what is current."""

from __future__ import annotations

from typing import Any

from ai_assistant.tracing import state
from ai_assistant.tracing.context import CURRENT
from ai_assistant.tracing.ids import Ids
from ai_assistant.tracing.no_span import NO_TRACE, nothing
from ai_assistant.tracing.span import Span
from ai_assistant.tracing.tracer import NOTHING

SOURCE = "task"
"""What a trace says of where it came from."""


class TaskObservation:
    """Where tracing is off it notes nothing, and gives a trace's id all the same."""

    def __init__(
        self, name: str, type_: str, *, user: str, task_id: str, subject: str | None, given: Any, **trace: Any
    ):
        """`trace`: further fields of the trace that it begins. `given`: the observation's input."""
        parent = CURRENT.get()
        tracer = state.active()
        if parent is not None and parent.state.lane:
            tracer = parent.tracer
        self.span: Span = NOTHING
        if tracer is not None:
            told = {"title": name, "user": user, "task_id": task_id, "source": SOURCE, **trace}
            fields = state.trace_fields(reference=reference_of(subject), **told) if parent is None else None
            about = {"task_id": task_id, **({"subject": subject} if subject else {})}
            self.span = tracer.start(name, type_, parent=parent, trace=fields, input=given, metadata=about)
        known = self.span.trace_id
        self.trace_id = known if known != NO_TRACE else Ids().trace()

    def enter(self) -> None:
        """Makes it the current one of this context."""
        self.span.__enter__()

    def child(self, name: str, type_: str, **values: Any) -> Span:
        """An observation below the current one, where that is of this trace, else below the task's own."""
        parent = self._parent()
        return nothing(parent.trace_id) if parent.ended else parent.tracer.start(name, type_, parent=parent, **values)

    def event(self, name: str, **values: Any) -> None:
        """Something that happened now."""
        parent = self._parent()
        if not parent.ended:
            parent.event(name, **{key: value for key, value in values.items() if value is not None})

    def complete(self, output: Any) -> None:
        """It came to its end."""
        self.span.end(output=output)

    def cancel(self, by: str) -> None:
        """Somebody wanted no more."""
        if self.span.state.lane and self.span.id == self.span.state.root and not self.span.ended:
            self.span.tracer.set_trace(self.span, {"cancelled_by": by})
        self.span.end(status="cancelled")

    def fail(self, error: BaseException) -> None:
        """It failed."""
        self.span.end_with(error)

    def _parent(self) -> Span:
        current = CURRENT.get()
        is_ours = current is not None and current.trace_id == self.span.trace_id and not current.ended
        return current if current is not None and is_ours else self.span


def reference_of(subject: str | None) -> tuple[str, str] | None:
    """The document that a subject names: `Receipt/R-1`."""
    doctype, slash, name = (subject or "").partition("/")
    return (doctype, name) if slash and doctype and name else None
