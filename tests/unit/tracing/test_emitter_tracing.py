"""Typed events in the trace."""

from __future__ import annotations

import json

import pytest

from ai_assistant import tracing
from ai_assistant.tracing import testing
from ai_assistant.tracing.emitter import Emitter
from ai_assistant.tracing.event_handler import TracingHandler, tracing_handler
from ai_assistant.tracing.typed_events import (
    ApplicationEvent,
    Event,
    ProcessingCompleted,
    ProcessingFailed,
    ProcessingStarted,
    ToolCompleted,
    ToolFailed,
    ToolProgress,
    ToolStarted,
)


@pytest.fixture
def emitter() -> Emitter:
    made = Emitter()
    made.add(tracing_handler)
    return made


def test_a_pipeline_is_a_tree(emitter: Emitter) -> None:
    with testing.recorded() as traces:
        with tracing.span("request"):
            emitter.emit(ProcessingStarted(name="receipt", total=2, subject="r1"))
            emitter.emit(ToolStarted(name="ocr", tool_call_id="c1", arguments={"page": 1}, subject="r1"))
            emitter.emit(ToolProgress(name="ocr", tool_call_id="c1", progress=40, message="half", subject="r1"))
            emitter.emit(ToolCompleted(name="ocr", tool_call_id="c1", result="TOTAL 3", subject="r1"))
            emitter.emit(
                ApplicationEvent(name="total", value=3, confidence=0.9, reasoning="It says TOTAL.", subject="r1")
            )
            emitter.emit(ToolStarted(name="tax", subject="r1"))
            emitter.emit(ToolFailed(name="tax", error="no rate", error_type="LookupError", subject="r1"))
            emitter.emit(ProcessingCompleted(name="receipt", result={"total": 3}, subject="r1"))
        assert traces.tree() == ["request", "  receipt", "    ocr", "    total", "    tax"]
        assert all("ended_at" in row for row in traces.observations())
        ocr, total, tax = traces.named("ocr"), traces.named("total"), traces.named("tax")
        assert ocr["type"] == "tool" and ocr["output"] == "TOTAL 3" and json.loads(ocr["input"]) == {"page": 1}
        assert ocr["progress"] == 40 and ocr["progress_message"] == "half" and ocr["tool_call_id"] == "c1"
        assert total["type"] == "event" and total["output"] == "3" and total["confidence"] == 0.9
        assert total["reasoning"] == "It says TOTAL."
        assert tax["status"] == "failed" and tax["error_type"] == "LookupError" and tax["error_message"] == "no rate"
        assert json.loads(traces.named("receipt")["output"]) == {"total": 3}
        assert json.loads(traces.named("receipt")["metadata"]) == {"subject": "r1", "total": 2}


def test_without_a_current_observation_processing_is_a_trace(emitter: Emitter) -> None:
    with testing.recorded() as traces:
        for subject in ("r1", "r2"):
            emitter.emit(ProcessingStarted(name=f"receipt {subject}", subject=subject))
        for subject in ("r1", "r2"):
            emitter.emit(ApplicationEvent(name=f"total {subject}", value=1, subject=subject))
            emitter.emit(ProcessingFailed(name=f"receipt {subject}", error="no", subject=subject))
        assert traces.tree() == ["receipt r1", "  total r1", "receipt r2", "  total r2"]
        assert len(traces.traces()) == 2


def test_what_is_told_from_within_a_step_goes_below_the_step(emitter: Emitter) -> None:
    with testing.recorded() as traces:
        with tracing.span("request"):
            emitter.emit(ProcessingStarted(name="receipt"))
            emitter.emit(ToolStarted(name="ocr"))
            with tracing.span("step"):
                emitter.emit(ToolProgress(name="ocr", progress=50))
                emitter.emit(ApplicationEvent(name="total", value=1))
                emitter.emit(ToolCompleted(name="ocr", result="x"))
            emitter.emit(ProcessingCompleted(name="receipt"))
        assert traces.tree() == ["request", "  receipt", "    ocr", "  step", "    total"]
        assert traces.named("ocr")["progress"] == 50 and traces.named("ocr")["output"] == "x"
        assert tracing_handler._open == {} and tracing_handler._processing == {}


def test_an_end_whose_beginning_was_not_told(emitter: Emitter) -> None:
    with testing.recorded() as traces, tracing.span("request"):
        emitter.emit(ToolCompleted(name="ocr", result="x"))
        assert traces.named("ocr")["output"] == "x" and traces.named("ocr")["status"] == "completed"


def test_a_beginning_that_is_told_twice(emitter: Emitter) -> None:
    with testing.recorded() as traces, tracing.span("request"):
        emitter.emit(ToolStarted(name="ocr"))
        emitter.emit(ToolStarted(name="ocr"))
        emitter.emit(ToolCompleted(name="ocr"))
        assert [row["status"] for row in traces.observations() if row["title"] == "ocr"] == ["cancelled", "completed"]


def test_progress_without_a_tool_and_events_of_the_applications_own(emitter: Emitter) -> None:
    class PageRead(Event, frozen=True, kw_only=True, tag="page_read"):
        page: int

    with testing.recorded() as traces:
        with tracing.span("request"):
            emitter.emit(ToolProgress(name="ocr", progress=30))
            emitter.emit(PageRead(page=2))
        assert traces.named("request")["progress"] == 30
        assert json.loads(traces.named("page_read")["input"])["page"] == 2


def test_nothing_is_kept_where_nothing_is_traced(emitter: Emitter) -> None:
    handler = TracingHandler()
    for event in (
        ProcessingStarted(name="a"),
        ToolStarted(name="b"),
        ApplicationEvent(name="c"),
        ToolFailed(name="b", error="x"),
    ):
        handler(event)
        assert emitter.emit(event)
    assert handler._open == {} and handler._processing == {}
    with testing.recorded(sample_rate=0.0, fixed=False) as traces:
        with tracing.span("request"):
            for event in (ProcessingStarted(name="a"), ToolStarted(name="b"), ApplicationEvent(name="c")):
                handler(event)
        assert traces.observations() == []
    assert handler._open == {} and handler._processing == {}
