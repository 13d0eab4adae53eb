"""The GenAI conventions, their earlier forms, and OpenLLMetry's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from otlp_case import event, observed

ASKED = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]


def test_a_chat() -> None:
    found = observed(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "anthropic",
            "gen_ai.request.model": "claude",
            "gen_ai.response.model": "claude-20260101",
            "gen_ai.response.finish_reasons": ["stop"],
            "gen_ai.response.id": "r1",
            "gen_ai.request.temperature": 0.5,
            "gen_ai.usage.input_tokens": 7,
            "gen_ai.usage.output_tokens": 5,
            "gen_ai.usage.cache_read.input_tokens": 2,
            "gen_ai.usage.reasoning.output_tokens": 3,
            "gen_ai.response.time_to_first_chunk": 0.25,
            "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "Be brief."}]),
            "gen_ai.input.messages": json.dumps([{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]),
            "gen_ai.output.messages": json.dumps(
                [
                    {
                        "role": "assistant",
                        "parts": [{"type": "reasoning", "content": "hm"}, {"type": "text", "content": "hello"}],
                        "finish_reason": "stop",
                    }
                ]
            ),
        },
        name="chat claude",
        kind=3,
    )
    assert json.loads(found.pop("input")) == ASKED
    assert {name: found[name] for name in found if not name.endswith("_at")} == {
        "title": "chat claude",
        "parent": "",
        "type": "generation",
        "status": "completed",
        "model": "claude",
        "provider": "anthropic",
        "finish_reason": "stop",
        "prompt_tokens": 7,
        "completion_tokens": 5,
        "total_tokens": 12,
        "cached_tokens": 2,
        "reasoning_tokens": 3,
        "ttft_ms": 250,
        "output": "hello",
        "reasoning": "hm",
        "reasoning_chars": 2,
        "metadata": {
            "gen_ai.response.model": "claude-20260101",
            "gen_ai.response.id": "r1",
            "gen_ai.request.temperature": 0.5,
        },
    }


def test_messages_may_be_structured() -> None:
    """Since 1.37, a writer may send values instead of JSON in text."""
    found = observed(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "hi"}]}],
            "gen_ai.output.messages": [{"role": "assistant", "parts": [{"type": "text", "content": "hello"}]}],
        }
    )
    assert json.loads(found["input"]) == [{"role": "user", "content": "hi"}]
    assert found["output"] == "hello"


def test_messages_may_be_an_event() -> None:
    details = {
        "gen_ai.input.messages": json.dumps([{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]),
        "gen_ai.output.messages": json.dumps([{"role": "assistant", "parts": [{"type": "text", "content": "hello"}]}]),
    }
    raw = {**event("gen_ai.client.inference.operation.details"), "attributes": details}
    found = observed({"gen_ai.operation.name": "chat"}, events=[raw])
    assert (json.loads(found["input"]), found["output"]) == ([{"role": "user", "content": "hi"}], "hello")


def test_messages_as_earlier_events() -> None:
    call = [{"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}]
    found = observed(
        {"gen_ai.system": "openai", "gen_ai.request.model": "gpt"},
        events=[
            event("gen_ai.system.message", content="Be brief."),
            event("gen_ai.user.message", content="hi"),
            event("gen_ai.assistant.message", tool_calls=json.dumps(call)),
            event("gen_ai.tool.message", content="sunny", id="c1"),
            event("gen_ai.choice", finish_reason="stop", message=json.dumps({"role": "assistant", "content": "hello"})),
        ],
    )
    assert json.loads(found["input"]) == [
        *ASKED,
        {"role": "assistant", "content": None, "tool_calls": call},
        {"role": "tool", "content": "sunny", "tool_call_id": "c1"},
    ]
    assert (found["output"], found["finish_reason"], found["provider"]) == ("hello", "stop", "openai")


def test_openllmetry_s_numbered_messages() -> None:
    found = observed(
        {
            "llm.request.type": "chat",
            "gen_ai.system": "OpenAI",
            "gen_ai.request.model": "gpt",
            "gen_ai.prompt.0.role": "system",
            "gen_ai.prompt.0.content": "Be brief.",
            "gen_ai.prompt.1.role": "user",
            "gen_ai.prompt.1.content": "hi",
            "gen_ai.completion.0.role": "assistant",
            "gen_ai.completion.0.finish_reason": "tool_calls",
            "gen_ai.completion.0.tool_calls.0.id": "c1",
            "gen_ai.completion.0.tool_calls.0.name": "weather",
            "gen_ai.completion.0.tool_calls.0.arguments": '{"city":"Paris"}',
            "gen_ai.completion.0.content": "",
            "gen_ai.usage.prompt_tokens": 3,
            "gen_ai.usage.completion_tokens": 4,
            "llm.usage.total_tokens": 9,
        }
    )
    assert json.loads(found["input"]) == ASKED
    function = {"name": "weather", "arguments": '{"city":"Paris"}'}
    assert json.loads(found["output"])["tool_calls"] == [{"id": "c1", "type": "function", "function": function}]
    assert (found["type"], found["finish_reason"], found["total_tokens"]) == ("generation", "tool_calls", 9)


def test_openllmetry_s_chunks_tell_the_first_one() -> None:
    chunks = [event("llm.content.completion.chunk", after_ms) for after_ms in (120, 300, 400)]
    found = observed({"llm.request.type": "chat"}, events=chunks)
    assert (found["ttft_ms"], found["metadata"]) == (120, {"chunks": 3})


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        (
            {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.call.id": "c1"},
            {"type": "tool", "tool_call_id": "c1"},
        ),
        ({"gen_ai.operation.name": "invoke_agent"}, {"type": "agent"}),
        ({"gen_ai.operation.name": "create_agent"}, {"type": "agent"}),
        ({"gen_ai.operation.name": "embeddings"}, {"type": "generation"}),
        ({"gen_ai.operation.name": "retrieval"}, {"type": "retriever"}),
        ({"gen_ai.operation.name": "something_new"}, {"type": "span"}),
        ({"gen_ai.request.model": "m"}, {"type": "generation", "model": "m"}),
        ({"gen_ai.response.model": "m"}, {"type": "generation", "model": "m"}),
        ({"traceloop.span.kind": "workflow"}, {"type": "span"}),
        ({"traceloop.span.kind": "tool"}, {"type": "tool"}),
        ({"traceloop.span.kind": "agent"}, {"type": "agent"}),
        ({"http.request.method": "GET"}, {"type": "span", "metadata": {"http.request.method": "GET"}}),
        ({"gen_ai.response.finish_reasons": ["tool_call"]}, {"finish_reason": "tool_calls"}),
        ({"gen_ai.response.finish_reasons": '["length"]'}, {"finish_reason": "length"}),
        ({"gen_ai.usage.cost": 0.5}, {"cost": 0.5}),
        ({"gen_ai.usage.input_tokens": "12"}, {"prompt_tokens": 12, "total_tokens": 12}),
    ],
)
def test_other_spans(attributes: dict[str, Any], expected: dict[str, Any]) -> None:
    found = observed(attributes)
    assert {name: found.get(name) for name in expected} == expected


@pytest.mark.parametrize("value", [-1, True, "many", [], None, 1e300])
def test_a_figure_that_is_none_is_left_out(value: Any) -> None:
    assert "prompt_tokens" not in observed({"gen_ai.usage.input_tokens": value})


def test_a_tool() -> None:
    found = observed(
        {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "weather",
            "gen_ai.tool.call.arguments": '{"city":"Paris"}',
            "gen_ai.tool.call.result": {"sky": "blue"},
        }
    )
    assert (found["input"], found["output"]) == ('{"city":"Paris"}', '{"sky":"blue"}')
    assert found["metadata"] == {"gen_ai.tool.name": "weather"}


def test_traceloop_s_entities() -> None:
    found = observed(
        {
            "traceloop.span.kind": "task",
            "traceloop.entity.name": "step",
            "traceloop.entity.input": '{"inputs":[1]}',
            "traceloop.entity.output": '"done"',
        }
    )
    assert (found["input"], found["output"]) == ('{"inputs":[1]}', '"done"')
    assert found["metadata"] == {"traceloop.entity.name": "step"}
