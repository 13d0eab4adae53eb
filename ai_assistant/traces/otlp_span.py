"""Spans as they came: out of an export request, checked, with what their resource and scope say."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ai_assistant.traces.otlp_attributes import clean, clean_text
from ai_assistant.traces.values import EARLIEST, LATEST

MAX_SPANS: Final = 10_000
"""Spans of one request; more are rejected. The collector sends 8,192 at once by default, SDKs 512."""
MAX_EVENTS: Final = 128
"""Events of one span, OpenTelemetry's own limit."""
MAX_CHUNK_EVENTS: Final = 100_000
TITLE_CHARS: Final = 140
ZERO: Final = "0"


class SpanEvent(msgspec.Struct, gc=False):
    """An event of a span."""

    name: str
    at: int
    """Epoch microseconds."""
    attributes: dict[str, Any]


class Span(msgspec.Struct):
    """A span that has ended."""

    trace: str
    span: str
    parent: str
    """'' for a root."""
    title: str
    started_at: int
    """Epoch microseconds, as is `ended_at`."""
    ended_at: int
    attributes: dict[str, Any]
    events: list[SpanEvent]
    links: list[dict[str, Any]]
    failed: bool
    message: str
    """Of the status."""
    resource: dict[str, Any]
    scope: str
    """Name and version of the library that made it."""


class Rejected(msgspec.Struct):
    """How many spans were refused, and why the first one was."""

    count: int = 0
    why: str = ""

    def add(self, why: str) -> None:
        """Counts one."""
        self.count += 1
        self.why = self.why or why


def spans_of(request: dict[str, Any]) -> tuple[list[Span], Rejected]:
    """The spans of an ExportTraceServiceRequest, and those that cannot be kept."""
    spans: list[Span] = []
    rejected = Rejected()
    for group in request.get("resourceSpans", ()):
        resource = clean((group.get("resource") or {}).get("attributes") or {})
        for part in group.get("scopeSpans", ()):
            scope = part.get("scope") or {}
            name = f"{scope.get('name', '')} {scope.get('version', '')}".strip()
            for raw in part.get("spans", ()):
                why = fault(raw)
                if not why and len(spans) >= MAX_SPANS:
                    why = f"a request may have {MAX_SPANS} spans; send less at once"
                if why:
                    rejected.add(why)
                else:
                    spans.append(span_of(raw, resource, clean_text(name)[:TITLE_CHARS]))
    return spans, rejected


def fault(raw: dict[str, Any]) -> str | None:
    """What is wrong with a span; `None` where it can be kept."""
    for name, size in (("traceId", 32), ("spanId", 16)):
        value = raw.get(name, "")
        if len(value) != size or not value.strip(ZERO):
            return f"a {name} must have {size // 2} bytes that are not all zero"
    if len(raw.get("parentSpanId", "")) not in (0, 16):
        return "a parentSpanId must have 8 bytes, or be left out"
    for name in ("startTimeUnixNano", "endTimeUnixNano"):
        if not is_moment(raw.get(name, 0) // 1000):
            return f"{name} must be a time from 2000 to 2099, in nanoseconds"
    return None


def is_moment(at: int) -> bool:
    """Whether a time, in epoch microseconds, is one that is stored."""
    return EARLIEST <= at < LATEST


def span_of(raw: dict[str, Any], resource: dict[str, Any], scope: str) -> Span:
    """A span that `fault` has nothing against."""
    status = raw.get("status") or {}
    began = raw["startTimeUnixNano"] // 1000
    parent = raw.get("parentSpanId", "")
    return Span(
        trace=raw["traceId"],
        span=raw["spanId"],
        parent=parent if parent.strip(ZERO) else "",
        title=clean_text(raw.get("name") or "span")[:TITLE_CHARS],
        started_at=began,
        ended_at=max(began, raw["endTimeUnixNano"] // 1000),
        attributes=clean(raw.get("attributes") or {}),
        events=[event_of(event, began) for event in raw.get("events", ())[:MAX_CHUNK_EVENTS]],
        links=[link for link in raw.get("links", ())[:MAX_EVENTS] if link.get("traceId")],
        failed=status.get("code") == 2,
        message=clean_text(status.get("message") or ""),
        resource=resource,
        scope=scope,
    )


def event_of(raw: dict[str, Any], began: int) -> SpanEvent:
    """An event of a span that began then."""
    at = raw.get("timeUnixNano", 0) // 1000
    return SpanEvent(
        name=clean_text(raw.get("name") or "event")[:TITLE_CHARS],
        at=at if is_moment(at) else began,
        attributes=clean(raw.get("attributes") or {}),
    )
