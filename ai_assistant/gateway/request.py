"""What the gateway is asked to do: a checked request, free of any provider's dialect."""

from __future__ import annotations

from typing import Any

import msgspec

from ai_assistant.core.model import ReasoningEffort


class GatewayRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request in OpenAI's chat form, checked by `core.chat`.

    `messages` are OpenAI chat messages: roles `system`, `developer`, `user`, `assistant`, `tool`; `content` is a
    string, `None` (assistant with tool calls) or a list of parts (`text`, `image_url`, `input_audio`, `file`); an
    assistant message may carry `tool_calls` and `thinking_blocks` (see `chunks.ThinkingBlock`), a tool message has
    `tool_call_id`. URLs in parts are passed on by reference and never fetched.
    """

    messages: list[dict[str, Any]]
    temperature: float | None = None
    max_tokens: int | None = None
    reasoning_effort: ReasoningEffort | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None
    stop: list[str] | None = None
    extra: dict[str, Any] = msgspec.field(default_factory=dict)
    """Further provider parameters from the model's own `parameters`, passed on untouched (top_p, seed, …)."""
