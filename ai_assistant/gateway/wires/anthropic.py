"""Anthropic Messages: content blocks, each started, filled by deltas and stopped.

Source: https://docs.anthropic.com/en/docs/build-with-claude/streaming
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from ai_assistant.core.model import ModelConfig
from ai_assistant.core.usage import Usage
from ai_assistant.gateway.chunks import FinishReason
from ai_assistant.gateway.dialects.anthropic import build_messages
from ai_assistant.gateway.failures import from_error_object
from ai_assistant.gateway.request import GatewayRequest
from ai_assistant.gateway.sse import SseEvent
from ai_assistant.gateway.wires.base import SseBodyParser, WireCall
from ai_assistant.gateway.writer import json_arguments

_REASONS: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
}


class _Delta(msgspec.Struct):
    type: str | None = None
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: str | None = None
    stop_reason: str | None = None


class _Block(msgspec.Struct):
    type: str | None = None
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: Any = None


class _Message(msgspec.Struct):
    model: str | None = None
    content: list[_Block] | None = None
    stop_reason: str | None = None
    usage: dict[str, Any] | None = None
    error: Any = None


class _Event(msgspec.Struct):
    type: str
    index: int | None = None
    delta: _Delta | None = None
    content_block: _Block | None = None
    message: _Message | None = None
    usage: dict[str, Any] | None = None
    error: Any = None


_EVENT = msgspec.json.Decoder(_Event)
_MESSAGE = msgspec.json.Decoder(_Message)


class AnthropicParser(SseBodyParser):
    """Reads the events of one message up to `message_stop`, or a whole message."""

    def __init__(self, model: ModelConfig):
        super().__init__(model)
        self._thinking: dict[int, dict[str, Any]] = {}
        self._empty_inputs: dict[int, str] = {}
        self._reason: str | None = None
        self._usage: dict[str, Any] = {}
        self._model: str | None = None

    @property
    def finishing(self) -> bool:
        """See `WireParser.finishing`."""
        return self._reason is not None

    def on_event(self, event: SseEvent) -> None:
        """One event; unknown types are passed over, as Anthropic's versioning policy asks."""
        data: _Event = self.decode(_EVENT, event.data)
        kind = data.type
        if kind == "content_block_delta":
            if data.delta is not None:
                self._delta(data.index or 0, data.delta)
        elif kind == "content_block_start":
            if data.content_block is not None:
                self._start(data.index or 0, data.content_block)
        elif kind == "content_block_stop":
            self._stop(data.index or 0)
        elif kind == "message_start":
            self._open(data.message or _Message())
        elif kind == "message_delta":
            self._usage.update(data.usage or {})
            if data.delta is not None and data.delta.stop_reason:
                self._reason = data.delta.stop_reason
        elif kind == "message_stop":
            self._finish()
        elif kind == "error":
            raise from_error_object(self.model, data.error)

    def on_end(self) -> None:
        """The connection ended: complete when a reason had come."""
        if self._reason is None:
            self.cut()
        self._finish()

    def on_body(self, body: bytes) -> None:
        """See `BodyParser.on_body`."""
        message: _Message = self.decode(_MESSAGE, body)
        if message.error:
            raise from_error_object(self.model, message.error)
        if message.content is None:
            self.cut()
        self._open(message)
        for index, block in enumerate(message.content):
            self._start(index, block)
            self._stop(index)
        self._reason = message.stop_reason
        self._finish()

    def _open(self, message: _Message) -> None:
        self._model = message.model or self._model
        self._usage.update(message.usage or {})

    def _start(self, index: int, block: _Block) -> None:
        """A block may already hold its beginning (always so in a whole message)."""
        if block.type == "text":
            self.writer.text(block.text or "")
        elif block.type == "thinking":
            self._thinking[index] = {
                "type": "thinking",
                "thinking": block.thinking or "",
                "signature": block.signature or "",
            }
            self.writer.reasoning(block.thinking or "")
        elif block.type == "redacted_thinking":
            self._thinking[index] = {"type": "redacted_thinking", "data": block.data or ""}
        elif block.type == "tool_use":
            self.writer.tool_call(index, block.id, block.name, "")
            self._empty_inputs[index] = json_arguments(block.input) or "{}"

    def _delta(self, index: int, delta: _Delta) -> None:
        kind = delta.type
        if kind == "text_delta":
            if delta.text:
                self.writer.text(delta.text)
        elif kind == "thinking_delta":
            thought = delta.thinking or ""
            self._thinking_block(index)["thinking"] += thought
            self.writer.reasoning(thought)
        elif kind == "signature_delta":
            self._thinking_block(index)["signature"] += delta.signature or ""
        elif kind == "input_json_delta" and delta.partial_json:
            self._empty_inputs.pop(index, None)
            self.writer.tool_call(index, None, None, delta.partial_json)

    def _thinking_block(self, index: int) -> dict[str, Any]:
        return self._thinking.setdefault(index, {"type": "thinking", "thinking": "", "signature": ""})

    def _stop(self, index: int) -> None:
        """A block is whole: thinking goes back in the next turn; a tool call without any input has `{}`."""
        block = self._thinking.pop(index, None)
        if block is not None:
            self.writer.block(block)
        arguments = self._empty_inputs.pop(index, None)
        if arguments is not None:
            self.writer.tool_call(index, None, None, arguments)

    def _finish(self) -> None:
        for index in (*self._thinking, *self._empty_inputs):
            self._stop(index)
        usage, written = read_usage(self._usage)
        reason = _REASONS.get(self._reason or "", "stop")
        self.writer.finish(reason, usage, self._model, cache_write_tokens=written)


def read_usage(usage: dict[str, Any]) -> tuple[Usage | None, int]:
    """Usage, and the tokens written to the cache. Anthropic counts cached tokens beside `input_tokens`; the
    contract counts them as a part of the prompt."""
    if not usage:
        return None, 0
    cached = _count(usage, "cache_read_input_tokens")
    written = _count(usage, "cache_creation_input_tokens")
    prompt = _count(usage, "input_tokens") + cached + written
    completion = _count(usage, "output_tokens")
    details = usage.get("output_tokens_details")
    found = Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        reasoning_tokens=_count(details, "thinking_tokens") if isinstance(details, dict) else 0,
        cached_tokens=cached,
        total_tokens=prompt + completion,
    )
    return found, written


def _count(usage: dict[str, Any], name: str) -> int:
    value = usage.get(name)
    return max(0, int(value)) if isinstance(value, (int, float)) else 0


class AnthropicWire:
    """See `base.Wire`."""

    name: ClassVar[str] = "anthropic"
    media_type: ClassVar[str] = "text/event-stream"

    def build(self, request: GatewayRequest, model: ModelConfig, *, stream: bool = True) -> WireCall:
        """See `base.Wire.build`."""
        return build_messages(request, model, stream=stream)

    def parser(self, model: ModelConfig) -> AnthropicParser:
        """See `base.Wire.parser`."""
        return AnthropicParser(model)
