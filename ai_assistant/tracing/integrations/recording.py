"""One call of a library while it is recorded. Nothing that goes wrong here may reach the program."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from ai_assistant.tracing.context import CURRENT
from ai_assistant.tracing.failure import is_cancellation
from ai_assistant.tracing.integrations.options import DEFAULT, Options
from ai_assistant.tracing.span import Span
from ai_assistant.tracing.state import start_span

log = logging.getLogger("ai_assistant.tracing")

AROUND: ContextVar[Options | None] = ContextVar("ai_assistant_reasoning", default=None)
"""Options of the node that runs: what they say of reasoning holds for every model that the node asks."""

F = TypeVar("F", bound=Callable[..., Any])
_logged: set[str] = set()


def harmless(method: F) -> F:
    """What the method raises is logged, once per method and kind of error, and becomes `None`."""

    @functools.wraps(method)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            return method(*args, **kwargs)
        except Exception as error:  # noqa: BLE001  # logged; a library's answer may be anything
            report(method.__qualname__, error)
            return None

    return guarded  # type: ignore[return-value]


def report(where: str, error: BaseException) -> None:
    """Logs a failure of an integration, each kind once."""
    key = f"{where}: {type(error).__qualname__}"
    if key not in _logged and len(_logged) < 1000:
        _logged.add(key)
        log.warning("tracing could not read what a library gave it (%s)", where, exc_info=error)


def begin(name: str, type_: str, *, parent: Span | None = None, at: int | None = None, **values: Any) -> Span:
    """Begins an observation below `parent`, or below the current one. It does not become the current one."""
    if parent is None:
        return start_span(name, type_, at=at, **values)
    if not parent.state.lane:
        return parent  # within what is not traced nothing is
    return parent.tracer.base.start(name, type_, parent=parent, at=at, **values)


@contextmanager
def entered(span: Span) -> Iterator[None]:
    """Makes an observation the current one for a block, which need not be its whole life."""
    token = CURRENT.set(span)
    try:
        yield
    finally:
        CURRENT.reset(token)


class Recording:
    """A call of a model: the observation, and when its parts came."""

    __slots__ = ("_begun", "_first_reasoning", "_first_text", "options", "span")

    def __init__(self, span: Span, options: Options = DEFAULT):
        around = AROUND.get()
        options = options if around is None else options.below(around)
        self.span = span
        self.options = options
        self._begun = time.monotonic()
        self._first_reasoning: float | None = None
        self._first_text: float | None = None
        if options.reasoning_max_length is not None:
            span.limit_reasoning(options.reasoning_max_length)

    def reasoning(self, text: str | None) -> None:
        """A piece of the model's reasoning, as it came."""
        if not text:
            return
        if self._first_reasoning is None:
            self._first_reasoning = time.monotonic()
        if self.options.capture_reasoning:
            self.span.append_reasoning(text)

    def whole_reasoning(self, text: str | None) -> None:
        """Reasoning that came with a whole answer: it has no time of its own."""
        if text and self.options.capture_reasoning:
            self.span.append_reasoning(text)

    @property
    def has_reasoned(self) -> bool:
        """Whether reasoning came in pieces."""
        return self._first_reasoning is not None

    def came(self) -> None:
        """A piece of the answer proper came: text, or of a tool call."""
        if self._first_text is None:
            self._first_text = time.monotonic()

    def end(
        self, *, status: str = "completed", error: BaseException | None = None, output: Any = None, **values: Any
    ) -> None:
        """Ends the observation with what is known of the answer; `error` decides over the status."""
        if self.span.ended:
            return
        values = {**self._times(), **{name: value for name, value in values.items() if value is not None}}
        if output is not None and self.options.capture_output:
            values["output"] = output
        if error is not None:
            status = "cancelled" if is_cancellation(error) else "failed"
        if error is not None and status == "failed":
            self.span.fail(error)
            if (code := getattr(error, "status_code", None)) is not None:
                values["http_status"] = code
        self.span.end(status=status, **values)

    def _times(self) -> dict[str, Any]:
        """Only where the answer came in pieces."""
        firsts = [first for first in (self._first_reasoning, self._first_text) if first is not None]
        if not firsts:
            return {}
        found: dict[str, Any] = {"ttft_ms": round((min(firsts) - self._begun) * 1000)}
        if self._first_reasoning is not None:
            thought = (self._first_text or time.monotonic()) - self._first_reasoning
            found["first_reasoning_ms"] = round((self._first_reasoning - self._begun) * 1000)
            found["reasoning_ms"] = max(0, round(thought * 1000))
        return found
