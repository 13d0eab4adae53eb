"""Turns stored observations into spans with the GenAI conventions, in the form of `otlp_schema`.

https://opentelemetry.io/docs/specs/semconv/gen-ai/. Prompts, responses, reasoning, metadata and users go out only with
`content`; names, models, figures, and the text of errors always.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import ai_assistant
from ai_assistant.core.otel import SERVICE
from ai_assistant.traces.otlp_attributes import json_of
from ai_assistant.traces.otlp_messages import answer_of, as_parts, messages_of
from ai_assistant.traces.otlp_own import PREFIX, own_attributes, own_trace_attributes
from ai_assistant.traces.otlp_schema import CLIENT, ERROR, INTERNAL

Row = Mapping[str, Any]
OPERATIONS: Final = {
    "generation": "chat",
    "tool": "execute_tool",
    "agent": "invoke_agent",
    "retriever": "retrieval",
}
"""`gen_ai.operation.name` of a type of observation."""
FIGURES: Final = (
    ("gen_ai.usage.input_tokens", "prompt_tokens"),
    ("gen_ai.usage.output_tokens", "completion_tokens"),
    ("gen_ai.usage.cache_read.input_tokens", "cached_tokens"),
    ("gen_ai.usage.reasoning.output_tokens", "reasoning_tokens"),
    ("gen_ai.usage.cost", "cost"),
    ("gen_ai.tool.call.id", "tool_call_id"),
    ("gen_ai.request.model", "model"),
    ("gen_ai.provider.name", "provider"),
)
SCOPE: Final = {"name": PREFIX, "version": ai_assistant.__version__}
SAMPLED: Final = 1
"""W3C trace flags."""


def span_of(row: Row, trace: Row, *, content: bool) -> dict[str, Any]:
    """An observation that has ended as a span. `trace` is the row of its trace, or what is known of it."""
    attributes = conventional(row, trace) | own_attributes(row, content=content)
    if not row.get("parent"):
        attributes |= own_trace_attributes(trace, content=content)
    if content:
        attributes |= payloads(row)
    name = name_of(row)
    if name != row.get("title"):
        attributes[f"{PREFIX}.title"] = row.get("title")
    failed = row.get("status") in ("failed", "interrupted")
    return {
        "traceId": row.get("trace") or trace["name"],
        "spanId": row["span"],
        "parentSpanId": row.get("parent") or "",
        "flags": SAMPLED,
        "name": name,
        "kind": CLIENT if row.get("type") == "generation" else INTERNAL,
        "startTimeUnixNano": row["started_at"] * 1000,
        "endTimeUnixNano": row["ended_at"] * 1000,
        "attributes": {key: value for key, value in attributes.items() if value is not None},
        "events": exceptions(row),
        "status": {"code": ERROR, "message": row.get("error_message") or ""} if failed else {},
    }


def name_of(row: Row) -> str:
    """The span's name: the operation and what it is done with."""
    title, kind = row.get("title") or "span", row.get("type")
    operation = OPERATIONS.get(str(kind))
    if operation is None:
        return title
    if kind == "generation":
        return f"{operation} {row['model']}" if row.get("model") else operation
    return title if title.startswith(f"{operation} ") else f"{operation} {title}"


def conventional(row: Row, trace: Row) -> dict[str, Any]:
    """Attributes that the conventions name."""
    kind = str(row.get("type"))
    found: dict[str, Any] = {name: row.get(column) for name, column in FIGURES}
    found["gen_ai.operation.name"] = OPERATIONS.get(kind)
    found["error.type"] = row.get("error_type") or ("_OTHER" if row.get("status") == "failed" else None)
    if row.get("finish_reason"):
        found["gen_ai.response.finish_reasons"] = [row["finish_reason"]]
    if row.get("ttft_ms") is not None:
        found["gen_ai.response.time_to_first_chunk"] = row["ttft_ms"] / 1000
    if row.get("total_tokens") != (row.get("prompt_tokens") or 0) + (row.get("completion_tokens") or 0):
        found["gen_ai.usage.total_tokens"] = row.get("total_tokens")
    if kind in OPERATIONS:
        found["gen_ai.conversation.id"] = trace.get("session") or trace.get("conversation") or None
    name = row.get("title")
    return found | {"tool": {"gen_ai.tool.name": name}, "agent": {"gen_ai.agent.name": name}}.get(kind, {})


def exceptions(row: Row) -> list[dict[str, Any]]:
    """The error as the event that OpenTelemetry records exceptions by."""
    said = {
        "exception.type": row.get("error_type"),
        "exception.message": row.get("error_message"),
        "exception.stacktrace": row.get("error_stack"),
    }
    said = {name: text for name, text in said.items() if text}
    return [{"name": "exception", "timeUnixNano": row["ended_at"] * 1000, "attributes": said}] if said else []


def payloads(row: Row) -> dict[str, Any]:
    """Input, output and reasoning under the conventions' names; and under this app's own where that would not give
    them back as they are."""
    kind = row.get("type")
    if kind in ("generation", "agent"):
        return of_messages(row)
    names = {
        "tool": ("gen_ai.tool.call.arguments", "gen_ai.tool.call.result"),
        "retriever": ("gen_ai.retrieval.query.text", "gen_ai.retrieval.documents"),
    }.get(str(kind), ("input.value", "output.value"))
    return {
        names[0]: row.get("input") or None,
        names[1]: row.get("output") or None,
        f"{PREFIX}.reasoning": row.get("reasoning") or None,
    }


def of_messages(row: Row) -> dict[str, Any]:
    """The messages of a model's call."""
    given, said, thought = row.get("input") or "", row.get("output") or "", row.get("reasoning") or ""
    asked = messages_of(given) or ([{"role": "user", "content": given}] if given else [])
    answered = messages_of(said) or ([{"role": "assistant", "content": said or None}] if said or thought else [])
    if answered and thought:
        answered = [{**answered[0], "reasoning": thought}, *answered[1:]]
    inputs = [as_parts(message) for message in asked]
    outputs = [as_parts(message, row.get("finish_reason")) for message in answered]
    found: dict[str, Any] = {}
    if inputs:
        found["gen_ai.input.messages"] = json_of(inputs)
        if json_of(messages_of(inputs)) != given:
            found[f"{PREFIX}.input"] = given
    if outputs:
        found["gen_ai.output.messages"] = json_of(outputs)
        back = answer_of(messages_of(outputs) or [])
        if (back["output"] or "") != said:
            found[f"{PREFIX}.output"] = said
        if (back["reasoning"] or "") != thought:
            found[f"{PREFIX}.reasoning"] = thought
    return found


def resource_of(trace: Row, site: str, service: str = SERVICE) -> dict[str, Any]:
    """The attributes of the program that a trace is of. `service`: its name, where the trace has none."""
    found = {
        "service.name": trace.get("service") or service,
        "service.version": trace.get("release"),
        "deployment.environment.name": trace.get("environment"),
        f"{PREFIX}.site": site,
    }
    return {name: value for name, value in found.items() if value}


def request_of(pairs: Iterable[tuple[Row, Row]], site: str, *, content: bool, service: str = SERVICE) -> dict[str, Any]:
    """An ExportTraceServiceRequest of observations, each with its trace."""
    groups: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {}
    for row, trace in pairs:
        resource = resource_of(trace, site, service)
        _, spans = groups.setdefault(json_of(resource), (resource, []))
        spans.append(span_of(row, trace, content=content))
    return {
        "resourceSpans": [
            {"resource": {"attributes": resource}, "scopeSpans": [{"scope": SCOPE, "spans": spans}]}
            for resource, spans in groups.values()
        ]
    }


def is_whole(row: Row) -> bool:
    """Whether an observation can go out: a span has a beginning and an end."""
    return row.get("started_at") is not None and row.get("ended_at") is not None
