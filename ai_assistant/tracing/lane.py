"""The way of one process's events to one site: their numbers, and those that wait to be delivered.

Everything here belongs to whoever holds the pipeline's lock, but `next_segment`.
"""

from __future__ import annotations

import itertools
from collections import deque
from typing import Any, Final, NamedTuple

from ai_assistant.core.trace_event import ENTRY_BYTES, ENTRY_EVENTS, encode_event
from ai_assistant.tracing.trace_state import TraceState

REPORTED_TRACES: Final = 500
"""Traces that one `drop` event names."""
MAX_TRACES: Final = 50_000
"""Traces of which a lane remembers that they lost events; of more of them only the number of events is known."""
FRAME_BYTES: Final = 64
"""What an event costs beside its own bytes while it waits."""


class Waiting(NamedTuple):
    """An event, encoded, and what is told of it when it is dropped."""

    event: bytes
    number: int
    trace: str
    segment: int
    place: int


class Lane:
    """Events for one site. `producer` names this process there."""

    def __init__(self, site: str, producer: str):
        self.site = site
        self.producer = producer
        self.next_segment = itertools.count(1).__next__
        self.made = 0
        """The highest number given."""
        self.delivered = 0
        self.dropped = 0
        self.waiting: deque[Waiting] = deque()
        self.bytes = 0
        """Bytes of what waits."""
        self.open = 0
        """Observations that were told of and have not ended."""
        self.left = False
        self._ranges: list[list[int]] = []
        self._lost: dict[tuple[str, int], list[int]] = {}
        self._unreported = 0
        self._reason = ""

    def add(self, kind: str, at: int, state: TraceState | None, span: str, fields: dict[str, Any]) -> None:
        """One more event, with the next number and, within a trace, the next place. Raises what the encoder does for a
        field that is no plain data; then no number is used."""
        trace, segment, place = "", 0, 0
        if state is not None:
            trace, segment, place = state.id, state.segment, state.places + 1
            if span and span == state.root and "ended_at" in fields:
                fields["segment_events"] = place
        event = encode_event((self.made + 1, kind, at, trace, segment, place, span, fields))
        self.made += 1
        if state is not None:
            state.places = place
        self.waiting.append(Waiting(event, self.made, trace, segment, place))
        self.bytes += len(event) + FRAME_BYTES

    def entry(self, start: int) -> tuple[list[bytes], int]:
        """The events of the entry that begins with the waiting event `start`, and where the next one begins."""
        events: list[bytes] = []
        size = 0
        for waiting in itertools.islice(self.waiting, start, start + ENTRY_EVENTS):
            if events and size + len(waiting.event) > ENTRY_BYTES:
                break
            events.append(waiting.event)
            size += len(waiting.event)
        return events, start + len(events)

    def done(self, count: int) -> None:
        """The first `count` waiting events were delivered."""
        for _ in range(count):
            self.bytes -= len(self.waiting.popleft().event) + FRAME_BYTES
        self.delivered += count

    def drop_oldest(self, reason: str) -> None:
        """Gives up the oldest waiting event, and remembers to say so."""
        lost = self.waiting.popleft()
        self.bytes -= len(lost.event) + FRAME_BYTES
        self.note_lost(lost, reason)

    def note_lost(self, lost: Waiting, reason: str) -> None:
        """Remembers an event that will never be delivered."""
        self.dropped += 1
        self._reason = reason
        if self._ranges and self._ranges[-1][1] + 1 == lost.number:
            self._ranges[-1][1] = lost.number
        else:
            self._ranges.append([lost.number, lost.number])
        if not lost.trace:
            return
        key = (lost.trace, lost.segment)
        known = self._lost.get(key)
        if known is not None:
            known[0] = max(known[0], lost.place)
            known[1] += 1
        elif len(self._lost) < MAX_TRACES:
            self._lost[key] = [lost.place, 1]
        else:
            self._unreported += 1

    def report_drops(self, at: int) -> None:
        """Adds events that tell what was dropped since the last report. To be called when they can be delivered."""
        while self._ranges or self._lost:
            ranges, self._ranges = self._ranges[:REPORTED_TRACES], self._ranges[REPORTED_TRACES:]
            keys = list(itertools.islice(self._lost, REPORTED_TRACES))
            traces = [[*key, *self._lost.pop(key)] for key in keys]
            count = sum(last - first + 1 for first, last in ranges)
            fields = {"ranges": ranges, "traces": traces, "reason": self._reason, "count": count}
            if self._unreported and not self._lost:
                fields["in_unnamed_traces"] = self._unreported
                self._unreported = 0
            self.add("drop", at, None, "", fields)
