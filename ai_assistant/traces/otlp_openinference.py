"""OpenInference's conventions (Phoenix, Arize): https://github.com/Arize-ai/openinference/tree/main/spec."""

from __future__ import annotations

from typing import Any, Final

from ai_assistant.traces.otlp_attributes import WORD_CHARS, Attributes, number, parsed
from ai_assistant.traces.otlp_messages import answer_of, messages_of
from ai_assistant.traces.otlp_span import Span

KINDS: Final = {
    "LLM": "generation",
    "EMBEDDING": "generation",
    "TOOL": "tool",
    "AGENT": "agent",
    "RETRIEVER": "retriever",
    "RERANKER": "retriever",
}
"""`openinference.span.kind`; chains, guardrails, evaluators and prompts are spans."""
FIRST_TOKEN: Final = "First Token Stream Event"
"""An event that the instrumentations of streams add."""


def read_openinference(found: Attributes, span: Span) -> dict[str, Any]:
    """What this convention says of a span, by columns; `None` where it says nothing."""
    kind = found.word("openinference.span.kind")
    asked = found.word("llm.request.model_name", "llm.model_name", "embedding.model_name", "reranker.model_name")
    if asked is None:  # a call that failed has named no model of its own
        parameters = parsed(found.look("llm.invocation_parameters"))
        model = parameters.get("model") if isinstance(parameters, dict) else None
        asked = model[:WORD_CHARS] if isinstance(model, str) else None
    if asked and found.look("llm.response.model_name") == asked:
        found.take("llm.response.model_name")
    return {
        "type": KINDS.get(kind.upper(), "span") if kind else None,
        "model": asked,
        "provider": found.word("llm.provider", "llm.system"),
        "finish_reason": found.word("llm.finish_reason"),
        "tool_call_id": found.word("tool.id", "tool_call.id"),
        "cost": number(found.take("llm.cost.total")),
        "prompt_tokens": found.integer("llm.token_count.prompt"),
        "completion_tokens": found.integer("llm.token_count.completion"),
        "total_tokens": found.integer("llm.token_count.total"),
        "cached_tokens": found.integer(
            "llm.token_count.prompt_details.cache_read", "llm.token_count.prompt_details.cache_input"
        ),
        "reasoning_tokens": found.integer("llm.token_count.completion_details.reasoning"),
        "ttft_ms": first_token(span),
        **content(found),
    }


def content(found: Attributes) -> dict[str, Any]:
    """Messages where there are any, else the documents of a retriever, else the plain values of input and output."""
    asked = messages_of(found.take_nested("llm.input_messages"))
    answered = messages_of(found.take_nested("llm.output_messages"))
    documents = documents_of(found.take_nested("retrieval.documents") or found.take_nested("reranker.output_documents"))
    found.take("input.mime_type", "output.mime_type")
    given, said = found.take("input.value"), found.take("output.value")
    fields: dict[str, Any] = answer_of(answered) if answered else {}
    if not fields.get("finish_reason"):
        fields.pop("finish_reason", None)
    fields["input"] = asked or given
    if fields.get("output") is None:
        fields["output"] = documents if documents is not None and said is None else said
    return fields


def documents_of(value: Any) -> Any:
    """Documents out of their wrapping."""
    if not isinstance(value, list):
        return None
    return [one.get("document", one) if isinstance(one, dict) else one for one in value]


def first_token(span: Span) -> int | None:
    """Milliseconds from the span's start to the event of the first token."""
    at = next((event.at for event in span.events if event.name == FIRST_TOKEN), None)
    return None if at is None else max(0, (at - span.started_at) // 1000)
