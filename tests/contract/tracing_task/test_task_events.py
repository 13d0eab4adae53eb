"""What a program's own task says, held to the wire contract."""

from __future__ import annotations

import json
from typing import Any

import pytest
import redis

from ai_assistant import tracing
from ai_assistant.core.events import MAX_EVENT_BYTES
from ai_assistant.streams import keys as names
from ai_assistant.streams.tasks import Tasks
from ai_assistant.tracing.emitter import Emitter
from ai_assistant.tracing.typed_events import (
    ApplicationEvent,
    Event,
    ProcessingStarted,
    ToolCompleted,
    ToolFailed,
    ToolProgress,
    ToolStarted,
)
from tests.contract.tracing_task.conftest import Open
from tests.kit import SCOPE, USER, check_promises, events_of, wait_until

FRAME = ("v", "gen", "seq", "ts", "elapsed_ms", "task_id", "trace_id", "text", "partial")


def told(tasks: Tasks, task: Any) -> list[dict[str, Any]]:
    """The events of a task that has ended, which keep every promise."""
    assert task.flush()
    events = events_of(tasks, task.task.ref)
    check_promises(events)
    return events


def test_a_task_from_its_start_to_its_end(tasks: Tasks, open_task: Open) -> None:
    with open_task(subject="Receipt/R-1", conversation="c1") as task:
        with task.tool("ocr", arguments={"pages": 2}, tool_call_id="call-1") as tool:
            tool.progress(1, 2, "page 1 of 2")
            tool.result = "2 pages"
        task.event("total", "41.20", confidence=0.93, reasoning="The last line says so.", unit="EUR")
        task.reasoning("It adds up.")
        task.text("All is well.")
        task.result = {"total": "41.20"}
    events = told(tasks, task)
    assert [event["type"] for event in events] == [
        "start", "tool_started", "tool_progress", "tool_completed", "data", "reasoning", "reasoning", "text",
        "completion",
    ]  # fmt: skip
    assert {event["subject"] for event in events} == {"Receipt/R-1"}
    assert {event["conversation"] for event in events} == {"c1"}
    assert {event["trace_id"] for event in events} == {task.trace_id}
    start, started, progress, completed, data, *_, end = events
    assert (start["mode"], start["model"]) == ("agent", "label-receipt")
    assert (started["tool_call_id"], started["name"], started["arguments"]) == ("call-1", "ocr", {"pages": 2})
    assert (progress["progress"], progress["message"]) == (50.0, "page 1 of 2")
    assert completed["result"] == "2 pages"
    assert completed["duration_ms"] >= 0
    assert data["name"] == "total"
    assert data["data"] == {
        "value": "41.20", "confidence": 0.93, "reasoning": "The last line says so.", "unit": "EUR",
    }  # fmt: skip
    assert (end["text"], end["result"], end["finish_reason"]) == ("All is well.", {"total": "41.20"}, "stop")
    view = tasks.get(task.task.ref).view()
    assert (view["status"], view["result"], view["subject"]) == ("completed", {"total": "41.20"}, "Receipt/R-1")
    assert (view["message"]["content"], view["message"]["reasoning"]) == ("All is well.", "It adds up.")


async def test_the_same_with_async(tasks: Tasks, open_task: Open) -> None:
    async with open_task() as task:
        async with task.tool("ocr"):
            task.text("Read.")
        task.status("waiting_tool", "for the scanner")
    types = [event["type"] for event in told(tasks, task)]
    assert types == ["start", "tool_started", "text", "tool_completed", "status", "completion"]


def test_it_runs_at_once_and_is_no_worker_of_the_queue(tasks: Tasks, client: redis.Redis, open_task: Open) -> None:
    with open_task() as task:
        task.flush()
        found = tasks.get(task.task.ref)
        assert (found.status, found.shown) == ("running", True)
        assert tasks.workers() == []
        assert tasks.health()["ok"] is False
        assert tasks.backlog() == 0
        assert client.zcard(names.ScopeKeys(SCOPE).open) == 1
    told(tasks, task)
    assert client.zcard(names.ScopeKeys(SCOPE).open) == 0


def test_its_events_are_counted(tasks: Tasks, client: redis.Redis, open_task: Open) -> None:
    with open_task() as task:
        with task.tool("ocr") as tool:
            tool.progress(1, 2)
        task.event("total", 1)
        task.text("Fine.")
    told(tasks, task)
    counted = {"accepted": 1, "ended|completed|": 1, "events|tool": 3, "events|data": 1, "events|text": 1}
    expected = {name.encode(): str(count).encode() for name, count in counted.items()}
    wait_until(lambda: client.hgetall(names.ScopeKeys(SCOPE).totals) == expected)


def test_an_exception_ends_it_and_goes_on(tasks: Tasks, open_task: Open) -> None:
    with pytest.raises(KeyError), open_task() as task, task.tool("ocr"):
        raise KeyError("password=hunter2")
    events = told(tasks, task)
    failed, end = events[-2:]
    assert (failed["type"], failed["error"]) == ("tool_failed", "KeyError")
    assert (end["type"], end["code"], end["retryable"]) == ("error", "internal", False)
    assert "hunter2" not in json.dumps(events)
    assert "Traceback" not in end["message"]
    assert "label-receipt failed (KeyError)" in end["message"]
    assert tasks.get(task.task.ref).status == "failed"


def test_a_failure_with_words_for_the_user(tasks: Tasks, open_task: Open) -> None:
    with pytest.raises(tracing.TaskFailed), open_task() as task, task.tool("ocr"):
        raise tracing.TaskFailed("The scan is too dark; scan it again", retryable=True)
    failed, end = told(tasks, task)[-2:]
    assert failed["error"] == "The scan is too dark; scan it again"
    assert (end["message"], end["retryable"]) == ("The scan is too dark; scan it again", True)


def test_a_failed_tool_does_not_end_the_task(tasks: Tasks, open_task: Open) -> None:
    with open_task() as task:
        with pytest.raises(ValueError), task.tool("ocr"):
            raise ValueError
        task.text("Without the tool.")
    assert told(tasks, task)[-1]["type"] == "completion"


def test_text_is_exact_and_cut_into_small_events(tasks: Tasks, open_task: Open) -> None:
    pieces = ["ü" * 40_000, '\x00\x1f"\\' * 9_000, "half a pair \ud83d", *(f"{n} " for n in range(3_000))]
    with open_task() as task:
        for piece in pieces:
            task.text(piece)
    events = told(tasks, task)
    text = "".join(pieces).replace("\ud83d", "\ufffd")
    assert events[-1]["text"] == text
    sizes = [len(json.dumps(event, ensure_ascii=False).encode()) for event in events if event["partial"]]
    assert max(sizes) <= MAX_EVENT_BYTES
    assert len(sizes) < 500, "deltas that come close together are joined"


def test_values_of_any_kind_and_size_fit(tasks: Tasks, open_task: Open) -> None:
    loop: list[Any] = []
    loop.append(loop)
    values = ["\x01" * 50_000, {"a": "ü" * 90_000}, list(range(50_000)), object(), loop, float("nan"), b"\xff", {1, 2}]
    with open_task() as task:
        for value in values:
            task.event("value", value, reasoning='"' * 50_000, extra=value)
        task.result = "x" * 100_000
    events = told(tasks, task)
    for event in events:
        assert len(json.dumps(event, ensure_ascii=False).encode()) <= MAX_EVENT_BYTES
    found = [event["data"] for event in events if event["type"] == "data"]
    assert len(found) == len(values)
    assert all(data["truncated"] is True for data in found)


def test_progress_of_the_task_and_of_its_tools(tasks: Tasks, open_task: Open) -> None:
    with open_task() as task:
        with task.tool("pages") as tool:
            for page in range(500):
                tool.progress(page, 500)
        task.progress(3, 4, "almost")
        task.progress(7, 4)
    events = told(tasks, task)
    shown = [event for event in events if event["type"] == "tool_progress"]
    of_tool = [event["progress"] for event in shown if event["tool_call_id"] == tool.id]
    assert of_tool[-1] == 99.8, "the last one counts"
    assert of_tool == sorted(of_tool)
    assert len(of_tool) < 100
    last = shown[-1]
    assert (last["tool_call_id"], last["progress"], last["message"]) == (task.task_id, 100.0, "almost")


def test_an_emitter_forwards_typed_events(tasks: Tasks, open_task: Open) -> None:
    class Found(Event, frozen=True, kw_only=True, tag="found"):
        what: str

    emitter = Emitter()
    with open_task() as task:
        emitter.add(task.handler())
        for event in (
            ProcessingStarted(name="receipts", total=2),
            ToolStarted(name="ocr", arguments={"page": 1}),
            ToolProgress(name="ocr", progress=40, message="page 2 of 5"),
            ToolCompleted(name="ocr", result="text", duration_ms=3.5),
            ToolFailed(name="tax", error="no rate"),
            ApplicationEvent(name="total", value="41.20", confidence=0.9, data={"line": 7}),
            Found(what="a stamp"),
        ):
            assert emitter.emit(event)
    events = told(tasks, task)
    _, processing, started, progress, completed, failed, total, found, _ = events
    assert (processing["type"], processing["name"]) == ("data", "receipts")
    assert processing["data"]["type"] == "processing_started"
    assert started["tool_call_id"] == progress["tool_call_id"] == completed["tool_call_id"]
    assert (progress["progress"], progress["message"]) == (40, "page 2 of 5")
    assert (completed["result"], completed["duration_ms"]) == ("text", 3.5)
    assert (failed["name"], failed["error"]) == ("tax", "no rate")
    assert total["data"] == {"value": "41.20", "confidence": 0.9, "data": {"line": 7}}
    assert (found["name"], found["data"]["what"]) == ("found", "a stamp")


def test_a_long_log_is_folded_into_a_snapshot(tasks: Tasks, open_task: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ai_assistant.streams.program_task.MAX_LOG_BYTES", 60_000)
    with open_task() as task:
        task.text("A word.")
        with task.tool("ocr", tool_call_id="call-1"):
            for n in range(400):
                task.event(f"field-{n % 3}", n, reasoning="x" * 500)
    assert task.flush()
    snapshot, *rest = events_of(tasks, task.task.ref)
    assert (snapshot["type"], snapshot["text"], snapshot["tool_calls"]) == ("snapshot", "A word.", [])
    assert [event["seq"] for event in rest] == list(range(snapshot["seq"] + 1, snapshot["seq"] + 1 + len(rest)))
    assert {item["name"] for item in snapshot["data"]} == {"field-0", "field-1", "field-2"}
    assert max(item["data"]["value"] for item in snapshot["data"]) == snapshot["seq"] - 4, "the latest ones"
    assert [(tool["name"], tool["type"]) for tool in snapshot["tools"]] == [("ocr", "tool_started")]
    assert rest[-1]["text"] == "A word."


def test_thousands_of_events_arrive_in_order(tasks: Tasks, open_task: Open) -> None:
    with open_task() as task:
        for n in range(4_000):
            task.event("n", n)
    assert task.flush(60)
    found = events_of(tasks, task.task.ref)
    assert [event["data"]["value"] for event in found if event["type"] == "data"] == list(range(4_000))


def test_what_is_wrong_is_named(open_task: Open) -> None:
    for wrong, word in (
        ({"user": "Guest"}, "user"),
        ({"user": ""}, "user"),
        ({"subject": "x" * 141}, "subject"),
        ({"task_id": "7"}, "task_id"),
        ({"name": ""}, "name"),
        ({"redis_url": "http://x"}, "redis_url"),
    ):
        with pytest.raises(ValueError, match=word):
            open_task(**wrong)
    with open_task() as task:
        with pytest.raises(ValueError, match="confidence"):
            task.event("total", 1, confidence=1.1)
        with pytest.raises(ValueError, match="state"):
            task.status("dancing")


def test_without_a_home_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AI_ASSISTANT_TRACING_REDIS_URL", "AI_ASSISTANT_TASKS_REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match="redis_url: a task needs"):
        tracing.task("x", user=USER)


def test_an_id_that_the_client_chose_is_taken_once(tasks: Tasks, open_task: Open) -> None:
    id_ = "5B3C5F6E-0000-4000-8000-000000000001"
    with open_task(task_id=id_) as task:
        task.text("First.")
    assert task.task_id == id_.lower()
    with pytest.raises(ValueError, match=r"task_id: .* is the id of another task"), open_task(task_id=id_):
        raise AssertionError("the work must not begin")
    assert [event["type"] for event in told(tasks, task)] == ["start", "text", "completion"]
