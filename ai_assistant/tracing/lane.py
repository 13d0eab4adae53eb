"""The way of one process's events to one site: their numbers, and those that wait to be delivered.

Everything here belongs to whoever holds the pipeline's lock, but `next_segment`.
"""

from __future__ import annotations

import itertools
from collections import deque
from typing import Any, Final

import msgspec

from ai_assistant.core.trace_event import ENTRY_BYTES, ENTRY_EVENTS, encode_event
from ai_assistant.tracing.capture import storable
from ai_assistant.tracing.trace_state import TraceState

REPORTED_TRACES: Final = 500
"""Traces that one `drop` event names."""
MAX_TRACES: Final = 50_000
"""Traces of which a lane remembers that they lost events; of more of them only the number of events is known."""
DELIVERY_BYTES: Final = 1024 * 1024
"""Bytes of one delivery, beyond which the next one begins."""
FRAME_BYTES: Final = 64
"""What an event costs beside its own bytes while it waits."""


class Waiting(msgspec.Struct, frozen=True, gc=False):
    """An event, encoded, and what is told of it when it is dropped."""

    event: bytes
    number: int
    trace: str
    segment: int
    place: int
    report: dict[str, Any] | None = None
    """Of a `drop` event its fields: where it is dropped itself, what it tells of must be told again."""


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
        self.flying: list[Waiting] = []
        """Those that are being delivered: they are not dropped."""
        self.bytes = 0
        """Bytes of what waits and flies."""
        self.open = 0
        """Observations that were told of and have not ended."""
        self.left = False
        self._ranges: list[list[int]] = []
        self._lost: dict[tuple[str, int], list[int]] = {}
        self._unreported = 0
        self._reason = ""

    def add(self, kind: str, at: int, state: TraceState | None, span: str, fields: dict[str, Any]) -> None:
        """One more event, with the next number and, within a trace, the next place."""
        trace, segment, place = "", 0, 0
        if state is not None:
            trace, segment, place = state.id, state.segment, state.places + 1
            if span and span == state.root and "ended_at" in fields:
                fields["segment_events"] = place
        number = self.made + 1
        try:
            event = encode_event((number, kind, at, trace, segment, place, span, fields))
        except (TypeError, ValueError, OverflowError, RecursionError):
            event = encode_event((number, kind, at, trace, segment, place, span, encodable(fields)))
        self.made = number
        if state is not None:
            state.places = place
        self.waiting.append(Waiting(event, number, trace, segment, place, fields if kind == "drop" else None))
        self.bytes += len(event) + FRAME_BYTES

    def take_off(self, most: int) -> list[list[bytes]]:
        """Up to `most` entries of the oldest events, which fly from now on: see `landed` and `came_back`."""
        entries: list[list[bytes]] = []
        waiting, flying, room = self.waiting, self.flying, DELIVERY_BYTES
        while waiting and len(entries) < most and room > 0:
            events: list[bytes] = []
            size = 0
            while waiting and len(events) < ENTRY_EVENTS:
                next_ = waiting[0]
                event = next_.event
                if size + len(event) > ENTRY_BYTES and events:
                    break
                size += len(event)
                flying.append(waiting.popleft())
                events.append(event)
            entries.append(events)
            room -= size
        return entries

    def landed(self) -> None:
        """What flew was delivered."""
        self.bytes -= sum([len(each.event) for each in self.flying]) + FRAME_BYTES * len(self.flying)
        self.delivered += len(self.flying)
        self.flying = []

    def came_back(self) -> None:
        """What flew was not delivered, and waits again."""
        self.waiting.extendleft(reversed(self.flying))
        self.flying = []

    def has_delivered(self, number: int) -> bool:
        """Whether all events up to that number are gone, delivered or dropped."""
        if self.flying and self.flying[0].number <= number:
            return False
        return not self.waiting or self.waiting[0].number > number

    def drop_oldest(self, reason: str) -> None:
        """Gives up the oldest waiting event, and remembers to say so."""
        lost = self.waiting.popleft()
        self.bytes -= len(lost.event) + FRAME_BYTES
        self.note_lost(lost, reason)

    def note_lost(self, lost: Waiting, reason: str) -> None:
        """Remembers an event that will never be delivered."""
        self.dropped += 1
        self._reason = reason
        if lost.report is not None:
            self._take_back(lost.report)
        self._note_range(lost.number, lost.number)
        if lost.trace:
            self._note_trace(lost.trace, lost.segment, lost.place, 1)

    def _take_back(self, report: dict[str, Any]) -> None:
        """Remembers again what a report tells that nobody will hear."""
        for first, last in report["ranges"]:
            self._note_range(first, last)
        for trace, segment, place, count in report["traces"]:
            self._note_trace(trace, segment, place, count)
        self._unreported += report.get("in_unnamed_traces", 0)

    def _note_range(self, first: int, last: int) -> None:
        if self._ranges and self._ranges[-1][1] + 1 == first:
            self._ranges[-1][1] = last
        else:
            self._ranges.append([first, last])

    def _note_trace(self, trace: str, segment: int, place: int, count: int) -> None:
        known = self._lost.get((trace, segment))
        if known is not None:
            known[0] = max(known[0], place)
            known[1] += count
        elif len(self._lost) < MAX_TRACES:
            self._lost[trace, segment] = [place, count]
        else:
            self._unreported += count

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


def encodable(fields: dict[str, Any]) -> dict[str, Any]:
    """Fields that the encoder takes, from such as it did not take: as texts that UTF-8 can carry."""
    return {
        name: value
        if isinstance(value, float) or (isinstance(value, int) and abs(value) < 2**63)
        else storable(str(value))
        for name, value in fields.items()
        if value is not None
    }
