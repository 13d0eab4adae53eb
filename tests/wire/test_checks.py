"""The suite's own check of events: it passes a list that keeps the promises, and no other."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from .events import Event, checked

USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "reasoning_tokens": 0, "cached_tokens": 0, "total_tokens": 3}
TIMINGS = {"queue_ms": 1, "ttft_ms": 2, "reasoning_ms": 3, "total_ms": 9}
CALL = {"tool_call_id": "c1", "name": "clock"}
PARTS: list[Event] = [
    {"type": "start", "mode": "ask", "model": "plain"},
    {"type": "status", "state": "connecting", "model": "plain", "provider": "openai", "attempt": 1, "detail": ""},
    {"type": "reasoning", "text": "Hm", "partial": True, "offset": 0},
    {"type": "reasoning", "text": "m.", "partial": True, "offset": 2},
    {"type": "reasoning", "reasoning_ms": 5, "chars": 4, "truncated": False},
    {"type": "text", "text": "Four", "partial": True, "offset": 0},
    {"type": "text", "text": ".", "partial": True, "offset": 4},
    {"type": "tool_call", **CALL, "arguments": "{}", "partial": True},
    {"type": "tool_call", **CALL, "arguments": "{}"},
    {
        "type": "completion",
        "text": "Four.",
        "finish_reason": "tool_calls",
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "clock", "arguments": "{}"}}],
        "usage": {**USAGE, "cost": None, "estimated": False},
        "timings": TIMINGS,
        "model": "plain",
        "provider": "openai",
    },
]


def whole() -> list[Event]:
    """A list that keeps every promise."""
    frame = {"v": 1, "task_id": "t", "gen": 1, "text": "", "partial": False, "trace_id": "x"}
    events = [
        {**frame, "seq": n, "ts": 1_700_000_000_000 + n, "elapsed_ms": n, **part} for n, part in enumerate(PARTS, 1)
    ]
    return copy.deepcopy(events)


def put(at: int, **fields: Any) -> Callable[[list[Event]], None]:
    return lambda events: events[at].update(fields)


def drop(at: int, renumber: bool = True) -> Callable[[list[Event]], None]:
    def run(events: list[Event]) -> None:
        del events[at]
        if renumber:
            number(events)

    return run


def again(at: int) -> Callable[[list[Event]], None]:
    def run(events: list[Event]) -> None:
        events.insert(at, dict(events[at]))
        number(events)

    return run


def number(events: list[Event]) -> None:
    for seq, event in enumerate(events, 1):
        event["seq"] = seq


def test_a_good_list_passes() -> None:
    record = checked(whole(), "t")
    assert (record.text, record.reasoning) == ("Four.", "Hmm.")
    assert record.calls["c1"]["arguments"] == "{}"


@pytest.mark.parametrize(
    "spoil",
    {
        "a gap": drop(3, renumber=False),
        "no start": drop(0),
        "two starts": again(0),
        "no end": drop(-1),
        "two ends": again(-1),
        "a delta twice": again(5),
        "a delta lost": drop(6),
        "an open reasoning before text": drop(4),
        "an open reasoning at the end": lambda events: [events.pop(5) for _ in range(2)] and drop(4)(events),
        "a reasoning closed twice": again(4),
        "a wrong offset": put(6, offset=3),
        "another text at the end": put(-1, text="Five."),
        "another task": put(5, task_id="u"),
        "another version": put(5, v=2),
        "an unknown type": put(5, type="surprise"),
        "no partial": lambda events: events[5].pop("partial"),
        "a status with text": put(1, text="x"),
        "an unknown state": put(1, state="dreaming"),
        "a new generation after a delta": lambda events: [event.update(gen=2) for event in events[5:]],
        "other arguments": put(8, arguments="[]"),
        "a call that is missing at the end": put(-1, tool_calls=[]),
        "a usage that does not add up": lambda events: events[-1]["usage"].update(total_tokens=9),
        "a delta that is too large": lambda events: (
            events[5].update(text="x" * 40_000),
            events[6].update(offset=40_000),
            events[-1].update(text="x" * 40_000 + "."),
        ),
        "another clock": put(5, elapsed_ms=9_000),
    }.items(),
    ids=lambda spoil: spoil[0],
)
def test_a_broken_promise_is_noticed(spoil: tuple[str, Callable[[list[Event]], Any]]) -> None:
    events = whole()
    spoil[1](events)
    with pytest.raises((AssertionError, KeyError)):
        checked(events, "t")
