"""Conventions of single libraries: MLflow's spans and Vercel's AI SDK."""

from __future__ import annotations

import json
from typing import Any, Final

from ai_assistant.traces.otlp_attributes import Attributes, milliseconds_of, parsed, whole
from ai_assistant.traces.otlp_messages import answer_of, messages_of

MLFLOW: Final = {
    "LLM": "generation",
    "CHAT_MODEL": "generation",
    "EMBEDDING": "generation",
    "TOOL": "tool",
    "AGENT": "agent",
    "RETRIEVER": "retriever",
    "RERANKER": "retriever",
}
"""`mlflow.spanType`."""
VERCEL: Final = (
    ("ai.toolCall", "tool"),
    ("ai.generateText", "agent"),
    ("ai.streamText", "agent"),
    ("ai.generateObject", "agent"),
    ("ai.streamObject", "agent"),
    ("ai.embed", "generation"),
)
"""`ai.operationId`: what begins so, and does not end in `.doGenerate`, `.doStream` or `.doEmbed`, which are calls."""


def read_mlflow(found: Attributes) -> dict[str, Any]:
    """What MLflow says of a span (its attributes are JSON), by columns."""
    kind = quoted(found.take("mlflow.spanType"))
    given, said = quoted(found.take("mlflow.spanInputs")), quoted(found.take("mlflow.spanOutputs"))
    usage = quoted(found.take("mlflow.chat.tokenUsage"))
    usage = usage if isinstance(usage, dict) else {}
    choices = said.get("choices") if isinstance(said, dict) else None
    answered = messages_of(choices) if choices else None
    return {
        "type": MLFLOW.get(kind.upper(), "span") if isinstance(kind, str) and kind else None,
        "model": quoted(found.take("mlflow.llm.model")),
        "provider": quoted(found.take("mlflow.llm.provider")),
        "input": given,
        **(answer_of(answered) if answered else {"output": said}),
        "prompt_tokens": whole(usage.get("input_tokens")),
        "completion_tokens": whole(usage.get("output_tokens")),
        "total_tokens": whole(usage.get("total_tokens")),
        "cached_tokens": whole(usage.get("cache_read_input_tokens")),
    }


def quoted(value: Any) -> Any:
    """A value that is JSON, text in quotation marks included."""
    if isinstance(value, str) and value[:1] == '"':
        try:
            return json.loads(value)
        except ValueError:
            return value
    return parsed(value)


def read_vercel(found: Attributes) -> dict[str, Any]:
    """What Vercel's AI SDK says of a span, by columns."""
    name = found.look("ai.operationId")
    if not isinstance(name, str):
        return {}
    found.take("ai.operationId", "operation.name")
    return {
        "type": vercel_type(name),
        "model": found.word("ai.model.id"),
        "provider": found.word("ai.model.provider"),
        "tool_call_id": found.word("ai.toolCall.id"),
        "finish_reason": found.word("ai.response.finishReason"),
        "prompt_tokens": found.integer("ai.usage.inputTokens", "ai.usage.promptTokens"),
        "completion_tokens": found.integer("ai.usage.outputTokens", "ai.usage.completionTokens"),
        "total_tokens": found.integer("ai.usage.totalTokens", "ai.usage.tokens"),
        "reasoning_tokens": found.integer("ai.usage.reasoningTokens"),
        "cached_tokens": found.integer("ai.usage.cachedInputTokens"),
        "ttft_ms": milliseconds_of(found.take("ai.response.msToFirstChunk", "ai.stream.msToFirstChunk")),
        "reasoning": found.take("ai.response.reasoning"),
        **vercel_content(found),
    }


def vercel_type(name: str) -> str:
    """The type of observation of an operation."""
    if name.endswith((".doGenerate", ".doStream", ".doEmbed")):
        return "generation"
    return next((kind for start, kind in VERCEL if name.startswith(start)), "span")


def vercel_content(found: Attributes) -> dict[str, Any]:
    """Input and output of a call, of a tool or of a whole operation."""
    given = parsed(found.take("ai.prompt.messages", "ai.toolCall.args", "ai.prompt", "ai.value", "ai.values"))
    text = found.take("ai.response.text", "ai.response.object", "ai.toolCall.result")
    calls = parsed(found.take("ai.response.toolCalls"))
    if isinstance(calls, list) and calls:
        spoken = [{"type": "tool_call", **one} for one in map(vercel_call, calls) if one]
        answered = messages_of([{"role": "assistant", "parts": [*([text] if text else []), *spoken]}])
        return {"input": messages_of(given) or given, "output": answer_of(answered or [])["output"]}
    return {"input": messages_of(given) or given, "output": parsed(text)}


def vercel_call(call: Any) -> dict[str, Any]:
    """A tool call by the names of the GenAI conventions."""
    if not isinstance(call, dict):
        return {}
    arguments = call.get("args") if call.get("args") is not None else call.get("input")
    return {"id": call.get("toolCallId"), "name": call.get("toolName"), "arguments": arguments}
