"""The typed events: what they say, and what they refuse."""

from __future__ import annotations

import pytest

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

SAID: list[tuple[Event, dict[str, object]]] = [
    (ProcessingStarted(name="scan", total=3, at=1), {"type": "processing_started", "name": "scan", "total": 3}),
    (
        ProcessingCompleted(name="scan", result=[1], at=1),
        {"type": "processing_completed", "name": "scan", "result": [1]},
    ),
    (
        ProcessingFailed(name="scan", error="no", error_type="OSError", at=1),
        {"type": "processing_failed", "name": "scan", "error": "no", "error_type": "OSError"},
    ),
    (
        ToolStarted(name="ocr", tool_call_id="c", arguments={"page": 1}, at=1),
        {"type": "tool_started", "name": "ocr", "tool_call_id": "c", "arguments": {"page": 1}},
    ),
    (
        ToolProgress(name="ocr", progress=40, message="half", at=1),
        {"type": "tool_progress", "name": "ocr", "progress": 40, "message": "half"},
    ),
    (
        ToolCompleted(name="ocr", result="x", duration_ms=1.5, at=1),
        {"type": "tool_completed", "name": "ocr", "result": "x", "duration_ms": 1.5},
    ),
    (ToolFailed(name="ocr", error="no", at=1), {"type": "tool_failed", "name": "ocr", "error": "no"}),
    (
        ApplicationEvent(name="total", value=3, confidence=0.9, reasoning="it says so", subject="r-1", at=1),
        {"type": "data", "name": "total", "value": 3, "confidence": 0.9, "reasoning": "it says so", "subject": "r-1"},
    ),
]


@pytest.mark.parametrize(("event", "fields"), SAID, ids=[event.kind for event, _ in SAID])
def test_fields_and_kind(event: Event, fields: dict[str, object]) -> None:
    assert event.fields() == {**fields, "at": 1}
    assert event.kind == fields["type"]


def test_the_payload_of_an_application_event_is_what_the_wire_carries() -> None:
    event = ApplicationEvent(name="total", value=None, confidence=0, data={"page": 2})
    assert event.payload() == {"confidence": 0, "data": {"page": 2}}


def test_a_value_of_any_class_is_told_by_its_repr() -> None:
    event = ApplicationEvent(name="x", value={"a": range(3)})
    assert event.fields()["value"] == {"a": "range(0, 3)"}


@pytest.mark.parametrize("confidence", [-0.01, 1.01, float("nan"), "0.5", True])
def test_confidence_is_a_number_from_0_to_1(confidence: object) -> None:
    with pytest.raises(ValueError, match="confidence must be a number from 0 to 1"):
        ApplicationEvent(name="x", confidence=confidence)  # type: ignore[arg-type]


@pytest.mark.parametrize("progress", [-1, 100.5, None, "50"])
def test_progress_is_a_number_from_0_to_100(progress: object) -> None:
    with pytest.raises(ValueError, match="progress must be a number from 0 to 100"):
        ToolProgress(name="x", progress=progress)  # type: ignore[arg-type]


def test_an_application_derives_events_of_its_own() -> None:
    class PageRead(Event, frozen=True, kw_only=True, tag="page_read"):
        page: int

    assert PageRead(page=2, at=1).fields() == {"type": "page_read", "page": 2, "at": 1}
    assert PageRead(page=2).kind == "page_read"


def test_events_are_values() -> None:
    event = ToolStarted(name="x", at=1)
    assert event == ToolStarted(name="x", at=1)
    with pytest.raises(AttributeError):
        event.name = "y"  # type: ignore[misc]
