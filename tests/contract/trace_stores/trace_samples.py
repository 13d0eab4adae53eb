"""Producers and their events for the tests of the stores."""

from __future__ import annotations

import random
from typing import Any

from ai_assistant.core.session import User
from ai_assistant.core.trace import TraceFilter
from ai_assistant.core.trace_event import TraceEvent
from ai_assistant.traces.rows import OBSERVATION_LISTED
from ai_assistant.traces.writer import Applied, Batch, apply

# names that no site has: on a site these become users, and what they own is cleared away
ANN, BOB = "ann@traces.example", "bob@traces.example"
REVIEWER = User(name="eve@traces.example", roles=frozenset({"AI Trace Reviewer"}))
START = 1_790_000_000_000_000
"""Epoch microseconds, in September 2026."""
SECOND = 1_000_000
SERVICE = "traces-under-test"
"""Marks the traces of this suite: a site may have others."""

_random = random.Random(4)


def new_id(digits: int = 32) -> str:
    return f"{_random.getrandbits(4 * digits) or 1:0{digits}x}"


class Producer:
    """Numbers its events as the SDK does. `at` is its clock, which goes on by a millisecond with each event."""

    def __init__(self, name: str | None = None):
        self.name = name or f"traces-under-test-{new_id(16)}"
        self.number = 0
        self.at = START
        self.segments = 0

    def event(self, kind: str, **members: Any) -> TraceEvent:
        self.number += 1
        self.at += 1000
        return TraceEvent(number=self.number, kind=kind, at=members.pop("at", self.at), **members)

    def trace(self, trace: str | None = None, **fields: Any) -> Trace:
        self.segments += 1
        return Trace(self, trace or new_id(), self.segments, fields)

    def batch(self, *events: TraceEvent, user: str | None = None) -> Batch:
        return Batch(self.name, user, list(events))


class Trace:
    """One segment of a trace; `events` are those that were made, with the trace's own as the first."""

    def __init__(self, producer: Producer, trace: str, segment: int, fields: dict[str, Any]):
        self.producer, self.id, self.segment = producer, trace, segment
        self.place = 0
        self.events: list[TraceEvent] = []
        self.say("trace", service=SERVICE, **fields)

    def say(self, kind: str, span: str = "", at: int | None = None, **fields: Any) -> TraceEvent:
        self.place += 1
        more = {} if at is None else {"at": at}
        event = self.producer.event(
            kind, trace=self.id, segment=self.segment, place=self.place, span=span, fields=fields, **more
        )
        self.events.append(event)
        return event

    def whole(self, span: str | None = None, **fields: Any) -> str:
        """An observation in one event; gives its span."""
        span = span or new_id(16)
        at = self.producer.at
        self.say("whole", span, **{"title": "step", "started_at": at, "ended_at": at + 5000, **fields})
        return span


def store_events(stores: Any, *batches: Batch) -> Applied:
    """What became of them; nothing was refused."""
    with stores() as store:
        result = apply(store, batches)
    assert [(each.event.kind, each.error) for each in result.rejected] == []
    return result


def store_trace(stores: Any, user: str | None = ANN, /, **fields: Any) -> Trace:
    """A trace with one generation, stored."""
    trace = Producer().trace(**({"user": user} if user else {}), **fields)
    trace.whole(type="generation", title="answer", model="fast", input="question", output="answer")
    store_events(stores, trace.producer.batch(*trace.events))
    return trace


def listed(stores: Any, *, owner: str | None = None, limit: int = 100, **filters: Any) -> list[str]:
    """Ids of this suite's traces, newest first."""
    with stores() as store:
        page = store.list(TraceFilter(service=SERVICE, **filters), owner=owner, limit=limit, cursor=None)
    return [row["name"] for row in page.rows]


def got(stores: Any, trace: str) -> dict[str, Any]:
    with stores() as store:
        row = store.get(trace, owner=None)
    assert row is not None
    return row


def steps(stores: Any, trace: str) -> list[dict[str, Any]]:
    with stores() as store:
        return [dict.fromkeys(OBSERVATION_LISTED) | row for row in store.observations(trace)]


def contents(stores: Any, trace: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Everything of a trace: its row with its payloads, and its observations with theirs."""
    with stores() as store:
        row = store.get(trace, owner=None)
        payloads = {column: store.payload(trace, "", column) for column in ("input", "output", "reasoning", "metadata")}
        return {**row, **payloads}, list(store.payloads(trace))
