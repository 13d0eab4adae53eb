"""Observations as spans: what they say, what they keep to themselves, and that they can be read back whole."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from otlp_case import BEGAN, ROOT, SPAN, TRACE

from ai_assistant.traces.otlp_export import to_otlp_json, write_otlp_json
from ai_assistant.traces.otlp_in import events_of
from ai_assistant.traces.otlp_json import read_json
from ai_assistant.traces.otlp_out import request_of, span_of
from ai_assistant.traces.otlp_proto import decode, encode
from ai_assistant.traces.otlp_schema import TRACE_REQUEST
from ai_assistant.traces.otlp_span import spans_of

CHAT = {
    "trace": TRACE,
    "span": SPAN,
    "parent": ROOT,
    "type": "generation",
    "title": "answer",
    "status": "completed",
    "model": "claude",
    "provider": "anthropic",
    "finish_reason": "stop",
    "prompt_tokens": 7,
    "completion_tokens": 5,
    "total_tokens": 12,
    "cached_tokens": 2,
    "reasoning_tokens": 3,
    "cost": 0.25,
    "ttft_ms": 81,
    "input": '[{"role":"user","content":"hi"}]',
    "output": "hello",
    "reasoning": "hm",
    "reasoning_chars": 2,
    "metadata": '{"temperature":0.5}',
    "marks": "[[1,2]]",
    "started_at": BEGAN,
    "ended_at": BEGAN + 1_000_000,
}
TOP = {
    "name": TRACE,
    "title": "a question",
    "user": "ann@example.com",
    "session": "s1",
    "tags": ["a", "b"],
    "service": "shop",
    "release": "2",
    "environment": "staging",
    "mode": "agent",
    "metadata": '{"plan":"pro"}',
}


def test_a_call_of_a_model() -> None:
    found = span_of(CHAT, TOP, content=False)
    assert found == {
        "traceId": TRACE,
        "spanId": SPAN,
        "parentSpanId": ROOT,
        "flags": 1,
        "name": "chat claude",
        "kind": 3,
        "startTimeUnixNano": BEGAN * 1000,
        "endTimeUnixNano": (BEGAN + 1_000_000) * 1000,
        "attributes": {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "anthropic",
            "gen_ai.request.model": "claude",
            "gen_ai.response.finish_reasons": ["stop"],
            "gen_ai.usage.input_tokens": 7,
            "gen_ai.usage.output_tokens": 5,
            "gen_ai.usage.cache_read.input_tokens": 2,
            "gen_ai.usage.reasoning.output_tokens": 3,
            "gen_ai.usage.cost": 0.25,
            "gen_ai.response.time_to_first_chunk": 0.081,
            "gen_ai.conversation.id": "s1",
            "ai_assistant.type": "generation",
            "ai_assistant.reasoning_chars": 2,
            "ai_assistant.title": "answer",
        },
        "events": [],
        "status": {},
    }


def test_content_goes_out_only_when_it_is_wanted() -> None:
    secret = {
        **CHAT,
        "parent": "",
        "input": "SECRET",
        "output": "SECRET",
        "reasoning": "SECRET",
        "metadata": '{"a":"SECRET"}',
    }
    top = {**TOP, "user": "SECRET", "title": "SECRET", "cancelled_by": "SECRET", "metadata": '{"a":"SECRET"}'}
    for kind in ("generation", "tool", "agent", "retriever", "span", "event"):
        row = {**secret, "type": kind, "marks": '["SECRET"]'}
        assert "SECRET" not in repr(span_of(row, top, content=False))
        assert repr(span_of(row, top, content=True)).count("SECRET") >= 6


def test_messages_follow_the_conventions() -> None:
    attributes = span_of(CHAT, TOP, content=True)["attributes"]
    assert json.loads(attributes["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": "hi"}]}
    ]
    assert json.loads(attributes["gen_ai.output.messages"]) == [
        {
            "role": "assistant",
            "parts": [{"type": "reasoning", "content": "hm"}, {"type": "text", "content": "hello"}],
            "finish_reason": "stop",
        }
    ]
    assert not {"ai_assistant.input", "ai_assistant.output", "ai_assistant.reasoning"} & set(attributes)


@pytest.mark.parametrize(
    ("change", "name", "kind", "attributes"),
    [
        ({"model": None}, "chat", 3, {"gen_ai.operation.name": "chat"}),
        ({"type": "tool", "title": "weather"}, "execute_tool weather", 1, {"gen_ai.tool.name": "weather"}),
        ({"type": "agent", "title": "planner"}, "invoke_agent planner", 1, {"gen_ai.agent.name": "planner"}),
        ({"type": "retriever", "title": "docs"}, "retrieval docs", 1, {"gen_ai.operation.name": "retrieval"}),
        ({"type": "tool", "title": "execute_tool weather"}, "execute_tool weather", 1, {}),
        ({"type": "span", "title": "step"}, "step", 1, {}),
        ({"type": "event", "title": "seen"}, "seen", 1, {}),
    ],
)
def test_names_and_kinds(change: dict[str, Any], name: str, kind: int, attributes: dict[str, Any]) -> None:
    found = span_of({**CHAT, **change}, TOP, content=False)
    assert (found["name"], found["kind"]) == (name, kind)
    assert attributes.items() <= found["attributes"].items()


def test_an_error_is_an_exception_and_a_status() -> None:
    failed = {"status": "failed", "error_type": "ValueError", "error_message": "no", "error_stack": "Trace…"}
    found = span_of({**CHAT, **failed}, TOP, content=False)
    assert found["status"] == {"code": 2, "message": "no"}
    assert found["attributes"]["error.type"] == "ValueError"
    (raised,) = found["events"]
    assert (raised["name"], raised["timeUnixNano"]) == ("exception", found["endTimeUnixNano"])
    assert raised["attributes"] == {
        "exception.type": "ValueError",
        "exception.message": "no",
        "exception.stacktrace": "Trace…",
    }


def test_cancelled_is_no_error() -> None:
    found = span_of({**CHAT, "status": "cancelled"}, TOP, content=False)
    assert (found["status"], found["attributes"]["ai_assistant.status"]) == ({}, "cancelled")


def test_spans_of_one_program_share_its_resource() -> None:
    other = {**TOP, "service": "till"}
    request = request_of([(CHAT, TOP), (CHAT, other), (CHAT, TOP)], "s1.test", content=False, service="x")
    groups = [
        (each["resource"]["attributes"], len(each["scopeSpans"][0]["spans"])) for each in request["resourceSpans"]
    ]
    shop = {
        "service.name": "shop",
        "service.version": "2",
        "deployment.environment.name": "staging",
        "ai_assistant.site": "s1.test",
    }
    assert groups == [(shop, 2), ({**shop, "service.name": "till"}, 1)]
    assert request_of([(CHAT, {})], "s", content=False, service="x")["resourceSpans"][0]["resource"]["attributes"] == {
        "service.name": "x",
        "ai_assistant.site": "s",
    }


WORD = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=20)
TEXTS = st.one_of(
    WORD,
    st.sampled_from(
        [
            '[{"role":"user","content":"hi"}]',
            '[{"role": "user", "content": "not as we write it"}]',
            '{"messages":[{"role":"user","content":"hi"}],"model":"m"}',
            '{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]}',
            '[{"role":"assistant","content":"a"},{"role":"assistant","content":"b"}]',
            '{"a":1}',
            "[]",
            "{",
        ]
    ),
)
COUNT = st.integers(0, 2**31 - 1)
ROWS = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["span", "generation", "tool", "agent", "retriever", "event"]),
        "title": WORD,
        "parent": st.sampled_from(["", ROOT]),
        "status": st.sampled_from(["completed", "cancelled"]),
        "started_at": st.integers(BEGAN, BEGAN + 1000),
        "ended_at": st.integers(BEGAN + 1000, BEGAN + 10**9),
    },
    optional={
        **dict.fromkeys(("model", "provider", "finish_reason", "tool_call_id"), WORD),
        **dict.fromkeys(("input", "output"), TEXTS),
        **dict.fromkeys(("cached_tokens", "reasoning_tokens", "attempt", "reasoning_ms", "ttft_ms"), COUNT),
        "metadata": st.dictionaries(WORD, WORD, min_size=1, max_size=3).map(
            lambda each: json.dumps(each, ensure_ascii=False, separators=(",", ":"))
        ),
        "level": st.sampled_from(["debug", "info", "warning"]),
        "progress": st.floats(0, 100),
        "confidence": st.floats(0, 1),
        "cost": st.floats(0, 1e6),
        "progress_message": WORD,
        "scores": st.just('[{"name":"good","value":1}]'),
        "marks": st.just("[[1,2]]"),
    },
)


def read_back(request: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The trace and the observation that a request with one span becomes."""
    head, span = events_of(spans_of(request)[0], None)
    assert (span.trace, span.span) == (TRACE, SPAN)
    return dict(head.fields), dict(span.fields)


@given(ROWS, st.tuples(COUNT, COUNT) | st.none(), WORD | st.none())
@settings(max_examples=400)
def test_out_and_in_again_is_the_same(row: dict[str, Any], tokens: tuple[int, int] | None, thought: str | None) -> None:
    if tokens and sum(tokens) < 2**31:
        row |= {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)}
    if thought:
        row |= {"reasoning": thought, "reasoning_chars": len(thought)}
    request = request_of([({**row, "trace": TRACE, "span": SPAN}, TOP)], "", content=True)
    theirs = ExportTraceServiceRequest.FromString(encode(TRACE_REQUEST, request)).SerializeToString()
    by_json = read_json(TRACE_REQUEST, msgspec.json.encode(to_otlp_json(TOP, [{**row, "span": SPAN}])))
    for back in (decode(TRACE_REQUEST, theirs), by_json):
        _, found = read_back(back)
        assert found == row


def test_a_failure_comes_back_too() -> None:
    row = {
        **{name: CHAT[name] for name in ("type", "title", "parent", "started_at", "ended_at")},
        "status": "failed",
        "level": "error",
        "error_type": "ValueError",
        "error_message": "no",
        "error_stack": "Trace…",
    }
    request = request_of([({**row, "trace": TRACE, "span": SPAN}, TOP)], "", content=True)
    assert read_back(decode(TRACE_REQUEST, encode(TRACE_REQUEST, request)))[1] == row


def test_the_trace_comes_back_with_its_root() -> None:
    request = request_of([({**CHAT, "parent": ""}, TOP)], "", content=True)
    head, _ = read_back(decode(TRACE_REQUEST, encode(TRACE_REQUEST, request)))
    metadata = json.loads(head.pop("metadata"))
    assert metadata.pop("resource")["service.name"] == "shop"
    assert metadata == {"plan": "pro", "user.id": "ann@example.com"}
    expected = {name: TOP[name] for name in ("title", "session", "tags", "service", "release", "environment", "mode")}
    assert head == expected | {"source": "otlp"}


def test_an_export_is_written_piece_by_piece() -> None:
    import io

    rows = [{**CHAT, "span": f"{each:016x}"} for each in range(1, 4)]
    running = {**CHAT, "span": "f" * 16, "ended_at": None}
    out = io.BytesIO()
    write_otlp_json(TOP, iter([*rows, running]), out, "s1.test")
    assert json.loads(out.getvalue()) == to_otlp_json(TOP, [*rows, running], "s1.test")
    assert len(spans_of(read_json(TRACE_REQUEST, out.getvalue()))[0]) == 3


def test_an_export_of_nothing_is_an_export() -> None:
    import io

    out = io.BytesIO()
    write_otlp_json(TOP, [], out)
    assert spans_of(read_json(TRACE_REQUEST, out.getvalue()))[0] == []
