"""OpenInference's conventions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from otlp_case import event, observed, raw_span, trace_of


def test_a_call_of_a_model() -> None:
    message = "llm.output_messages.0.message"
    found = observed(
        {
            "openinference.span.kind": "LLM",
            "llm.model_name": "gpt",
            "llm.provider": "azure",
            "llm.system": "openai",
            "llm.invocation_parameters": '{"temperature": 0}',
            "llm.finish_reason": "stop",
            "llm.token_count.prompt": 7,
            "llm.token_count.completion": 5,
            "llm.token_count.total": 12,
            "llm.token_count.prompt_details.cache_read": 2,
            "llm.token_count.completion_details.reasoning": 3,
            "llm.cost.total": 0.25,
            "llm.input_messages.0.message.role": "system",
            "llm.input_messages.0.message.content": "Be brief.",
            "llm.input_messages.10.message.role": "user",
            "llm.input_messages.10.message.contents.1.message_content.type": "text",
            "llm.input_messages.10.message.contents.1.message_content.text": "there",
            "llm.input_messages.10.message.contents.0.message_content.type": "text",
            "llm.input_messages.10.message.contents.0.message_content.text": "hi ",
            f"{message}.role": "assistant",
            f"{message}.content": "hello",
            f"{message}.tool_calls.0.tool_call.id": "c1",
            f"{message}.tool_calls.0.tool_call.function.name": "weather",
            f"{message}.tool_calls.0.tool_call.function.arguments": '{"city":"Paris"}',
            "input.value": '{"messages": []}',
            "input.mime_type": "application/json",
            "output.value": "hello",
        },
        events=[event("First Token Stream Event", 80)],
    )
    assert json.loads(found["input"]) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "hi there"},
    ]
    assert json.loads(found["output"]) == {
        "role": "assistant",
        "content": "hello",
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Paris"}'}}
        ],
    }
    expected = {
        "type": "generation",
        "model": "gpt",
        "provider": "azure",
        "finish_reason": "stop",
        "prompt_tokens": 7,
        "completion_tokens": 5,
        "total_tokens": 12,
        "cached_tokens": 2,
        "reasoning_tokens": 3,
        "cost": 0.25,
        "ttft_ms": 80,
        "metadata": {"llm.invocation_parameters": '{"temperature": 0}'},
    }
    assert {name: found[name] for name in expected} == expected


def test_a_call_that_failed_names_its_model_in_its_parameters() -> None:
    assert (
        observed({"openinference.span.kind": "LLM", "llm.invocation_parameters": '{"model": "gpt"}'})["model"] == "gpt"
    )


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("LLM", "generation"),
        ("EMBEDDING", "generation"),
        ("TOOL", "tool"),
        ("AGENT", "agent"),
        ("RETRIEVER", "retriever"),
        ("RERANKER", "retriever"),
        ("CHAIN", "span"),
        ("GUARDRAIL", "span"),
        ("UNKNOWN", "span"),
        ("Chain", "span"),
    ],
)
def test_kinds(kind: str, expected: str) -> None:
    assert observed({"openinference.span.kind": kind})["type"] == expected


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"input.value": "a", "output.value": "b"}, ("a", "b")),
        ({"input.value": '{"a": 1}', "input.mime_type": "application/json"}, ('{"a": 1}', None)),
        ({"input.value": '{"a": 1}', "input.mime_type": "text/plain"}, ('{"a": 1}', None)),
        (
            {"openinference.span.kind": "RETRIEVER", "input.value": "q", "retrieval.documents.0.document.content": "d"},
            ("q", '[{"content":"d"}]'),
        ),
    ],
)
def test_plain_values(attributes: dict[str, Any], expected: tuple[str | None, str | None]) -> None:
    found = observed(attributes)
    assert (found.get("input"), found.get("output")) == expected


def test_what_it_says_of_the_trace() -> None:
    found = trace_of(
        raw_span({"session.id": "s1", "user.id": "u1", "tag.tags": ["a", "b", "a"], "metadata": '{"k": 1}'})
    )
    assert (found["session"], found["tags"], found["metadata"]["user.id"]) == ("s1", ["a", "b"], "u1")
