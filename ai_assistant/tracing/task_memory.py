"""Tasks without a server: their events stay in memory. For tests of programs that open tasks, and to try things out.

with tracing.recorded_tasks() as tasks:
    label_receipt("R-1")
assert tasks.types() == ["start", "tool_started", "tool_completed", "completion"]
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import msgspec

from ai_assistant.core.task import Outcome
from ai_assistant.tracing.task_home import Home, swap_home

SITE: Final = "memory"
USER: Final = "you@example.com"
"""Who sees a task where the program does not say."""

JOIN_S: Final = 0.02
"""When deltas that are joined go out."""

OnEvent = Callable[[dict[str, Any]], None]


class RecordedTasks:
    """What the tasks of a block have said."""

    def __init__(self, on_event: OnEvent | None):
        self.events: list[dict[str, Any]] = []
        """Every event as a client receives it, in the order in which they were said."""
        self.outcomes: dict[str, Outcome] = {}
        """How each task ended, by its id."""
        self._on_event = on_event
        self._producers: dict[str, Any] = {}

    def of(self, task_id: str) -> list[dict[str, Any]]:
        """The events of one task."""
        return [event for event in self.events if event["task_id"] == task_id]

    def types(self) -> list[str]:
        """The types of all events."""
        return [event["type"] for event in self.events]

    def cancel(self, task_id: str, by: str = USER) -> None:
        """Does what a user does who cancels the task."""
        self._producers[task_id].heard(f"by:{by}")

    def take(self, message: bytes) -> None:
        """Notes an event."""
        event = msgspec.json.decode(message)
        self.events.append(event)
        if self._on_event:
            self._on_event(event)

    def channel(self, producer: Any, on_open: Callable[[int | None], None]) -> MemoryChannel:
        """See `Home.channel`."""
        self._producers[producer.task.ref.id] = producer
        return MemoryChannel(self, producer, on_open)


class MemoryChannel:
    """See `task_events.Channel`. What is joined goes out with a timer."""

    max_log_bytes = 2**40

    def __init__(self, tasks: RecordedTasks, producer: Any, on_open: Callable[[int | None], None]):
        self._tasks = tasks
        self._producer = producer
        self._on_open = on_open
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    def open(self, message: bytes) -> bool:
        """See `Channel`."""
        self._tasks.take(message)
        self._on_open(1)
        return True

    def send(self, message: bytes, seq: int, type_: str) -> bool:
        """See `Channel`."""
        self._tasks.take(message)
        return True

    def fold(self, snapshot: bytes, at: int) -> None:
        """Never asked for: the log is unbounded."""

    def end(self, message: bytes, seq: int, outcome: Outcome) -> bool:
        """See `Channel`."""
        self._tasks.outcomes[self._producer.task.ref.id] = outcome
        self._tasks.take(message)
        return True

    def join(self) -> None:
        """See `Channel`."""
        with self._lock:
            if self._timer is None:
                self._timer = threading.Timer(JOIN_S, self._due)
                self._timer.daemon = True
                self._timer.start()

    def _due(self) -> None:
        with self._lock:
            self._timer = None
        if self._producer.flush_due():
            self.join()

    def leave(self) -> None:
        """See `Channel`."""

    def flush(self, timeout: float) -> bool:
        """See `Channel`."""
        return True


@contextmanager
def recorded_tasks(on_event: OnEvent | None = None) -> Iterator[RecordedTasks]:
    """Within the block the program's tasks go into memory, whatever else is set. `on_event` is called with each
    event, in the thread that says it."""
    tasks = RecordedTasks(on_event)
    before = swap_home(Home(site=SITE, channel=tasks.channel, user=USER))
    try:
        yield tasks
    finally:
        swap_home(before)
