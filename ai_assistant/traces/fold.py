"""Merges the events of a batch into one change per row.

Of two events that say the same column, the one with the higher number wins, whichever arrives first; an event without
one counts by its time. What a producer need not say is filled in here: that an observation without a parent is a
root, that one that has ended is complete, and when.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from zlib import crc32

from ai_assistant.core.check import shown
from ai_assistant.core.trace_event import OBSERVATION_KINDS, PRODUCER_KINDS, TraceEvent
from ai_assistant.traces import values
from ai_assistant.traces.places import dropped_places
from ai_assistant.traces.pricing import cost_of
from ai_assistant.traces.ranges import MAX_NUMBER
from ai_assistant.traces.rows import OBSERVATION_CHECKS, RUNNING_STAMP, TRACE_CHECKS, Change, Check
from ai_assistant.traces.values import StoreError

MAX_PLACE = 2**31 - 1
MAX_SEGMENT = 2**53
MAX_DROPPED = 5_000
"""Ranges and traces that one `drop` may name: ten times what the SDK puts into one. Each trace is locked, and
made where it is not there."""

_TRACE = re.compile(r"(?!0{32})[0-9a-f]{32}")
_SPAN = re.compile(r"(?!0{16})[0-9a-f]{16}")


class Said:
    """What one event says, checked."""

    __slots__ = ("event", "unknown", "values")

    def __init__(self, event: TraceEvent, said: dict[str, Any], unknown: int = 0):
        self.event = event
        self.values = said
        self.unknown = unknown
        """How many of its fields nobody here knows: a newer producer's. They are dropped."""


def checked(event: TraceEvent) -> Said:
    """The event with its fields as they are stored. Raises StoreError, naming what is wrong with it."""
    if not isinstance(event.fields, dict):
        raise StoreError(f"fields: must be an object, not {shown(event.fields)}")
    values.moment("at", event.at)
    _number("number", event.number, MAX_NUMBER)
    if event.kind in PRODUCER_KINDS:
        return Said(event, _of_producer(event))
    _number("place", event.place, MAX_PLACE)
    _number("segment", event.segment, MAX_SEGMENT)
    checked_id("trace", event.trace, _TRACE)
    if event.kind in OBSERVATION_KINDS:
        checked_id("span", event.span, _SPAN)
        said, unknown = _fields(event.fields, OBSERVATION_CHECKS)
        if said.get("parent"):
            checked_id("parent", said["parent"], _SPAN)
        return Said(event, _completed(event, said), unknown)
    if event.kind == "trace":
        said, unknown = _fields(event.fields, TRACE_CHECKS)
        if said.get("status") == "running":
            del said["status"]
        return Said(event, said, unknown)
    raise StoreError(f"kind: must be one of those of core/trace_event.py, not {shown(event.kind)}")


def checked_id(field: str, value: str, pattern: re.Pattern[str] = _TRACE) -> None:
    """Raises StoreError where `value` is no id of W3C Trace Context: all of it zero is none."""
    if not pattern.fullmatch(value):
        raise StoreError(f"{field}: must be {32 if pattern is _TRACE else 16} lower-case hexadecimal digits")


def is_placed(event: TraceEvent) -> bool:
    """Whether an event, which may be one that cannot be stored, says to which place of which trace it belongs."""
    return (
        event.kind not in PRODUCER_KINDS
        and bool(_TRACE.fullmatch(event.trace))
        and 0 < event.place <= MAX_PLACE
        and 0 <= event.segment <= MAX_SEGMENT
        and values.EARLIEST <= event.at < values.LATEST
    )


def stamp_of(producer: str, event: TraceEvent) -> int:
    """Which of two events wins: of a producer's the later one, by its number, which its places follow; of two of
    different producers always the same one. An event without a number counts by its time."""
    number = event.number or event.place
    return number << 32 | crc32(producer.encode()) if number else event.at


def take_observation(change: Change, producer: str, said: Said, stamp: int) -> None:
    """Merges an event of an observation into the change of its row."""
    event = said.event
    if event.place >= change.highest:
        change.highest, change.producer = event.place, producer
    change.take(said.values, stamp)
    if "status" not in change.stamps:
        change.take({"status": "running"}, RUNNING_STAMP)


def _number(field: str, value: Any, most: int) -> None:
    if not 0 <= value <= most:
        raise StoreError(f"{field}: must be between 0 and {most}, not {shown(value)}")


def _fields(fields: Mapping[str, Any], checks: Mapping[str, Check]) -> tuple[dict[str, Any], int]:
    """The known fields that have a value, checked, and how many are not known."""
    said, unknown = {}, 0
    for name, value in fields.items():
        check = checks.get(name)
        if check is None:
            unknown += 1
        elif value is not None:
            said[name] = check(name, value)
    return said, unknown


def _completed(event: TraceEvent, said: dict[str, Any]) -> dict[str, Any]:
    """What an observation's event says, with what follows from its kind."""
    kind = event.kind
    if said.get("status") == "running":
        del said["status"]
    if kind in ("start", "whole"):
        said.setdefault("parent", "")
        said.setdefault("type", "span")
        said.setdefault("started_at", event.at)
    if kind in ("end", "whole"):
        said.setdefault("status", "completed")
        said.setdefault("ended_at", event.at)
        if (cost := cost_of(said)) is not None:
            said["cost"] = cost
    return said


def _of_producer(event: TraceEvent) -> dict[str, Any]:
    """What a producer says of itself. Raises StoreError."""
    fields = event.fields
    if event.kind == "hello":
        words = {name: values.word(name, str(fields[name])) for name in HELLO_WORDS if fields.get(name) is not None}
        started = {"started_at": values.moment("started", fields["started"])} if fields.get("started") else {}
        return words | started
    if event.kind == "bye":
        made = fields.get("made")
        if made is not None and not (isinstance(made, int) and 0 <= made <= MAX_NUMBER):
            raise StoreError(f"made: must be a whole number, not {shown(made)}")
        return {"made": made or 0}
    return _dropped(fields)


HELLO_WORDS = ("host", "pid", "service", "sdk", "python")


def _dropped(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers and the places that a producer had to give up."""
    ranges, traces = fields.get("ranges") or [], fields.get("traces") or []
    try:
        if max(len(ranges), len(traces)) > MAX_DROPPED:
            raise ValueError
        pairs = [(low, high) for low, high in ranges]
        if not all(isinstance(each, int) for pair in pairs for each in pair):
            raise TypeError
        if not all(1 <= low <= high <= MAX_NUMBER for low, high in pairs):
            raise ValueError
        places = dropped_places(traces)
        if not all(0 <= segment <= MAX_SEGMENT and 0 <= place <= MAX_PLACE for _, segment, place in places):
            raise ValueError
    except (TypeError, ValueError):
        raise StoreError(
            "ranges, traces: must be lists of [first, last] and of [trace, segment, highest place, count]"
        ) from None
    for trace, _, _ in places:
        checked_id("traces", trace)
    return {"ranges": pairs, "traces": places}
