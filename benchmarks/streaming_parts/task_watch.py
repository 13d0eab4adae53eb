"""What one chat's events tell: tokens, their latency, the numbering and the spacing of the deltas."""

from __future__ import annotations

import asyncio

import msgspec

from .realtime import Event
from .stamps import StampReader

TERMINAL = frozenset({"completion", "error", "cancelled"})
DELTAS = frozenset({"text", "reasoning", "tool_call"})


class TaskWatch:
    """Takes the events of one task in the order of their receipt."""

    def __init__(self, task_id: str, tokens: int):
        self.task_id = task_id
        self.reader = StampReader(tokens)
        self.latencies: list[int] = []
        self.done: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
        self.asked_ns = 0
        self.first_ns = 0
        self.events = 0
        self.deltas = 0
        self.wrong_seq = 0
        self.spacings: list[int] = []
        """Milliseconds between a delta and the one before it, by the server's own `ts`."""
        self.completion_equals_deltas: bool | None = None
        self._seq = 0
        self._delta_ts = 0
        self._text: list[str] = []

    def take(self, event: Event, now: int) -> None:
        """One event, received at `now`."""
        self.events += 1
        if event.seq != self._seq + 1:
            self.wrong_seq += 1
        self._seq = event.seq
        if event.partial and event.type in DELTAS:
            self._delta(event, now)
        elif event.type in TERMINAL:
            self._end(event)

    def _delta(self, event: Event, now: int) -> None:
        if not self.first_ns:
            self.first_ns = now
        elif self._delta_ts:
            self.spacings.append(event.ts - self._delta_ts)
        self._delta_ts = event.ts
        self.deltas += 1
        self._text.append(event.text)
        self.latencies += self.reader.feed(event.text, now)

    def _end(self, event: Event) -> None:
        """What was held when the stream ended goes out at once (wire contract): its spacing is not judged."""
        if self.spacings:
            self.spacings.pop()
        if event.type == "completion":
            self.completion_equals_deltas = event.text == "".join(self._text)
        self._text.clear()
        if not self.done.done():
            self.done.set_result(event)


class Tally(msgspec.Struct, kw_only=True):
    """The sums over all chats of a load."""

    chats: int = 0
    completed: int = 0
    expected: int = 0
    delivered: int = 0
    duplicates: int = 0
    out_of_order: int = 0
    wrong_seq: int = 0
    text_differs: int = 0
    events: int = 0
    deltas: int = 0
    min_spacing_ms: int | None = None
    spacings_below_16_ms: int = 0
    problems: list[str] = []

    def add(self, watch: TaskWatch) -> None:
        """One chat that has ended, or was given up."""
        reader = watch.reader
        self.chats += 1
        self.expected += reader.expected
        self.delivered += reader.delivered
        self.duplicates += reader.duplicates
        self.out_of_order += reader.out_of_order
        self.wrong_seq += watch.wrong_seq
        self.events += watch.events
        self.deltas += watch.deltas
        self.text_differs += watch.completion_equals_deltas is False
        self.completed += watch.completion_equals_deltas is not None
        self.spacings_below_16_ms += sum(spacing < 16 for spacing in watch.spacings)
        if watch.spacings:
            lowest = min(watch.spacings)
            self.min_spacing_ms = lowest if self.min_spacing_ms is None else min(lowest, self.min_spacing_ms)
        self._note(watch)

    def _note(self, watch: TaskWatch) -> None:
        if len(self.problems) >= 10:
            return
        if not watch.done.done():
            self.problems.append(f"{watch.task_id}: no end came in time, after {watch.events} events")
        elif (event := watch.done.result()).type != "completion":
            self.problems.append(f"{watch.task_id}: {event.type} {event.code} {event.message}".strip())
