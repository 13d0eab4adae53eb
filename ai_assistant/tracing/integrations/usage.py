"""Token counts of any provider as columns: cached tokens are part of the prompt, reasoning of the completion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

CACHE_READ: Final = "cache_read_input_tokens"
CACHE_WRITE: Final = "cache_creation_input_tokens"


def member(thing: Any, name: str) -> Any:
    """A member of an object or a mapping; `None` where it is not there."""
    return thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)


def openai_usage(usage: Any) -> dict[str, int]:
    """Of OpenAI's chat completions (`prompt_tokens`, …) or Responses (`input_tokens`, …)."""
    if usage is None:
        return {}
    into = member(usage, "prompt_tokens_details") or member(usage, "input_tokens_details")
    out = member(usage, "completion_tokens_details") or member(usage, "output_tokens_details")
    return counts(
        prompt_tokens=first(member(usage, "prompt_tokens"), member(usage, "input_tokens")),
        completion_tokens=first(member(usage, "completion_tokens"), member(usage, "output_tokens")),
        total_tokens=member(usage, "total_tokens"),
        cached_tokens=member(into, "cached_tokens"),
        reasoning_tokens=member(out, "reasoning_tokens"),
    )


def anthropic_usage(usage: Any) -> dict[str, int]:
    """Of Anthropic's Messages, which counts cached tokens beside `input_tokens`."""
    if usage is None:
        return {}
    read, written = member(usage, CACHE_READ) or 0, member(usage, CACHE_WRITE) or 0
    fresh = member(usage, "input_tokens")
    return counts(
        prompt_tokens=None if fresh is None else fresh + read + written,
        completion_tokens=member(usage, "output_tokens"),
        cached_tokens=read or None,
        reasoning_tokens=member(member(usage, "output_tokens_details"), "thinking_tokens"),
    )


def langchain_usage(usage: Any) -> dict[str, int]:
    """Of a LangChain message's `usage_metadata`."""
    if not usage:
        return {}
    return counts(
        prompt_tokens=member(usage, "input_tokens"),
        completion_tokens=member(usage, "output_tokens"),
        total_tokens=member(usage, "total_tokens"),
        cached_tokens=member(member(usage, "input_token_details"), "cache_read"),
        reasoning_tokens=member(member(usage, "output_token_details"), "reasoning"),
    )


def counts(**values: Any) -> dict[str, int]:
    """Those that are numbers."""
    return {
        name: int(value)
        for name, value in values.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }


def first(*values: Any) -> Any:
    """The first that is not `None`."""
    return next((value for value in values if value is not None), None)
