"""Begins observations, for one site."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from ai_assistant.core.trace import TYPES
from ai_assistant.tracing.context import CURRENT
from ai_assistant.tracing.ids import Ids, now_us
from ai_assistant.tracing.lane import Lane
from ai_assistant.tracing.no_span import NoSpan, nothing
from ai_assistant.tracing.pipeline import Pipeline
from ai_assistant.tracing.settings import Settings
from ai_assistant.tracing.span import Span
from ai_assistant.tracing.trace_state import TraceState

log = logging.getLogger("ai_assistant.tracing")

SAMPLE_SPACE = 2**32


class Tracer:
    """Use `Client.tracer` to get one."""

    def __init__(
        self,
        pipeline: Pipeline,
        settings: Settings,
        site: str | Callable[[], str],
        *,
        ids: Ids,
        clock: Callable[[], int] = now_us,
    ):
        """`clock` gives epoch microseconds."""
        self.pipeline = pipeline
        self.queue = pipeline.queue
        self.settings = settings
        self.ids = ids
        self.clock = clock
        self.site = site
        self.base = self
        """The tracer whose settings hold below an observation: not those of one function alone."""
        self._threshold = int(settings.sample_rate * SAMPLE_SPACE)
        told = {name: getattr(settings, name) for name in ("service", "environment", "release")}
        self._defaults = {name: value for name, value in told.items() if value}

    def after_fork(self) -> None:
        """In a child process: a queue and ids of its own."""
        self.queue = self.pipeline.queue

    def failed(self, what: str, error: BaseException) -> None:
        """Counts and logs a failure of tracing."""
        self.pipeline.failed(what, error)

    def start(
        self,
        name: str,
        type_: str = "span",
        *,
        parent: Span | None = None,
        trace_id: str | None = None,
        parent_id: str = "",
        at: int | None = None,
        trace: dict[str, Any] | None = None,
        given: dict[str, Any] | None = None,
        **values: Any,
    ) -> Span:
        """Begins an observation; it does not become the current one.

        `parent`: the observation above it. Without one it is the root of its process: of a new trace, or of `trace_id`
        where that is given, below `parent_id`, another program's observation. `at`: epoch microseconds, else now.
        `trace`: fields of the trace, for a root. `given`: its input; `values`: as in `Span.update`.
        """
        if parent is not None:
            if not parent.state.lane:
                return nothing(parent.state.id)  # below what is not traced nothing is
            state, parent_id = parent.state, parent.id
        else:
            made = self.begin_trace(trace_id, trace)
            if made is None:
                return nothing(trace_id)
            state = made
        if type_ not in TYPES:
            type_ = "span"
        span = Span(self, state, parent_id, name, type_, self.clock() if at is None else at)
        if not state.root:
            state.root = span.id
        if given is not None:
            span.payload(span.fields, "input", given)
        if values:
            span.update(**values)
        self.queue.start(span)
        return span

    def begin_trace(self, trace_id: str | None = None, fields: dict[str, Any] | None = None) -> TraceState | None:
        """A segment of a trace; None where the trace is not among those that are kept."""
        id_ = trace_id or self.ids.trace()
        if self._threshold < SAMPLE_SPACE and int(id_[-8:], 16) >= self._threshold:
            return None
        lane = self._lane()
        state = TraceState(id_, lane, lane.next_segment())
        state.fields = {**self._defaults, **fields} if fields else self._defaults
        return state

    def _lane(self) -> Lane:
        site = self.site if isinstance(self.site, str) else self.site()
        return self.pipeline.lanes.get(site) or self.pipeline.lane(site)

    def set_trace(self, span: Span, fields: dict[str, Any]) -> None:
        """Says something of the trace that `span` is part of: columns of `core.trace`."""
        state = span.state
        if not state.lane:
            return
        state.fields = {**state.fields, **fields}
        if state.announced and not state.queued:
            state.queued = True
            self.queue.trace(state)


def current() -> Span:
    """The current observation; one that notes nothing where there is none."""
    return CURRENT.get() or NOTHING


NOTHING: Span = NoSpan()
