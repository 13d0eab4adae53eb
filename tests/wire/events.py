"""Checks the contract's promises on any list of a task's events."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

Event = dict[str, Any]
ENDS = ("completion", "error", "cancelled")
TOOL_TYPES = ("tool_started", "tool_progress", "tool_completed", "tool_failed")
TYPES = ("start", "status", "reasoning", "text", "tool_call", "data", *TOOL_TYPES, *ENDS)
STATES = ("queued", "connecting", "retrying", "fallback", "waiting_tool", "restarting")
CODES = [
    "invalid_request",
    "provider_auth",
    "provider_rate_limited",
    "provider_unavailable",
    "provider_timeout",
    "stream_interrupted",
    "context_length_exceeded",
    "content_filtered",
    "budget_exceeded",
    "worker_lost",
    "no_worker",
    "internal",
]
USAGE = ("prompt_tokens", "completion_tokens", "reasoning_tokens", "cached_tokens", "total_tokens")
TIMINGS = ("queue_ms", "ttft_ms", "reasoning_ms", "total_ms")
MAX_EVENT_BYTES = 32 * 1024


@dataclass
class Recording:
    """What the events of one task add up to. `checked` makes one."""

    events: list[Event]
    text: str = ""
    reasoning: str = ""
    calls: dict[str, Event] = field(default_factory=dict)
    """The closed tool calls by their ids."""
    closings: list[Event] = field(default_factory=list)
    """The events that closed a reasoning."""
    open_reasoning: bool = False
    gen: int = 1
    shown: bool = False
    arguments: dict[str, str] = field(default_factory=dict)

    @property
    def types(self) -> list[str]:
        """The type of each event."""
        return [event["type"] for event in self.events]

    @property
    def end(self) -> Event:
        """The last event, which ended the task."""
        assert self.types[-1] in ENDS, f"the task has not ended: {self.types[-5:]}"
        return self.events[-1]

    @property
    def states(self) -> list[str]:
        """The states of its `status` events."""
        return [event["state"] for event in self.events if event["type"] == "status"]

    def of(self, type_: str) -> list[Event]:
        """The events of one type."""
        return [event for event in self.events if event["type"] == type_]


def checked(events: list[Event], task_id: str | None = None, *, ended: bool = True) -> Recording:
    """Asserts every promise on a task's whole list of events; `ended=False` allows for one that still runs."""
    assert events, "there are no events"
    record = Recording(events)
    _check_order(events, task_id or events[0]["task_id"])
    for event in events:
        _check_common(event)
        _check_generation(record, event)
        _CHECKS[event["type"]](record, event)
    if ended:
        assert events[-1]["type"] in ENDS, f"promise 1: the last event is {events[-1]['type']}"
    return record


def _check_order(events: list[Event], task_id: str) -> None:
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1)), "seq: 1, 2, 3 … no gaps, no repeats"
    assert {event["task_id"] for event in events} == {task_id}
    types = [event["type"] for event in events]
    assert types[0] == "start", f"promise 1: the first event is {types[0]}"
    assert types.count("start") == 1
    ends = [at for at, type_ in enumerate(types) if type_ in ENDS]
    assert ends in ([], [len(types) - 1]), f"promise 1: one end and nothing after it, not {types}"
    accepted = [event["ts"] - event["elapsed_ms"] for event in events]
    assert max(accepted) - min(accepted) <= 50, "elapsed_ms counts from the acceptance by the clock of ts"


def _check_common(event: Event) -> None:
    """The fields of every event."""
    assert event["v"] == 1
    assert event["type"] in TYPES, event["type"]
    assert isinstance(event["text"], str)
    assert isinstance(event["partial"], bool)
    for name in ("gen", "seq", "ts", "elapsed_ms"):
        assert isinstance(event[name], int) and not isinstance(event[name], bool), name
    assert event["gen"] >= 1
    assert event["elapsed_ms"] >= 0
    assert event["ts"] > 1_600_000_000_000, "ts is in epoch milliseconds"
    for name in ("trace_id", "message_id", "conversation", "subject"):
        assert isinstance(event.get(name, "-"), str), f"{name} is a string where it applies"
    if event["partial"]:
        size = len(json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode())
        assert size <= MAX_EVENT_BYTES, f"promise 4: a delta of {size} bytes"


def _check_generation(record: Recording, event: Event) -> None:
    if event["gen"] != record.gen:
        assert event["gen"] == record.gen + 1, "gen: one more each time"
        assert not record.shown, "a restart happens only before any delta was shown"
        record.gen = event["gen"]


def _check_start(record: Recording, event: Event) -> None:
    assert event["mode"] in ("ask", "agent")
    assert isinstance(event["model"], str)
    assert event["model"]
    _check_bare(event)


def _check_status(record: Recording, event: Event) -> None:
    assert event["state"] in STATES, event["state"]
    _check_bare(event)
    if event["state"] in ("connecting", "retrying", "fallback"):
        assert isinstance(event["model"], str)
        assert isinstance(event["provider"], str)
        assert isinstance(event["attempt"], int)
    assert isinstance(event.get("detail", ""), str)


def _check_bare(event: Event) -> None:
    """`""` and `false` where a type has no use for them."""
    assert (event["text"], event["partial"]) == ("", False), f"text and partial of {event['type']}"


def _check_reasoning(record: Recording, event: Event) -> None:
    if event["partial"]:
        assert event["text"], "a delta brings something"
        assert event["offset"] == len(record.reasoning), "offset of a reasoning"
        record.reasoning += event["text"]
        record.open_reasoning = record.shown = True
        return
    assert record.open_reasoning, "a reasoning is closed once, and after it was opened"
    assert event["text"] == ""
    assert isinstance(event["reasoning_ms"], int)
    assert event["reasoning_ms"] >= 0
    assert isinstance(event["truncated"], bool)
    assert isinstance(event["chars"], int)
    record.open_reasoning = False
    record.closings.append(event)


def _check_text(record: Recording, event: Event) -> None:
    assert event["partial"] is True
    assert event["text"], "a delta brings something"
    assert not record.open_reasoning, "promise 3: reasoning is closed before the text that follows it"
    assert event["offset"] == len(record.text), "offset of a text"
    record.text += event["text"]
    record.shown = True


def _check_tool_call(record: Recording, event: Event) -> None:
    id, arguments = event["tool_call_id"], event["arguments"]
    assert isinstance(id, str)
    assert id
    assert isinstance(event["name"], str)
    assert event["name"]
    assert isinstance(arguments, str)
    assert id not in record.calls, "nothing follows the closing of a tool call"
    record.shown = True
    if event["partial"]:
        record.arguments[id] = record.arguments.get(id, "") + arguments
    else:
        assert arguments == record.arguments.get(id, arguments), "the joined arguments are the whole ones"
        record.calls[id] = event


def _check_tool(record: Recording, event: Event) -> None:
    """A tool that the server runs."""
    _check_bare(event)
    assert isinstance(event["tool_call_id"], str) and event["tool_call_id"]
    assert isinstance(event["name"], str) and event["name"]
    if event["type"] == "tool_progress":
        assert 0 <= event["progress"] <= 100
        assert isinstance(event.get("message", ""), str)
    if event["type"] in ("tool_completed", "tool_failed"):
        assert event["duration_ms"] >= 0
    if event["type"] == "tool_failed":
        assert isinstance(event["error"], str) and event["error"]
        assert "Traceback" not in event["error"]


def _check_data(record: Recording, event: Event) -> None:
    """An application's own event."""
    _check_bare(event)
    assert isinstance(event["name"], str) and event["name"]
    assert "data" in event


def _check_completion(record: Recording, event: Event) -> None:
    assert event["partial"] is False
    assert event["text"] == record.text, "promise 2: the joined deltas are the text of the completion"
    assert not record.open_reasoning, "a reasoning is closed"
    assert isinstance(event["finish_reason"], str)
    assert [call["id"] for call in event["tool_calls"]] == list(record.calls)
    for call in event["tool_calls"]:
        closed = record.calls[call["id"]]
        assert call["type"] == "function"
        assert call["function"] == {"name": closed["name"], "arguments": closed["arguments"]}
    check_usage(event["usage"])
    check_timings(event["timings"])
    assert isinstance(event["model"], str)
    assert event["model"]
    assert isinstance(event["provider"], str)
    assert event["provider"]


def _check_error(record: Recording, event: Event) -> None:
    assert event["partial"] is False
    check_error(event)
    assert event["text"] == record.text, "the text of an error is what had arrived"


def _check_cancelled(record: Recording, event: Event) -> None:
    assert event["partial"] is False
    assert isinstance(event["by"], str)
    assert event["by"]
    assert event["text"] == record.text, "the text of a cancelled task is what had arrived"


def check_error(error: dict[str, Any]) -> None:
    """`{code, message, retryable}`, for people, without secret and stack trace."""
    assert error["code"] in CODES, error["code"]
    assert isinstance(error["message"], str)
    assert error["message"].strip()
    assert isinstance(error["retryable"], bool)
    for forbidden in ("Traceback", 'File "', "wire-test-key", "Bearer "):
        assert forbidden not in error["message"], error["message"]


def check_usage(usage: dict[str, Any]) -> None:
    """Counts that are none below zero and add up."""
    for name in USAGE:
        assert isinstance(usage[name], int) and usage[name] >= 0, name
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["cost"] is None or usage["cost"] >= 0
    assert isinstance(usage["estimated"], bool)


def check_timings(timings: dict[str, Any]) -> None:
    """Milliseconds, none below zero; a part is not longer than the whole."""
    for name in TIMINGS:
        assert timings[name] is None or timings[name] >= 0, name
    assert timings["total_ms"] is not None
    for name in ("queue_ms", "ttft_ms", "reasoning_ms"):
        assert (timings[name] or 0) <= timings["total_ms"], name


_CHECKS = {
    "start": _check_start,
    "status": _check_status,
    "reasoning": _check_reasoning,
    "text": _check_text,
    "tool_call": _check_tool_call,
    "data": _check_data,
    **dict.fromkeys(TOOL_TYPES, _check_tool),
    "completion": _check_completion,
    "error": _check_error,
    "cancelled": _check_cancelled,
}
