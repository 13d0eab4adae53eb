"""Traces that the Desk's tests look at: sent as a program elsewhere sends them, stored by the site's own consumer."""

from __future__ import annotations

from typing import Any

from tests.wire.client import Client
from tests.wire.traces import Program, new_span, new_trace, now_us, stored

from . import desk
from .upstream import HOSTILE

KEPT, ALL = 427, 51_200
"""Characters of the reasoning that are here, and that there were."""


def client_of(user: str, password: str) -> Client:
    """A session of this user's, apart from the browser's."""
    return Client(desk.URL).login(user, password)


def agent_run(client: Client, **fields: Any) -> str:
    """A trace as an agent makes it: a call with reasoning that was cut, a failed tool below it, an event; its id."""
    program, trace = Program(client), new_trace()
    root, call, tool, last = (new_span() for _ in range(4))
    start = now_us() - 5_000_000
    generation: dict[str, Any] = {
        "parent": root, "type": "generation", "title": "plan the steps", "model": "gpt-desk", "provider": "openai",
        "started_at": start + 20_000, "ended_at": start + 1_900_000, "ttft_ms": 310, "prompt_tokens": 1200,
        "completion_tokens": 340, "reasoning_tokens": 200, "total_tokens": 1540, "cost": 0.0123,
        "input": '[{"role": "user", "content": "Which shelf holds the <b>blue</b> boxes?"}]',
        "output": "Shelf 7, row C.", "reasoning": ("I look at the shelves one by one. " * 40)[:KEPT],
        "reasoning_chars": ALL, "reasoning_truncated": 1,
    }  # fmt: skip
    failed = {"status": "failed", "error_type": "KeyError", "error_message": "no shelf <i>9</i>"}
    events = [
        program.event("trace", trace, title="Find <b>the boxes</b>", service="warehouse", environment="test",
                      source="sdk", tags=["boxes", "night"], session="s-17", **fields),
        program.event("start", trace, root, at=start, title="find the boxes", type="agent", started_at=start),
        program.event("whole", trace, call, at=start + 20_000, **generation),
        program.event("whole", trace, tool, at=start + 400_000, parent=call, type="tool", title="read_shelf",
                      started_at=start + 400_000, ended_at=start + 900_000, input='{"shelf": 9}', **failed),
        program.event("whole", trace, last, at=start + 1_950_000, parent=root, type="event", title="box found",
                      started_at=start + 1_950_000, ended_at=start + 1_950_000, output=HOSTILE),
        program.event("end", trace, root, at=start + 2_000_000, status="completed", ended_at=start + 2_000_000),
    ]  # fmt: skip
    program.send(events)
    stored(client, trace, lambda found: found["trace"]["status"] == "completed")
    return trace


def with_a_gap(client: Client, user: str) -> str:
    """A trace of which three events never came."""
    program, trace = Program(client), new_trace()
    first = program.event("trace", trace, title="With a gap", service="warehouse", user=user)
    for _ in range(3):
        program.event("event", trace, new_span(), title="lost")
    at = now_us()
    program.send([first, program.event("whole", trace, new_span(), title="arrived", started_at=at, ended_at=at + 9)])
    stored(client, trace, lambda found: found["trace"]["missing_events"] == 3)
    return trace


def with_many(client: Client, user: str, count: int) -> str:
    """A trace with so many steps, all below the first."""
    program, trace, root = Program(client), new_trace(), new_span()
    start = now_us()
    events = [program.event("trace", trace, title="Many", service="warehouse", user=user)]
    events.append(program.event("whole", trace, root, title="all", started_at=start, ended_at=start + count * 1000))
    for number in range(count - 1):
        at = start + number * 1000
        events.append(program.event("whole", trace, new_span(), at=at, parent=root, title=f"step {number}",
                                    started_at=at, ended_at=at + 900))  # fmt: skip
    for begin in range(0, len(events), 1000):
        program.send(events[begin : begin + 1000])
    stored(client, trace, lambda found: found["trace"]["observation_count"] == count)
    return trace


def refused_event(client: Client, trace: str) -> None:
    """An event for somebody else's trace, from one who is not trusted: it becomes a dead letter."""
    intruder = Program(client)
    intruder.send([intruder.event("whole", trace, new_span(), title="not mine")])
