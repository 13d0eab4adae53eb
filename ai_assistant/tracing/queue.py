"""Where callers' threads leave what is to be sent. Appending is all that they do: no lock, no system call."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ai_assistant.tracing.span import Span
    from ai_assistant.tracing.trace_state import TraceState

START, UPDATE, END, TRACE = range(4)
MAX_ITEMS: Final = 50_000
"""Items beyond which the caller itself helps to empty the queue: what waits is bounded in bytes only behind it."""

MAX_WEIGHT: Final = 64 * 1024 * 1024
"""Characters of payloads beyond which it is the same."""

Item = tuple[int, Any]


class Queue:
    """Items in the order in which they were left. Any thread may add; one at a time takes, see `Pipeline`."""

    __slots__ = ("_append", "asleep", "items", "on_full", "wake", "weight")

    def __init__(self, wake: Callable[[], None], on_full: Callable[[], None]):
        """`wake` is called when the publisher sleeps, `on_full` when it cannot keep up."""
        self.items: deque[Item] = deque()
        self._append = self.items.append
        self.asleep = True
        self.weight = 0
        """About how many characters of payloads wait here: threads may add at the same time."""
        self.wake = wake
        self.on_full = on_full

    def start(self, span: Span) -> None:
        """An observation has begun. Where it ends before it is sent, it is sent once."""
        self._append((START, span))
        if self.asleep:
            self.wake()
        elif len(self.items) > MAX_ITEMS:
            self.on_full()

    def update(self, span: Span) -> None:
        """An observation that was sent already has something new."""
        self._append((UPDATE, span))
        if self.asleep:
            self.wake()

    def end(self, span: Span) -> None:
        """An observation that was sent already has ended."""
        self._append((END, span))
        if self.asleep:
            self.wake()

    def trace(self, state: TraceState) -> None:
        """A trace that was told of already has something new."""
        self._append((TRACE, state))
        if self.asleep:
            self.wake()
