"""Langfuse's conventions, and those of MLflow and Vercel's AI SDK."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest
from otlp_case import BEGAN, observed, raw_span, trace_of


def test_a_generation() -> None:
    first = datetime.fromtimestamp(BEGAN / 1e6 + 0.25, timezone.utc).isoformat()
    found = observed(
        {
            "langfuse.observation.type": "generation",
            "langfuse.observation.model.name": "gpt",
            "langfuse.observation.model.parameters": '{"temperature": 0}',
            "langfuse.observation.input": '[{"role": "user", "content": "hi"}]',
            "langfuse.observation.output": '{"role": "assistant", "content": "hello"}',
            "langfuse.observation.usage_details": json.dumps(
                {"input": 7, "output": 5, "total": 12, "input_cached_tokens": 2, "output_reasoning_tokens": 3}
            ),
            "langfuse.observation.cost_details": '{"input": 0.25, "output": 0.5}',
            "langfuse.observation.completion_start_time": f'"{first}"',
            "langfuse.observation.metadata.step": "one",
        }
    )
    expected = {
        "type": "generation",
        "model": "gpt",
        "input": '[{"role":"user","content":"hi"}]',
        "output": "hello",
        "prompt_tokens": 7,
        "completion_tokens": 5,
        "total_tokens": 12,
        "cached_tokens": 2,
        "reasoning_tokens": 3,
        "cost": 0.75,
        "ttft_ms": 250,
        "metadata": {
            "langfuse.observation.model.parameters": '{"temperature": 0}',
            "langfuse.observation.metadata.step": "one",
        },
    }
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("span", "span"),
        ("chain", "span"),
        ("tool", "tool"),
        ("agent", "agent"),
        ("retriever", "retriever"),
        ("embedding", "generation"),
        ("event", "event"),
        ("evaluator", "span"),
        ("guardrail", "span"),
    ],
)
def test_types(kind: str, expected: str) -> None:
    assert observed({"langfuse.observation.type": kind})["type"] == expected


def test_levels() -> None:
    failed = observed({"langfuse.observation.level": "ERROR", "langfuse.observation.status_message": "no"})
    assert (failed["status"], failed["level"], failed["error_message"]) == ("failed", "error", "no")
    warned = observed({"langfuse.observation.level": "WARNING", "langfuse.observation.status_message": "slow"})
    assert (warned["status"], warned["level"], warned["progress_message"]) == ("completed", "warning", "slow")


def test_what_it_says_of_the_trace() -> None:
    found = trace_of(
        raw_span(
            {
                "langfuse.trace.name": "checkout",
                "user.id": "u1",
                "session.id": "s1",
                "langfuse.trace.tags": ["a"],
                "langfuse.trace.metadata.plan": "pro",
                "langfuse.trace.input": "in",
                "langfuse.trace.output": '{"a": 1}',
                "langfuse.environment": "staging",
                "langfuse.release": "v1",
            }
        ),
        resource={"service.name": "shop", "deployment.environment": "ignored"},
    )
    resource = {"service.name": "shop", "deployment.environment": "ignored"}
    assert found == {
        "source": "otlp",
        "service": "shop",
        "environment": "staging",
        "release": "v1",
        "title": "checkout",
        "session": "s1",
        "tags": ["a"],
        "input": "in",
        "output": '{"a": 1}',
        "metadata": {"user.id": "u1", "plan": "pro", "resource": resource},
    }


def test_mlflow() -> None:
    found = observed(
        {
            "mlflow.spanType": '"CHAT_MODEL"',
            "mlflow.spanInputs": '{"messages": [{"role": "user", "content": "hi"}]}',
            "mlflow.spanOutputs": '{"choices": [{"message": {"role": "assistant", "content": "hello"}}]}',
            "mlflow.chat.tokenUsage": '{"input_tokens": 7, "output_tokens": 5, "total_tokens": 12}',
            "mlflow.llm.model": '"gpt"',
        }
    )
    expected = {"type": "generation", "output": "hello", "model": "gpt", "prompt_tokens": 7, "total_tokens": 12}
    assert {name: found[name] for name in expected} == expected
    assert json.loads(found["input"])["messages"][0]["content"] == "hi"


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        (
            {
                "ai.operationId": "ai.streamText.doStream",
                "ai.model.id": "gpt",
                "ai.model.provider": "openai.chat",
                "ai.prompt.messages": '[{"role":"user","content":[{"type":"text","text":"hi"}]}]',
                "ai.response.text": "hello",
                "ai.usage.promptTokens": 7,
                "ai.usage.completionTokens": 5,
                "ai.response.msToFirstChunk": 81.4,
            },
            {
                "type": "generation",
                "model": "gpt",
                "input": '[{"role":"user","content":"hi"}]',
                "output": "hello",
                "total_tokens": 12,
                "ttft_ms": 81,
            },
        ),
        (
            {"ai.operationId": "ai.toolCall", "ai.toolCall.args": '{"city":"Paris"}', "ai.toolCall.result": '"sunny"'},
            {"type": "tool", "input": '{"city":"Paris"}', "output": '"sunny"'},
        ),
        ({"ai.operationId": "ai.generateText"}, {"type": "agent"}),
    ],
)
def test_vercel(attributes: dict[str, Any], expected: dict[str, Any]) -> None:
    found = observed(attributes)
    assert {name: found[name] for name in expected} == expected


def test_vercel_s_tool_calls() -> None:
    call = {"toolCallId": "c1", "toolName": "weather", "args": '{"city":"Paris"}'}
    found = observed({"ai.operationId": "ai.generateText.doGenerate", "ai.response.toolCalls": json.dumps([call])})
    (only,) = json.loads(found["output"])["tool_calls"]
    assert only == {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Paris"}'}}
