"""A large store of traces, made by the writer as a consumer makes it, but from events that never were in Redis.

Traces have ten observations and what a filter can ask for; some values are on every second trace, some on a few in all.
Prompts and answers are short here: no list and no tree reads them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any, Final

from ai_assistant.core.trace_event import TraceEvent
from ai_assistant.host.database import Database
from ai_assistant.host.traces import SqlTraces
from ai_assistant.traces import writer
from ai_assistant.traces.writer import Batch

PER_TRACE: Final = 10
BATCH: Final = 2000
DAYS: Final = 90
NEWEST_US: Final = 1_790_000_000_000_000
"""When the newest trace began; its date does not matter."""
LARGE_TRACE: Final = "f" * 32
RARE: Final = "quittungsdrache"
"""A word of three traces."""
RARE_TRACES: Final = 3
MODELS: Final = ("m-large", "m-small", "m-tiny", "m-vision")
ENVIRONMENTS: Final = ("production",) * 97 + ("staging",) * 2 + ("laboratory",)


class Filling:
    """Makes the events of one store."""

    def __init__(self, traces: int):
        self._traces = traces
        self._random = random.Random(4)
        self._number = 0

    def batches(self) -> Iterator[Batch]:
        """All events, some thousands at once."""
        events: list[TraceEvent] = []
        for index in range(self._traces):
            events += self._trace(index)
            if len(events) >= BATCH:
                yield Batch("filling", None, events)
                events = []
        yield Batch("filling", None, events)

    def _trace(self, index: int) -> list[TraceEvent]:
        pick, trace = self._random, f"{index + 1:032x}"
        at = NEWEST_US - (self._traces - index) * (DAYS * 86_400_000_000 // self._traces)
        failed = pick.random() < 0.04
        events = [self._event("trace", at, trace, 1, "", _about(index, pick))]
        root = f"{index + 1:08x}00000000"
        for step in range(PER_TRACE):
            span = f"{index + 1:08x}{step:08x}"
            fields: dict[str, Any] = {"parent": root if step else "", "started_at": at + step * 40_000}
            fields |= {"title": f"step {step}", "type": "tool", "input": "two soups", "output": "14.00"}
            if step == 0:
                words = RARE if index % max(1, self._traces // RARE_TRACES) == 7 else f"receipt {index % 977}"
                fields |= {"title": f"read {words}", "type": "agent"}
            if step == 1:
                fields |= {"type": "generation", "model": MODELS[min(3, int(pick.expovariate(1.2)))]}
                fields |= {"prompt_tokens": 120, "completion_tokens": 40, "cost": round(pick.random() / 100, 6)}
                fields |= {"ttft_ms": 200}
            if failed and step in (0, 2):
                fields |= {"status": "failed", "error_type": "Refused", "error_message": "the provider refused"}
            length = int(pick.expovariate(1 / 900_000)) if step == 0 else 30_000
            events.append(self._event("whole", at + step * 40_000 + length, trace, step + 2, span, fields))
        return events

    def _event(self, kind: str, at: int, trace: str, place: int, span: str, fields: dict[str, Any]) -> TraceEvent:
        self._number += 1
        return TraceEvent(self._number, kind, at, trace, 1, place, span, fields)


def _about(index: int, pick: random.Random) -> dict[str, Any]:
    """What the trace says of itself."""
    fields: dict[str, Any] = {
        "user": f"user{min(49, int(pick.expovariate(0.1)))}@bench.localhost",
        "session": f"session-{index // 5}",
        "conversation": f"conversation-{index // 3}",
        "environment": pick.choice(ENVIRONMENTS),
        "service": f"service-{index % 4}",
        "source": "sdk" if index % 3 else "chat",
        "tags": ["receipts", f"batch-{index // 1000}"] if index % 2 else ["receipts"],
    }
    if index % 20 == 0:
        fields |= {"reference_doctype": "Receipt", "reference_name": f"R-{index % 5000}"}
    return fields


def fill(database: Database, traces: int, say: Callable[[str], None]) -> None:
    """Stores so many traces."""
    stored = 0
    for batch in Filling(traces).batches():
        with database.unit() as work:
            found = writer.apply(SqlTraces(work), [batch])
        assert not found.rejected, found.rejected[0].error
        if stored // 100_000 != (stored := stored + found.stored) // 100_000:
            say(f"{stored:,} events are stored")


def fill_one(database: Database, observations: int) -> None:
    """Stores LARGE_TRACE with so many observations: a root, and twenty below each."""
    trace, at = LARGE_TRACE, NEWEST_US
    spans = [f"{0xF0000000 + place:016x}" for place in range(observations)]
    events = []
    for place, span in enumerate(spans):
        fields: dict[str, Any] = {
            "parent": spans[(place - 1) // 20] if place else "",
            "started_at": at + place * 50,
            "title": f"step {place % 40}",
            "type": "generation" if place % 5 == 1 else "tool",
            "input": "two soups",
            "output": "14.00",
        }
        if fields["type"] == "generation":
            fields |= {"model": "m-large", "provider": "openai", "finish_reason": "stop", "cost": 0.0003}
            fields |= {"prompt_tokens": 120, "completion_tokens": 40, "total_tokens": 160, "ttft_ms": 210}
        events.append(TraceEvent(place + 1, "whole", at + place * 50 + 900_000, trace, 1, place + 1, span, fields))
    for start in range(0, observations, BATCH):
        with database.unit() as work:
            found = writer.apply(SqlTraces(work), [Batch("one large", None, events[start : start + BATCH])])
        assert not found.rejected, found.rejected[0].error
