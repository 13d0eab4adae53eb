"""The trace of a program's task, and what becomes of it where tracing is off."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ai_assistant import tracing
from ai_assistant.tracing import state
from ai_assistant.tracing.task_memory import RecordedTasks
from tests.kit import USER


@pytest.fixture
def recorded() -> Iterator[RecordedTasks]:
    """Tasks in memory: these tests are about traces."""
    with tracing.recorded_tasks() as found:
        yield found


def test_a_task_is_the_root_of_its_trace(recorded: RecordedTasks) -> None:
    @tracing.traced
    def parse() -> str:
        return "41.20"

    with tracing.testing.recorded() as traces:
        with tracing.task("label-receipt", user=USER, subject="Receipt/R-1", conversation="c1", input="R-1") as task:
            with task.tool("ocr", arguments={"pages": 2}) as tool:
                tool.progress(1, 2, "page 1")
                parse()
                tool.result = "text"
            task.event("total", "41.20", confidence=0.93, reasoning="The last line says so.")
            task.progress(1, 2, "half")
            task.reasoning("It adds up.")
            task.result = {"total": "41.20"}
        assert traces.tree() == [
            "label-receipt",
            "  ocr",
            f"    {parse.__qualname__.replace('<locals>.', '')}",
            "  total",
        ]
        root, tool_row, found = traces.named("label-receipt"), traces.named("ocr"), traces.named("total")
        trace = traces.traces()[task.trace_id]
    assert root["trace"] == task.trace_id == recorded.events[0]["trace_id"]
    assert (root["status"], root["output"], root["input"]) == ("completed", '{"total":"41.20"}', "R-1")
    assert (root["progress"], root["progress_message"], root["reasoning"]) == (50.0, "half", "It adds up.")
    assert task.task_id in root["metadata"]
    assert (tool_row["type"], tool_row["status"], tool_row["tool_call_id"]) == ("tool", "completed", tool.id)
    assert (tool_row["input"], tool_row["output"], tool_row["progress"]) == ('{"pages":2}', "text", 50.0)
    assert (found["type"], found["output"], found["confidence"]) == ("event", "41.20", 0.93)
    assert found["reasoning"] == "The last line says so."
    said = {
        "title": "label-receipt", "user": USER, "task_id": task.task_id, "conversation": "c1", "source": "task",
        "reference_doctype": "Receipt", "reference_name": "R-1",
    }  # fmt: skip
    assert said.items() <= trace.items()


def test_below_an_observation_it_is_a_child(recorded: RecordedTasks) -> None:
    with tracing.testing.recorded() as traces:
        with tracing.span("request") as above, tracing.task("label-receipt", subject="Receipt/R-1") as task:
            task.text("Fine.")
        assert traces.tree() == ["request", "  label-receipt"]
        assert traces.traces()[above.trace_id].get("user") is None
    assert task.trace_id == above.trace_id


def test_failures_and_cancellations(recorded: RecordedTasks) -> None:
    with tracing.testing.recorded() as traces:
        with pytest.raises(KeyError), tracing.task("failing") as task, task.tool("broken"):
            raise KeyError("total")
        with tracing.task("unwanted") as task, task.tool("stopped"):
            recorded.cancel(task.task_id, "ann@example.com")
            task.check_cancelled()
        assert (traces.named("failing")["status"], traces.named("failing")["error_type"]) == ("failed", "KeyError")
        assert "total" in traces.named("broken")["error_message"]
        assert traces.named("unwanted")["status"] == traces.named("stopped")["status"] == "cancelled"
        assert traces.traces()[task.trace_id]["cancelled_by"] == "ann@example.com"
    assert recorded.events[-1]["by"] == "ann@example.com"


def test_in_the_background_it_stays_below_its_caller(recorded: RecordedTasks) -> None:
    def work(task: object) -> None:
        with tracing.span("step"):
            pass

    with tracing.testing.recorded() as traces:
        with tracing.span("request"):
            task = tracing.start_task("label-receipt", target=work)
        assert task.wait(10)
        assert traces.tree() == ["request", "  label-receipt", "    step"]


def test_where_tracing_is_off_it_works(recorded: RecordedTasks) -> None:
    before = state.client()
    state.swap(None)
    try:
        with tracing.task("label-receipt") as task, task.tool("ocr") as tool:
            tool.progress(1, 2)
            task.event("total", 1)
    finally:
        state.swap(before)
    assert len(task.trace_id) == 32
    assert task.trace_id != "0" * 32
    assert recorded.types() == ["start", "tool_started", "tool_progress", "data", "tool_completed", "completion"]


def test_a_trace_that_is_not_kept(recorded: RecordedTasks) -> None:
    with tracing.testing.recorded(sample_rate=0.0) as traces:
        with tracing.task("label-receipt") as task, task.tool("ocr"):
            task.event("total", 1)
        assert traces.tree() == []
    assert recorded.outcomes[task.task_id].status == "completed"
