"""Threads go on with the observation that started them: Python hands context variables to tasks, not to threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import wraps
from typing import Any

from ai_assistant.tracing.context import CURRENT
from ai_assistant.tracing.span import Span

_done = False


def propagate() -> None:
    """From now on `threading.Thread` and `ThreadPoolExecutor` hand on the current observation, where there is one."""
    global _done
    if _done:
        return
    _done = True
    start, submit = threading.Thread.start, ThreadPoolExecutor.submit

    @wraps(start)
    def start_below(self: threading.Thread) -> None:
        span = CURRENT.get()
        if span is not None:
            self.run = below(span, self.run)
        start(self)

    @wraps(submit)
    def submit_below(self: ThreadPoolExecutor, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        span = CURRENT.get()
        return submit(self, fn if span is None else below(span, fn), *args, **kwargs)

    threading.Thread.start = start_below
    ThreadPoolExecutor.submit = submit_below


def below(span: Span, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, with `span` as the current observation."""

    def run(*args: Any, **kwargs: Any) -> Any:
        token = CURRENT.set(span)
        try:
            return function(*args, **kwargs)
        finally:
            CURRENT.reset(token)

    return run
