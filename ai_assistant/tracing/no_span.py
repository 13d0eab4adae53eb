"""What a program holds where nothing is traced: it takes everything and keeps nothing."""

from __future__ import annotations

from types import TracebackType
from typing import cast

from ai_assistant.tracing.context import CURRENT
from ai_assistant.tracing.lane import Lane
from ai_assistant.tracing.span import Span, leave
from ai_assistant.tracing.trace_state import TraceState

NO_ID = "0" * 16
NO_TRACE = "0" * 32


class NoSpan(Span):
    """A `Span` that has ended before it began. As the current observation of a trace that is not kept it says that
    nothing below it is traced either."""

    __slots__ = ()

    def __init__(self, trace_id: str = NO_TRACE):
        self.state = TraceState(trace_id, cast("Lane", None), 0)
        self.id = NO_ID
        self.parent_id = ""
        self.fields = {}
        self.ended = True
        self._token = None

    def score(self, name: str, value: float | str | bool, comment: str | None = None) -> None:
        """Nothing."""

    def limit_reasoning(self, chars: int) -> None:
        """Nothing."""

    def fail(self, error: BaseException) -> None:
        """Nothing."""

    def traceparent(self) -> str:
        """Says that the trace is not kept; empty where there is none."""
        return f"00-{self.state.id}-{'0' * 15}1-00" if self.state.id != NO_TRACE else ""

    def __enter__(self) -> Span:
        if self.state.id != NO_TRACE:
            self._token = CURRENT.set(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        leave(self)


def nothing(trace_id: str | None) -> Span:
    """What stands for an observation of a trace that is not kept."""
    return NoSpan(trace_id or NO_TRACE)
