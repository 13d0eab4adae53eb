"""Langfuse's conventions: https://langfuse.com/integrations/native/opentelemetry, "Property Mapping"."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, Final

from ai_assistant.traces.otlp_attributes import WORD_CHARS, Attributes, number, parsed, whole
from ai_assistant.traces.otlp_messages import answer_of, messages_of
from ai_assistant.traces.otlp_span import Span

TYPES: Final = {
    "generation": "generation",
    "embedding": "generation",
    "tool": "tool",
    "agent": "agent",
    "retriever": "retriever",
    "event": "event",
}
"""`langfuse.observation.type`; span, chain, evaluator and guardrail are spans."""
LEVELS: Final = {"DEBUG": "debug", "DEFAULT": "info", "WARNING": "warning", "ERROR": "error"}
PREFIX: Final = "langfuse.observation"
TOKENS: Final = {
    "prompt_tokens": ("input", "prompt_tokens", "input_tokens"),
    "completion_tokens": ("output", "completion_tokens", "output_tokens"),
    "total_tokens": ("total", "total_tokens"),
    "cached_tokens": (
        "input_cached_tokens",
        "input_cached",
        "cache_read_input_tokens",
        "prompt_tokens_details.cached_tokens",
    ),
    "reasoning_tokens": (
        "output_reasoning_tokens",
        "output_reasoning",
        "completion_tokens_details.reasoning_tokens",
    ),
}
"""Columns and the names that `usage_details` may use for them."""


def read_langfuse(found: Attributes, span: Span) -> dict[str, Any]:
    """What this convention says of a span, by columns; `None` where it says nothing."""
    kind = found.word(f"{PREFIX}.type")
    level = LEVELS.get(str(found.take(f"{PREFIX}.level", "langfuse.level") or "").upper())
    message = found.take(f"{PREFIX}.status_message")
    usage = flat(parsed(found.take(f"{PREFIX}.usage_details", f"{PREFIX}.usage")))
    return {
        "type": TYPES.get(kind.lower(), "span") if kind else None,
        "level": level,
        "status": "failed" if level == "error" else None,
        "error_message": message if level == "error" else None,
        "progress_message": message if level != "error" else None,
        "model": found.word(f"{PREFIX}.model.name"),
        "finish_reason": finish_reason(found),
        "cost": cost_of(parsed(found.take(f"{PREFIX}.cost_details"))),
        "ttft_ms": first_token(found.take(f"{PREFIX}.completion_start_time"), span),
        **{column: first(usage, names) for column, names in TOKENS.items()},
        **content(found),
    }


def finish_reason(found: Attributes) -> str | None:
    """Its OpenAI integration puts it into the metadata, in quotation marks."""
    value = found.take(f"{PREFIX}.metadata.finish_reason")
    return value.strip('"')[:WORD_CHARS] if isinstance(value, str) else None


def content(found: Attributes) -> dict[str, Any]:
    """Input and output, as messages where they are some."""
    given = parsed(found.take(f"{PREFIX}.input"))
    said = parsed(found.take(f"{PREFIX}.output"))
    asked = messages_of(given) if isinstance(given, list | dict) else None
    answered = messages_of(said) if isinstance(said, list | dict) else None
    if answered:
        said = answer_of(answered)
        return {"input": asked or given, **{name: value for name, value in said.items() if value is not None}}
    return {"input": asked or given, "output": said}


def flat(value: Any) -> dict[str, Any]:
    """An object of one level: members of inner objects as `outer.inner`."""
    found: dict[str, Any] = {}
    for name, item in value.items() if isinstance(value, dict) else ():
        inner = item.items() if isinstance(item, dict) else ()
        found.update({f"{name}.{key}": one for key, one in inner} or {name: item})
    return found


def first(usage: dict[str, Any], names: tuple[str, ...]) -> int | None:
    """The first of these figures that is there."""
    return next((whole(usage[name]) for name in names if whole(usage.get(name)) is not None), None)


def cost_of(value: Any) -> float | None:
    """The total of `cost_details`, in US dollars."""
    if not isinstance(value, dict):
        return None
    if number(value.get("total")) is not None:
        return number(value["total"])
    parts = [found for found in map(number, value.values()) if found is not None]
    return sum(parts) if parts else None


def first_token(value: Any, span: Span) -> int | None:
    """Milliseconds from the span's start to a time in ISO 8601, which langfuse wraps in quotation marks."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.strip('"').replace("Z", "+00:00"))
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return max(0, int(moment.timestamp() * 1000) - span.started_at // 1000)
