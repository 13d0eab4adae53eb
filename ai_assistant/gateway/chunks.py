"""The normalised pieces of a streamed answer, the same from every wire.

A stream yields lists of these (what one network read brought), in the provider's order, and ends with exactly one
`Finish`. A failure is a `ChatError`, raised out of the stream.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from ai_assistant.core.usage import Usage

FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


class TextDelta(msgspec.Struct, frozen=True, gc=False):
    """The next piece of the answer; never empty."""

    text: str


class ReasoningDelta(msgspec.Struct, frozen=True, gc=False):
    """The next piece of the model's thinking; never empty."""

    text: str


class ToolCallDelta(msgspec.Struct, frozen=True, gc=False):
    """A piece of a tool call. `id` and `name` are set in the first piece of each `index` (an id is made up when
    the provider sends none); `arguments` is the next piece of the JSON text, perhaps empty."""

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""


class ThinkingBlock(msgspec.Struct, frozen=True):
    """A finished block of thinking that the provider wants back in the next turn, as it sent it.

    Anthropic: `{"type": "thinking", "thinking", "signature"}`, `{"type": "redacted_thinking", "data"}`.
    OpenAI Responses: `{"type": "reasoning", "id", "encrypted_content", "summary"}`.
    OpenRouter and other chat wires: the entries of `reasoning_details`.
    """

    block: dict[str, Any]


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What the gateway is doing before the first delta; becomes a `status` event."""

    state: Literal["queued", "connecting", "retrying", "fallback"]
    detail: str
    attempt: int
    model: str
    provider: str


class Finish(msgspec.Struct, frozen=True, kw_only=True):
    """The end of the stream. `model` is the provider's own name of the model that answered."""

    reason: FinishReason
    usage: Usage | None = None
    model: str | None = None
    cache_write_tokens: int = 0
    """Prompt tokens that the provider wrote to its cache and prices apart (Anthropic); part of `prompt_tokens`."""


Chunk = TextDelta | ReasoningDelta | ToolCallDelta | ThinkingBlock | Status | Finish
