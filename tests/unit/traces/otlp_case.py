"""A span of a test's own, as it is stored."""

from __future__ import annotations

import json
from typing import Any

from ai_assistant.core.trace_event import TraceEvent
from ai_assistant.traces.otlp_in import events_of
from ai_assistant.traces.otlp_span import spans_of

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
ROOT = "00f067aa0ba902b7"
BEGAN = 1_790_000_000_000_000
"""Epoch microseconds."""


def raw_span(attributes: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A span of a second, as `otlp_schema` has it."""
    span = {
        "traceId": TRACE,
        "spanId": SPAN,
        "name": "work",
        "startTimeUnixNano": BEGAN * 1000,
        "endTimeUnixNano": (BEGAN + 1_000_000) * 1000,
        "attributes": attributes or {},
    }
    return span | more


def event(name: str, after_ms: int = 0, **attributes: Any) -> dict[str, Any]:
    """An event of a span; attributes with `__` for dots."""
    named = {key.replace("__", "."): value for key, value in attributes.items()}
    return {"name": name, "timeUnixNano": (BEGAN + after_ms * 1000) * 1000, "attributes": named}


def request(*spans: dict[str, Any], resource: dict[str, Any] | None = None, scope: str = "") -> dict[str, Any]:
    """An export of spans of one program."""
    part = {"scope": {"name": scope}, "spans": list(spans)}
    return {"resourceSpans": [{"resource": {"attributes": resource or {}}, "scopeSpans": [part]}]}


def events(*spans: dict[str, Any], user: str | None = None, **more: Any) -> list[TraceEvent]:
    """The events of these spans."""
    found, rejected = spans_of(request(*spans, **more))
    assert rejected.count == 0, rejected.why
    return events_of(found, user)


def observed(attributes: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The fields of the observation of one span, metadata as data."""
    span = next(each for each in events(raw_span(attributes, **more)) if each.kind == "whole")
    fields = dict(span.fields)
    if "metadata" in fields:
        fields["metadata"] = json.loads(fields["metadata"])
    return fields


def trace_of(*spans: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The fields of the trace of these spans, metadata as data."""
    head = next(each for each in events(*spans, **more) if each.kind == "trace")
    fields = dict(head.fields)
    if "metadata" in fields:
        fields["metadata"] = json.loads(fields["metadata"])
    return fields
