"""For tests of traced code: fixed clock and ids, and events that stay in memory.

def test_it():
    with tracing.testing.recorded() as traces:
        my_function()
    assert traces.tree() == ["my_function", "  fetch"]
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ai_assistant.core.trace_event import OBSERVATION_KINDS, TraceEvent
from ai_assistant.tracing import state
from ai_assistant.tracing.client import Client
from ai_assistant.tracing.ids import Ids
from ai_assistant.tracing.settings import settings_from
from ai_assistant.tracing.sinks.memory import MemorySink
from ai_assistant.tracing.threads import propagate

START_US = 1_700_000_000_000_000
"""2023-11-14T22:13:20Z: when a `FixedClock` begins."""


class FixedClock:
    """Gives a later time with each call, always the same ones."""

    def __init__(self, start_us: int = START_US, step_us: int = 1000):
        self._times = itertools.count(start_us, step_us)

    def __call__(self) -> int:
        """Epoch microseconds."""
        return next(self._times)


class FixedIds(Ids):
    """Counts: traces `…01`, `…02`, observations likewise."""

    def __init__(self) -> None:
        self._traces, self._spans = itertools.count(1), itertools.count(1)

    def trace(self) -> str:
        """The next trace's id."""
        return f"{next(self._traces):032x}"

    def span(self) -> str:
        """The next observation's id."""
        return f"{next(self._spans):016x}"


class MemoryExporter(MemorySink):
    """What was traced, as events and as observations."""

    client: Client

    def observations(self) -> list[dict[str, Any]]:
        """Every observation with its columns, in the order in which they began, as far as it was delivered."""
        self.client.flush()
        rows: dict[tuple[str, str], dict[str, Any]] = {}
        for event in self.events:
            if event.kind in OBSERVATION_KINDS:
                row = rows.setdefault((event.trace, event.span), {"trace": event.trace, "span": event.span})
                row.update(event.fields)
        return sorted(rows.values(), key=lambda row: row.get("started_at", 0))

    def traces(self) -> dict[str, dict[str, Any]]:
        """What was said of each trace, by its id."""
        self.client.flush()
        found: dict[str, dict[str, Any]] = {}
        for event in self.events:
            if event.trace:
                found.setdefault(event.trace, {})
            if event.kind == "trace":
                found[event.trace].update(event.fields)
        return found

    def named(self, title: str) -> dict[str, Any]:
        """The one observation of that name. Raises KeyError where there is none, or more than one."""
        found = [row for row in self.observations() if row["title"] == title]
        if len(found) != 1:
            raise KeyError(f"{len(found)} observations are named {title!r}")
        return found[0]

    def tree(self) -> list[str]:
        """Names, indented by two spaces for each level."""
        rows = self.observations()
        known = {row["span"] for row in rows}
        lines: list[str] = []

        def add(parent: str | None, depth: int) -> None:
            for row in rows:
                above = row["parent"] if row["parent"] in known else None
                if above == parent:
                    lines.append("  " * depth + row["title"])
                    add(row["span"], depth + 1)

        add(None, 0)
        return lines

    def clear(self) -> None:
        """Forgets everything."""
        self.client.flush()
        self.events.clear()


@contextmanager
def recorded(*, fixed: bool = True, **given: Any) -> Iterator[MemoryExporter]:
    """Within the block the program traces into memory. `fixed`: with fixed clock and ids. `given`: as in `init`."""
    settings, problems = settings_from({"site": "testing", "flush_interval": 0.01, **given}, {})
    if problems:
        raise ValueError("; ".join(problems))
    exporter = MemoryExporter()
    exporter.client = Client(settings, exporter, **({"ids": FixedIds(), "clock": FixedClock()} if fixed else {}))
    propagate()
    before = state.client()
    state.swap(exporter.client)
    try:
        yield exporter
        exporter.client.flush()
    finally:
        state.swap(before)
        exporter.client.shutdown(1.0)


Event = TraceEvent
"""What `MemoryExporter.events` holds."""
