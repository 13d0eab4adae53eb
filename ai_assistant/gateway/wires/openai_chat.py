"""OpenAI-compatible chat completions: the stream that most providers speak, each with its own accent.

Source: https://platform.openai.com/docs/api-reference/chat-streaming, and the documents of DeepSeek
(`reasoning_content`), OpenRouter (`reasoning`, `reasoning_details`, `usage.cost`) and Mistral (content in parts).
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from ai_assistant.core.model import ModelConfig
from ai_assistant.core.usage import Usage
from ai_assistant.gateway.chunks import FinishReason
from ai_assistant.gateway.dialects.openai_chat import build_chat
from ai_assistant.gateway.failures import from_error_object
from ai_assistant.gateway.providers import chat_provider
from ai_assistant.gateway.request import GatewayRequest
from ai_assistant.gateway.sse import SseEvent
from ai_assistant.gateway.wires.base import SseBodyParser, WireCall
from ai_assistant.gateway.writer import json_arguments

_REASONS: dict[str, FinishReason] = {
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "sensitive": "content_filter",
    "safety": "content_filter",
}


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: Any = None


class _ToolCall(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Message(msgspec.Struct):
    """A delta of a stream, or the message of a whole answer."""

    content: str | list[Any] | None = None
    reasoning_content: str | None = None
    reasoning: str | dict[str, Any] | None = None
    reasoning_details: list[dict[str, Any]] | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None
    function_call: _Function | None = None


class _Choice(msgspec.Struct):
    index: int | None = 0
    delta: _Message | None = None
    message: _Message | None = None
    finish_reason: str | None = None


class _Answer(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: dict[str, Any] | None = None
    model: str | None = None
    error: Any = None
    x_groq: dict[str, Any] | None = None


_DECODER = msgspec.json.Decoder(_Answer)


class OpenAIChatParser(SseBodyParser):
    """Reads `chat.completion.chunk` events up to `[DONE]`, and whole `chat.completion` objects."""

    def __init__(self, model: ModelConfig, *, echo_reasoning: bool = False):
        """`echo_reasoning`: the provider wants its reasoning back with the results of tool calls."""
        super().__init__(model)
        self._echo = [] if echo_reasoning else None
        self._details: dict[Any, dict[str, Any]] = {}
        self._reason: str | None = None
        self._refused = False
        self._usage: Usage | None = None
        self._model: str | None = None

    @property
    def finishing(self) -> bool:
        """See `WireParser.finishing`."""
        return self._reason is not None

    def on_event(self, event: SseEvent) -> None:
        """One chunk, or the `[DONE]` mark."""
        if event.data[:6] == b"[DONE]":
            self._finish()
            return
        self._read(self.decode(_DECODER, event.data))

    def on_end(self) -> None:
        """The connection ended: complete when a reason had come."""
        if self._reason is None:
            self.cut()
        self._finish()

    def on_body(self, body: bytes) -> None:
        """See `BodyParser.on_body`."""
        answer = self.decode(_DECODER, body)
        self._read(answer)
        if not answer.choices:
            self.cut()
        self._finish()

    def _read(self, answer: _Answer) -> None:
        if answer.error:
            raise from_error_object(self.model, answer.error)
        if answer.model:
            self._model = answer.model
        if answer.usage:
            self._usage = read_usage(answer.usage)
        elif answer.x_groq and isinstance(answer.x_groq.get("usage"), dict):
            self._usage = read_usage(answer.x_groq["usage"])
        for choice in answer.choices or ():
            if choice.index:
                continue  # more than one choice was never asked for
            message = choice.delta or choice.message
            if message is not None:
                self._read_message(message)
            if choice.finish_reason:
                self._reason = choice.finish_reason
                if choice.finish_reason == "error":
                    raise from_error_object(self.model, {"message": "finish_reason is error"})

    def _read_message(self, message: _Message) -> None:
        thought = message.reasoning_content or message.reasoning
        if thought or message.reasoning_details:
            self._read_reasoning(thought, message.reasoning_details)
        if message.content:
            if isinstance(message.content, str):
                self.writer.text(message.content)
            else:
                self._read_parts(message.content)
        if message.refusal:
            self._refused = True
            self.writer.text(message.refusal)
        for call in message.tool_calls or ():
            function = call.function or _Function()
            self.writer.tool_call(call.index, call.id, function.name, json_arguments(function.arguments))
        if message.function_call is not None:
            function = message.function_call
            self.writer.tool_call("function_call", None, function.name, json_arguments(function.arguments))

    def _read_reasoning(self, thought: Any, details: list[dict[str, Any]] | None) -> None:
        """`reasoning_details` repeat the text of `reasoning` where both come; they are kept for the next turn."""
        if isinstance(thought, dict):
            thought = thought.get("content") or thought.get("text")
        for detail in details or ():
            self._keep_detail(detail)
        if not isinstance(thought, str) or not thought:
            thought = "".join(_detail_text(detail) for detail in details or ())
        if self._echo is not None:
            self._echo.append(thought)
        self.writer.reasoning(thought)

    def _keep_detail(self, detail: dict[str, Any]) -> None:
        """Join the pieces of one entry, which share type and index."""
        key = (detail.get("type"), detail.get("index"), detail.get("id") if detail.get("index") is None else None)
        known = self._details.get(key)
        if known is None:
            self._details[key] = dict(detail)
            return
        for name, value in detail.items():
            joins = name in ("text", "summary", "data") and isinstance(value, str)
            if joins and isinstance(known.get(name), str):
                known[name] += value
            elif value is not None:
                known[name] = value

    def _read_parts(self, parts: list[Any]) -> None:
        """Content in parts (Mistral): text, and thinking that is itself a list of text parts."""
        for part in parts:
            if not isinstance(part, dict):
                continue
            if part.get("type") == "thinking":
                inner = part.get("thinking")
                pieces = inner if isinstance(inner, list) else [{"text": inner}]
                self._read_reasoning("".join(str(p.get("text") or "") for p in pieces if isinstance(p, dict)), None)
            elif isinstance(part.get("text"), str):
                self.writer.text(part["text"])

    def _finish(self) -> None:
        for detail in self._details.values():
            self.writer.block(detail)
        if self._echo and self.writer.has_tool_calls:
            self.writer.block({"type": "reasoning_content", "text": "".join(self._echo)})
        reason = "content_filter" if self._refused else finish_reason(self._reason)
        self.writer.finish(reason, self._usage, self._model)


def finish_reason(reason: str | None) -> FinishReason:
    """A provider's `finish_reason` in the contract's words; unknown ones are a plain end."""
    return _REASONS.get((reason or "").lower(), "stop")


def _detail_text(detail: dict[str, Any]) -> str:
    value = detail.get("text") or detail.get("summary")
    return value if isinstance(value, str) else ""


def read_usage(usage: dict[str, Any]) -> Usage:
    """Usage of the chat form. DeepSeek and Moonshot name the cached tokens otherwise; OpenRouter adds the cost."""
    prompt = _count(usage, "prompt_tokens")
    completion = _count(usage, "completion_tokens")
    cached = _count(usage.get("prompt_tokens_details"), "cached_tokens")
    thought = _count(usage.get("completion_tokens_details"), "reasoning_tokens")
    total = _count(usage, "total_tokens")
    if thought and total == prompt + completion + thought:
        completion += thought  # xAI counts the reasoning beside the completion, not as a part of it
    cost = usage.get("cost")
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        reasoning_tokens=thought,
        cached_tokens=cached or _count(usage, "prompt_cache_hit_tokens") or _count(usage, "cached_tokens"),
        total_tokens=total or prompt + completion,
        cost=float(cost) if isinstance(cost, (int, float)) and not isinstance(cost, bool) else None,
    )


def _count(usage: Any, name: str) -> int:
    value = usage.get(name) if isinstance(usage, dict) else None
    return max(0, int(value)) if isinstance(value, (int, float)) else 0


class OpenAIChatWire:
    """See `base.Wire`."""

    name: ClassVar[str] = "openai-chat"
    media_type: ClassVar[str] = "text/event-stream"

    def build(self, request: GatewayRequest, model: ModelConfig, *, stream: bool = True) -> WireCall:
        """See `base.Wire.build`."""
        return build_chat(request, model, stream=stream)

    def parser(self, model: ModelConfig) -> OpenAIChatParser:
        """See `base.Wire.parser`."""
        return OpenAIChatParser(model, echo_reasoning=chat_provider(model).echo_reasoning)
