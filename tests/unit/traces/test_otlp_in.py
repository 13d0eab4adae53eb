"""Spans as events of traces: what every span has, whatever its convention, and what is kept within bounds."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from otlp_case import BEGAN, ROOT, SPAN, TRACE, event, events, observed, raw_span, request, trace_of
from otlp_values import VALUES, st

from ai_assistant.core.trace import REASONING_CHARS
from ai_assistant.traces.fold import checked
from ai_assistant.traces.otlp_attributes import METADATA_CHARS, PAYLOAD_CHARS, VALUE_CHARS
from ai_assistant.traces.otlp_in import events_of
from ai_assistant.traces.otlp_span import MAX_EVENTS, MAX_SPANS, spans_of


def test_a_plain_span() -> None:
    head, span = events(
        raw_span({"http.route": "/x"}, parentSpanId=ROOT), resource={"service.name": "shop", "service.version": "2"}
    )
    assert (span.number, span.place, span.kind, span.trace, span.span) == (0, 0, "whole", TRACE, SPAN)
    assert span.fields == {
        "title": "work",
        "parent": ROOT,
        "type": "span",
        "status": "completed",
        "started_at": BEGAN,
        "ended_at": BEGAN + 1_000_000,
        "metadata": '{"http.route":"/x"}',
    }
    assert (head.number, head.kind, head.trace, head.at) == (0, "trace", TRACE, BEGAN + 1_000_000)
    assert head.fields == {
        "source": "otlp",
        "service": "shop",
        "release": "2",
        "metadata": '{"resource":{"service.name":"shop","service.version":"2"}}',
    }


def test_whose_it_is() -> None:
    assert events(raw_span(), user="ann@example.com")[0].fields["user"] == "ann@example.com"
    assert "user" not in events(raw_span({"user.id": "eve"}))[0].fields


def test_an_exception() -> None:
    raised = event("exception", exception__type="ValueError", exception__message="no", exception__stacktrace="Trace…")
    found = observed({}, events=[raised], status={"code": 2, "message": "ValueError: no"})
    expected = {
        "status": "failed",
        "level": "error",
        "error_type": "ValueError",
        "error_message": "ValueError: no",
        "error_stack": "Trace…",
    }
    assert {name: found[name] for name in expected} == expected


def test_an_exception_that_was_handled_leaves_the_span_completed() -> None:
    found = observed({}, events=[event("exception", exception__type="KeyError", exception__message="k")])
    assert (found["status"], found["error_type"], found["error_message"]) == ("completed", "KeyError", "k")


def test_an_error_without_an_exception() -> None:
    found = observed({"error.type": "timeout"}, status={"code": 2})
    assert (found["status"], found["error_type"], found.get("error_message")) == ("failed", "timeout", None)


def test_events_become_observations() -> None:
    found = events(raw_span({}, events=[event("cache.miss", 5, key="k"), event("cache.miss", 9)]))
    first, second = found[2:]
    assert first.fields == {
        "type": "event",
        "title": "cache.miss",
        "parent": SPAN,
        "status": "completed",
        "started_at": BEGAN + 5000,
        "ended_at": BEGAN + 5000,
        "metadata": '{"key":"k"}',
    }
    assert first.span != second.span
    assert [each.span for each in events(raw_span({}, events=[event("cache.miss", 5, key="k")]))[2:]] == [first.span]


def test_no_more_events_than_opentelemetry_keeps() -> None:
    many = [event("e", each) for each in range(MAX_EVENTS + 50)]
    assert len(events(raw_span({}, events=many))) == 2 + MAX_EVENTS


def test_links_and_library_are_kept() -> None:
    (_, span) = events(raw_span({}, links=[{"traceId": "f" * 32, "spanId": "e" * 16}]), scope="lib")
    expected = {"links": [{"trace": "f" * 32, "span": "e" * 16}], "otel.scope": "lib"}
    assert json.loads(span.fields["metadata"]) == expected


def test_a_root_speaks_for_its_trace() -> None:
    child = raw_span({"session.id": "child"}, parentSpanId=ROOT)
    root = raw_span({"session.id": "root"}, spanId=ROOT)
    assert trace_of(child, root)["session"] == trace_of(root, child)["session"] == "root"
    assert trace_of(child)["session"] == "child"


def test_one_head_for_each_trace() -> None:
    found = events(raw_span(), raw_span(traceId="a" * 32), raw_span(spanId=ROOT))
    assert [(each.kind, each.trace[0]) for each in found] == [
        ("trace", "0"),
        ("trace", "a"),
        ("whole", "0"),
        ("whole", "a"),
        ("whole", "0"),
    ]


def test_an_end_before_the_start_is_the_start() -> None:
    found = observed({}, endTimeUnixNano=(BEGAN - 5) * 1000)
    assert found["ended_at"] == found["started_at"] == BEGAN


def test_what_a_database_cannot_hold_is_replaced() -> None:
    found = observed({"input.value": "a\x00b\ud800", "k\x00": ["\x00", {"\x00": "\x00"}]}, name="n\x00")
    assert (found["title"], found["input"]) == ("n\ufffd", "a\ufffdb?")
    assert found["metadata"] == {"k\ufffd": ["\ufffd", {"\ufffd": "\ufffd"}]}


def test_payloads_are_cut_and_say_so() -> None:
    found = observed({"input.value": "x" * (PAYLOAD_CHARS + 1), "output.value": "y"})
    assert (len(found["input"]), found["input_truncated"]) == (PAYLOAD_CHARS, 1)
    assert "output_truncated" not in found


def test_reasoning_is_cut_and_counted() -> None:
    thought = [{"role": "assistant", "parts": [{"type": "reasoning", "content": "h" * (REASONING_CHARS + 9)}]}]
    found = observed({"gen_ai.output.messages": json.dumps(thought)})
    assert (len(found["reasoning"]), found["reasoning_chars"]) == (REASONING_CHARS, REASONING_CHARS + 9)
    assert found["reasoning_truncated"] == 1


def test_metadata_is_bounded() -> None:
    found = observed({f"key{each}": "v" * (VALUE_CHARS + 100) for each in range(20)})["metadata"]
    assert found["key0"].endswith("… (100 more characters)")
    assert found["(left out)"] == "12 of 20 attributes, for their size"
    assert len(json.dumps(found)) < METADATA_CHARS + 200


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"traceId": "0" * 32}, "a traceId must have 16 bytes that are not all zero"),
        ({"traceId": "ab"}, "a traceId must have 16 bytes that are not all zero"),
        ({"spanId": ""}, "a spanId must have 8 bytes that are not all zero"),
        ({"parentSpanId": "ab"}, "a parentSpanId must have 8 bytes, or be left out"),
        ({"startTimeUnixNano": 0}, "startTimeUnixNano must be a time from 2000 to 2099, in nanoseconds"),
        ({"endTimeUnixNano": 2**63}, "endTimeUnixNano must be a time from 2000 to 2099, in nanoseconds"),
    ],
)
def test_a_span_that_cannot_be_kept_is_rejected_alone(change: dict[str, Any], why: str) -> None:
    spans, rejected = spans_of(request(raw_span(), raw_span(**change)))
    assert (len(spans), rejected.count, rejected.why) == (1, 1, why)


def test_no_more_spans_than_one_request_may_have() -> None:
    spans, rejected = spans_of(request(*[raw_span()] * (MAX_SPANS + 3)))
    assert (len(spans), rejected.count) == (MAX_SPANS, 3)
    assert "send less at once" in rejected.why


KNOWN = st.sampled_from(
    [
        "gen_ai.operation.name", "gen_ai.request.model", "gen_ai.usage.input_tokens", "gen_ai.input.messages",
        "gen_ai.output.messages", "gen_ai.prompt.0.content", "gen_ai.prompt.0", "gen_ai.completion.1.tool_calls.0.name",
        "gen_ai.system_instructions", "gen_ai.response.finish_reasons", "openinference.span.kind", "input.value",
        "input.mime_type", "llm.input_messages.0.message.role", "llm.input_messages.0.message.contents.0", "tag.tags",
        "langfuse.observation.type", "langfuse.observation.input", "langfuse.observation.output", "metadata",
        "langfuse.observation.usage_details", "langfuse.observation.cost_details", "langfuse.trace.name",
        "langfuse.observation.completion_start_time", "mlflow.spanType", "mlflow.spanOutputs", "mlflow.chat.tokenUsage",
        "ai.operationId", "ai.response.toolCalls", "ai.prompt.messages", "session.id", "user.id", "error.type",
        "ai_assistant.type", "ai_assistant.status", "ai_assistant.metadata", "ai_assistant.marks",
        "ai_assistant.trace.metadata", "ai_assistant.trace.title", "ai_assistant.attempt", "ai_assistant.scores",
    ]
)  # fmt: skip
LIKELY = st.sampled_from(["chat", "LLM", "generation", '[{"role":"user"}]', '{"a":{}}', "[]", "failed", "ai.toolCall"])


@given(st.dictionaries(KNOWN, VALUES | LIKELY, max_size=8), st.booleans())
@settings(max_examples=400)
def test_whatever_an_attribute_holds_the_consumer_takes_the_event(attributes: dict[str, Any], failed: bool) -> None:
    spans, _ = spans_of(request(raw_span(attributes, status={"code": 2} if failed else {})))
    for each in events_of(spans, "ann@example.com"):
        checked(each)
