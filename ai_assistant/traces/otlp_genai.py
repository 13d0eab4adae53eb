"""OpenTelemetry's GenAI conventions, and those that grew out of them: OpenLLMetry (traceloop) and Pydantic's.

https://opentelemetry.io/docs/specs/semconv/gen-ai/ (from 1.37 on messages are attributes), its earlier forms (messages
are events; `gen_ai.prompt.<n>`), and `traceloop.*`.
"""

from __future__ import annotations

from typing import Any, Final

from ai_assistant.traces.otlp_attributes import Attributes, milliseconds_of, number, parsed, text_of
from ai_assistant.traces.otlp_messages import answer_of, messages_of, reason_of
from ai_assistant.traces.otlp_span import Span, SpanEvent

OPERATIONS: Final = {
    "chat": "generation",
    "text_completion": "generation",
    "generate_content": "generation",
    "completion": "generation",
    "embeddings": "generation",
    "execute_tool": "tool",
    "invoke_agent": "agent",
    "create_agent": "agent",
    "retrieval": "retriever",
    "invoke_workflow": "span",
}
"""`gen_ai.operation.name`, and OpenLLMetry's `llm.request.type`, as a type of observation."""
TRACELOOP: Final = {"workflow": "span", "task": "span", "agent": "agent", "tool": "tool"}
CHUNKS: Final = frozenset({"llm.content.completion.chunk", "gen_ai.content.completion.chunk"})
"""OpenLLMetry: an event for each chunk of a stream."""
MESSAGE_EVENTS: Final = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}
CONTENT_EVENTS: Final = frozenset(
    {*MESSAGE_EVENTS, "gen_ai.choice", "gen_ai.content.prompt", "gen_ai.content.completion"}
    | {"gen_ai.client.inference.operation.details"}
)
Fields = dict[str, Any]


def read_genai(found: Attributes, span: Span) -> Fields:
    """What these conventions say of a span, by columns; `None` where they say nothing."""
    kind = found.word("gen_ai.operation.name", "llm.request.type")
    group = found.word("traceloop.span.kind")
    asked = found.word("gen_ai.request.model")
    answered = found.look("gen_ai.response.model")
    if asked is None or asked == answered:
        asked = found.word("gen_ai.response.model") or asked
    return {
        "type": OPERATIONS.get((kind or "").lower()) or TRACELOOP.get(group or "") or ("generation" if asked else None),
        "model": asked,
        "provider": found.word("gen_ai.provider.name", "gen_ai.system"),
        "tool_call_id": found.word("gen_ai.tool.call.id"),
        "ttft_ms": milliseconds(found.take("gen_ai.response.time_to_first_chunk", "gen_ai.server.time_to_first_token")),
        "cost": number(found.take("gen_ai.usage.cost", "operation.cost")),
        **usage(found),
        **content(found, span),
        **reason(found),
    }


def usage(found: Attributes) -> Fields:
    """Tokens, under their names of now and before."""
    return {
        "prompt_tokens": found.integer("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"),
        "completion_tokens": found.integer("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
        "total_tokens": found.integer("gen_ai.usage.total_tokens", "llm.usage.total_tokens"),
        "cached_tokens": found.integer(
            "gen_ai.usage.cache_read.input_tokens",
            "gen_ai.usage.cache_read_input_tokens",
            "gen_ai.usage.details.cache_read_tokens",
        ),
        "reasoning_tokens": found.integer(
            "gen_ai.usage.reasoning.output_tokens",
            "gen_ai.usage.reasoning_tokens",
            "llm.usage.reasoning_tokens",
            "gen_ai.usage.details.reasoning_tokens",
        ),
    }


def milliseconds(seconds: Any) -> int | None:
    """Seconds as the conventions have them, in milliseconds."""
    found = number(seconds)
    return None if found is None else milliseconds_of(found * 1000)


def reason(found: Attributes) -> Fields:
    """Why the first choice ended; absent where it is not said, since its message may say it."""
    value = parsed(found.take("gen_ai.response.finish_reasons", "gen_ai.response.finish_reason"))
    first = value[0] if isinstance(value, list) and value else value
    return {"finish_reason": reason_of(first)} if isinstance(first, str) and first else {}


def content(found: Attributes, span: Span) -> Fields:
    """Input, output and reasoning: of messages, else of a tool's call, else of an OpenLLMetry entity."""
    asked, answered = messages(found, span)
    fields: Fields = answer_of(answered) if answered else {}
    if asked:
        fields["input"] = asked
    tool = found.take("gen_ai.tool.call.arguments", "tool_arguments", "traceloop.entity.input")
    result = found.take("gen_ai.tool.call.result", "tool_response", "traceloop.entity.output", "final_result")
    query = found.take("gen_ai.retrieval.query.text")
    documents = found.take("gen_ai.retrieval.documents")
    fields.setdefault("input", tool if tool is not None else query)
    fields.setdefault("output", result if result is not None else documents)
    return fields


def messages(found: Attributes, span: Span) -> tuple[list[Fields], list[Fields]]:
    """What the model was given, its instructions first, and what it answered."""
    told = span_messages(span)
    operation = told.get("details", {})
    given = found.take("gen_ai.input.messages", "pydantic_ai.all_messages") or operation.get("gen_ai.input.messages")
    said = found.take("gen_ai.output.messages") or operation.get("gen_ai.output.messages")
    rules = found.take("gen_ai.system_instructions") or operation.get("gen_ai.system_instructions")
    asked = messages_of(given) or told["asked"] or messages_of(found.take_nested("gen_ai.prompt")) or []
    answered = messages_of(said) or told["answered"] or messages_of(found.take_nested("gen_ai.completion")) or []
    if rules:
        parts = parsed(rules)
        head = messages_of([{"role": "system", "parts": parts if isinstance(parts, list) else [text_of(parts)]}])
        asked = [*(head or []), *asked]
    return asked, answered


def span_messages(span: Span) -> dict[str, Any]:
    """What the events of a span say: `asked`, `answered`, and the attributes of the event with the `details`."""
    asked: list[Any] = []
    answered: list[Any] = []
    details: Fields = {}
    for event in span.events:
        if event.name not in CONTENT_EVENTS:
            continue
        if event.name in MESSAGE_EVENTS:
            asked.append({"role": MESSAGE_EVENTS[event.name], **body_of(event)})
        elif event.name == "gen_ai.choice":
            answered.append({"role": "assistant", **choice_of(event)})
        elif event.name == "gen_ai.content.prompt":
            asked.extend(messages_of(event.attributes.get("gen_ai.prompt")) or [])
        elif event.name == "gen_ai.content.completion":
            answered.extend(messages_of(event.attributes.get("gen_ai.completion")) or [])
        else:
            details = event.attributes
    return {"asked": messages_of(asked) or [], "answered": messages_of(answered) or [], "details": details}


def body_of(event: SpanEvent) -> Fields:
    """The message of an event; older writers put all of it into one attribute. A tool's answer names its call `id`."""
    body = parsed(event.attributes.get("body") or event.attributes.get("event.body"))
    values = dict(body) if isinstance(body, dict) else dict(event.attributes)
    values = {name.removeprefix("gen_ai.event."): parsed(value) for name, value in values.items()}
    if event.name == "gen_ai.tool.message" and values.get("id"):
        values["tool_call_id"] = values["id"]
    return {name: value for name, value in values.items() if value is not None} | {"content": values.get("content")}


def choice_of(event: SpanEvent) -> Fields:
    """The message of a choice with its `finish_reason`."""
    values = body_of(event)
    message = values.get("message")
    inner = dict(message) if isinstance(message, dict) else {"content": values.get("content") or message}
    calls = values.get("tool_calls") or inner.get("tool_calls")
    return {**inner, "tool_calls": calls, "finish_reason": values.get("finish_reason")}
