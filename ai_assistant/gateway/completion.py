"""A whole answer, made of the same chunks as a streamed one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from ai_assistant.core.usage import Usage
from ai_assistant.gateway.chunks import (
    Chunk,
    Finish,
    FinishReason,
    ReasoningDelta,
    TextDelta,
    ThinkingBlock,
    ToolCallDelta,
)


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """What `Gateway.complete` returns. `tool_calls` are in OpenAI's form, as an assistant message carries them."""

    text: str
    reasoning: str
    tool_calls: list[dict[str, Any]]
    thinking_blocks: list[dict[str, Any]]
    finish_reason: FinishReason
    usage: Usage
    model: str
    provider: str


class AnswerCollector:
    """Adds chunks up to the whole answer."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._calls: dict[int, dict[str, Any]] = {}
        self._blocks: list[dict[str, Any]] = []
        self._finish: Finish | None = None

    def add(self, chunks: Iterable[Chunk]) -> None:
        """Take the next chunks; `Status` is passed over."""
        for chunk in chunks:
            if isinstance(chunk, TextDelta):
                self._text.append(chunk.text)
            elif isinstance(chunk, ReasoningDelta):
                self._reasoning.append(chunk.text)
            elif isinstance(chunk, ToolCallDelta):
                self._add_call(chunk)
            elif isinstance(chunk, ThinkingBlock):
                self._blocks.append(chunk.block)
            elif isinstance(chunk, Finish):
                self._finish = chunk

    @property
    def text(self) -> str:
        """The answer so far."""
        return "".join(self._text)

    @property
    def reasoning(self) -> str:
        """The thinking so far."""
        return "".join(self._reasoning)

    @property
    def tool_calls(self) -> list[dict[str, Any]]:
        """The tool calls so far, in OpenAI's form."""
        return [self._calls[index] for index in sorted(self._calls)]

    def completion(self, *, model: str, provider: str) -> Completion:
        """The whole answer. `model` is used where the provider did not name itself."""
        finish = self._finish
        if finish is None:
            raise RuntimeError("the stream ended without a Finish")
        return Completion(
            text=self.text,
            reasoning=self.reasoning,
            tool_calls=self.tool_calls,
            thinking_blocks=self._blocks,
            finish_reason=finish.reason,
            usage=finish.usage or Usage(),
            model=finish.model or model,
            provider=provider,
        )

    def _add_call(self, delta: ToolCallDelta) -> None:
        call = self._calls.get(delta.index)
        if call is None:
            function = {"name": delta.name or "", "arguments": delta.arguments}
            self._calls[delta.index] = {"id": delta.id or "", "type": "function", "function": function}
        else:
            call["function"]["arguments"] += delta.arguments
