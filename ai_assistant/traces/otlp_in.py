"""Turns spans of any instrumented program into events of traces here: `core.trace_event`, unnumbered.

What each convention says is read in turn; the first that has something to say on a column wins. What no convention
took is kept as metadata.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping
from typing import Any, Final

from ai_assistant.core.trace import PAYLOADS, REASONING_CHARS
from ai_assistant.core.trace_event import TraceEvent
from ai_assistant.traces.otlp_attributes import (
    PAYLOAD_CHARS,
    WORD_CHARS,
    Attributes,
    clean_text,
    metadata_of,
    parsed,
    text_of,
)
from ai_assistant.traces.otlp_genai import CHUNKS, CONTENT_EVENTS, read_genai
from ai_assistant.traces.otlp_langfuse import read_langfuse
from ai_assistant.traces.otlp_openinference import FIRST_TOKEN, read_openinference
from ai_assistant.traces.otlp_others import read_mlflow, read_vercel
from ai_assistant.traces.otlp_own import PREFIX, read_own, read_own_trace
from ai_assistant.traces.otlp_span import MAX_EVENTS, Span, SpanEvent
from ai_assistant.traces.rows import OBSERVATION_CHECKS, TRACE_CHECKS, Check
from ai_assistant.traces.values import StoreError

SOURCE: Final = "otlp"
ERROR_CHARS: Final = 4_000
STACK_CHARS: Final = 20_000
MAX_TAGS: Final = 50
NAMES: Final = frozenset({"gen_ai.tool.name", "gen_ai.agent.name"})
TRACE_METADATA: Final = ("langfuse.trace.metadata", "langfuse.metadata", "traceloop.association.properties")
"""Prefixes of attributes that speak of the whole trace."""


def events_of(spans: list[Span], user: str | None) -> list[TraceEvent]:
    """The events of these spans, each trace's own before its observations. `user`: whose the traces are to be, where
    the stream's entry does not say it; a trace that somebody else began stays theirs."""
    traces: dict[str, dict[str, Any]] = {}
    ends: dict[str, int] = {}
    observations = []
    for span in spans:
        found = Attributes(span.attributes)
        add_trace(traces.setdefault(span.trace, {"source": SOURCE}), found, span)
        ends[span.trace] = max(ends.get(span.trace, 0), span.ended_at)  # the latest word counts: a root ends last
        observations.append(observation(found, span))
        observations.extend(child(span, event, i) for i, event in enumerate(plain_events(span)))
    owner = {"user": user} if user else {}
    heads = [
        TraceEvent(0, "trace", ends[trace], trace, fields=owner | trace_fields(told)) for trace, told in traces.items()
    ]
    return [*heads, *observations]


def observation(found: Attributes, span: Span) -> TraceEvent:
    """The span itself, whole."""
    fields: dict[str, Any] = {
        "parent": span.parent,
        "started_at": span.started_at,
        "ended_at": span.ended_at,
    }
    add_conventions(fields, found, span)
    add_outcome(fields, found, span)
    add_timing(fields, span)
    fields.setdefault("title", span.title)
    fields.setdefault("type", "span")
    tokens = [fields.get("prompt_tokens"), fields.get("completion_tokens")]
    if "total_tokens" not in fields and any(count is not None for count in tokens):
        fields["total_tokens"] = sum(count or 0 for count in tokens)
    as_payloads(fields)
    rest = leftover(found, span, fields["title"])
    own = parsed(fields.get("metadata"))
    if rest or not isinstance(own, dict):
        fields["metadata"] = metadata_of((own if isinstance(own, dict) else {}) | rest)
    fields = sound(fields, OBSERVATION_CHECKS)
    return TraceEvent(0, "whole", span.ended_at, span.trace, span=span.span, fields=fields)


def sound(fields: dict[str, Any], checks: Mapping[str, Check]) -> dict[str, Any]:
    """The fields as they are stored, without those that could not be: an attribute of a wrong kind must not cost the
    span."""
    found = {}
    for name, value in fields.items():
        with contextlib.suppress(StoreError):
            if value is not None:
                found[name] = checks[name](name, value)
    return found


def add_conventions(fields: dict[str, Any], found: Attributes, span: Span) -> None:
    """What the conventions say, the most particular one first."""
    told = (
        read_own(found),
        read_langfuse(found, span),
        read_mlflow(found),
        read_openinference(found, span),
        read_genai(found, span),
        read_vercel(found),
    )
    for said in told:
        for column, value in said.items():
            if value is not None and value != "":
                fields.setdefault(column, value)


def add_outcome(fields: dict[str, Any], found: Attributes, span: Span) -> None:
    """Status, and the exception where there was one."""
    raised = next((event for event in reversed(span.events) if event.name == "exception"), None)
    kind = found.word("error.type")
    failed = span.failed or fields.get("status") == "failed"
    fields.setdefault("status", "failed" if failed else "completed")
    if failed:
        fields.setdefault("level", "error")
    if raised is None and not failed:
        return
    said = raised.attributes if raised else {}
    message = fields.get("error_message") or span.message or text_of(said.get("exception.message") or "")
    named = {
        "error_type": text_of(said.get("exception.type") or kind or "")[:WORD_CHARS],
        "error_message": message[:ERROR_CHARS],
        "error_stack": text_of(said.get("exception.stacktrace") or "")[-STACK_CHARS:],
    }
    fields.update({column: text for column, text in named.items() if text})


def add_timing(fields: dict[str, Any], span: Span) -> None:
    """The time to the first chunk, where only the events of the chunks tell it."""
    first = next((event.at for event in span.events if event.name in CHUNKS), None)
    if first is not None:
        fields.setdefault("ttft_ms", max(0, (first - span.started_at) // 1000))


def as_payloads(fields: dict[str, Any]) -> None:
    """Makes payloads text, and cuts them."""
    for column in PAYLOADS:
        value = fields.get(column)
        if value is None:
            continue
        text = clean_text(text_of(value))
        limit = REASONING_CHARS if column == "reasoning" else PAYLOAD_CHARS
        if column == "reasoning":
            fields["reasoning_chars"] = len(text)
        if len(text) > limit:
            fields[f"{column}_truncated"] = 1
        fields[column] = text[:limit]


def leftover(found: Attributes, span: Span, title: str) -> dict[str, Any]:
    """What nobody took and the title does not say, with the chunks counted, the links, and the library."""
    rest = {name: value for name, value in found.rest().items() if name not in NAMES or value != title}
    chunks = sum(event.name in CHUNKS for event in span.events)
    if chunks:
        rest["chunks"] = chunks
    if span.links:
        rest["links"] = [{"trace": link["traceId"], "span": link.get("spanId", "")} for link in span.links]
    if span.scope and not span.scope.startswith(PREFIX):
        rest["otel.scope"] = span.scope
    return rest


def plain_events(span: Span) -> list[SpanEvent]:
    """The events that become observations of their own: those that no convention has read."""
    known = CHUNKS | CONTENT_EVENTS | {FIRST_TOKEN, "exception"}
    return [event for event in span.events if event.name not in known][:MAX_EVENTS]


def child(span: Span, event: SpanEvent, place: int) -> TraceEvent:
    """An event of a span as an observation, whose id is the same each time it is sent."""
    name = hashlib.sha256(f"{span.trace}{span.span}{place}".encode()).hexdigest()[:16]
    fields: dict[str, Any] = {
        "type": "event",
        "title": event.name,
        "parent": span.span,
        "status": "completed",
        "started_at": event.at,
        "ended_at": event.at,
    }
    metadata = metadata_of(event.attributes)
    if metadata:
        fields["metadata"] = metadata
    return TraceEvent(0, "whole", event.at, span.trace, span=name, fields=fields)


def add_trace(told: dict[str, Any], found: Attributes, span: Span) -> None:
    """Adds what a span says of its trace. A root has the last word, since it speaks for the program that began."""
    resource = span.resource
    said: dict[str, Any] = {
        "service": resource.get("service.name"),
        "release": found.word("langfuse.release") or resource.get("service.version"),
        "environment": found.word("langfuse.environment")
        or resource.get("deployment.environment.name")
        or resource.get("deployment.environment")
        or resource.get("langfuse.environment"),
        "title": found.word("langfuse.trace.name"),
        "session": found.word(
            "session.id",
            "gen_ai.conversation.id",
            "langfuse.session.id",
            "traceloop.association.properties.session_id",
            "mlflow.trace.session",
        ),
        "input": found.take("langfuse.trace.input"),
        "output": found.take("langfuse.trace.output"),
    }
    for name, value in said.items():
        if value not in (None, "") and (not span.parent or name not in told):
            told[name] = text_of(value)
    words, metadata = read_own_trace(found)
    told.update(words)
    told.setdefault("metadata", {}).update(metadata)
    tags = tags_of(found.take("langfuse.trace.tags", "langfuse.tags", "tag.tags"))
    if tags:
        told["tags"] = list(dict.fromkeys([*told.get("tags", ()), *tags]))[:MAX_TAGS]
    add_trace_metadata(told["metadata"], found, span)


def add_trace_metadata(metadata: dict[str, Any], found: Attributes, span: Span) -> None:
    """Whom the program served, what it says of the trace, and what it runs on."""
    who = found.word(
        "user.id",
        "langfuse.user.id",
        "enduser.id",
        "gen_ai.user",
        "llm.user",
        "traceloop.association.properties.user_id",
        "mlflow.trace.user",
    )
    if who:
        metadata["user.id"] = who
    for prefix in TRACE_METADATA:
        metadata.update(found.take_under(prefix))
    if span.resource and (not span.parent or "resource" not in metadata):
        metadata["resource"] = span.resource


def tags_of(value: Any) -> list[str]:
    """Tags from a list, from JSON or from one word."""
    found = parsed(value)
    values = found if isinstance(found, list) else [found] if isinstance(found, str) and found else []
    return [text_of(one)[:WORD_CHARS] for one in values if one not in (None, "")]


def trace_fields(told: dict[str, Any]) -> dict[str, Any]:
    """The fields of a trace's event."""
    fields = {name: value for name, value in told.items() if name != "metadata"}
    for name in ("input", "output"):
        if name in fields:
            fields[name] = fields[name][:PAYLOAD_CHARS]
    fields["metadata"] = metadata_of(told.get("metadata") or {})
    return sound(fields, TRACE_CHECKS)
