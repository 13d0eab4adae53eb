"""OpenAI Responses: the only place where OpenAI's models show summaries of their reasoning.

Source: https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from ai_assistant.core.model import ModelConfig
from ai_assistant.core.usage import Usage
from ai_assistant.gateway.chunks import FinishReason
from ai_assistant.gateway.dialects.openai_responses import build_response
from ai_assistant.gateway.failures import from_error_object
from ai_assistant.gateway.request import GatewayRequest
from ai_assistant.gateway.sse import SseEvent
from ai_assistant.gateway.wires.base import SseBodyParser, WireCall

_TEXT_DELTAS = frozenset({"response.output_text.delta", "response.refusal.delta"})
_REASONING_DELTAS = frozenset({"response.reasoning_summary_text.delta", "response.reasoning_text.delta"})


class _Part(msgspec.Struct):
    type: str | None = None
    text: str | None = None
    refusal: str | None = None


class _Item(msgspec.Struct):
    type: str | None = None
    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    content: list[_Part] | None = None
    summary: list[dict[str, Any]] | None = None
    encrypted_content: str | None = None


class _Response(msgspec.Struct):
    status: str | None = None
    model: str | None = None
    output: list[_Item] | None = None
    usage: dict[str, Any] | None = None
    error: Any = None
    incomplete_details: dict[str, Any] | None = None


class _Event(msgspec.Struct):
    type: str
    delta: str | None = None
    output_index: int | None = None
    summary_index: int | None = None
    arguments: str | None = None
    item: _Item | None = None
    response: _Response | None = None
    error: Any = None
    code: str | None = None
    message: str | None = None


_EVENT = msgspec.json.Decoder(_Event)
_RESPONSE = msgspec.json.Decoder(_Response)


class OpenAIResponsesParser(SseBodyParser):
    """Reads the events of one response up to `response.completed`, `incomplete` or `failed`, or a whole one."""

    def __init__(self, model: ModelConfig):
        super().__init__(model)
        self._with_arguments: set[int] = set()
        self._summary: tuple[int, int] | None = None
        self._refused = False

    @property
    def finishing(self) -> bool:
        """See `WireParser.finishing`: here reason and usage come in the one last event."""
        return self.writer.finished

    def on_event(self, event: SseEvent) -> None:
        """One event; the many that only repeat what the deltas said are passed over."""
        if event.data[:6] == b"[DONE]":
            return
        data: _Event = self.decode(_EVENT, event.data)
        kind = data.type
        if kind in _TEXT_DELTAS:
            self._refused = self._refused or kind == "response.refusal.delta"
            if data.delta:
                self.writer.text(data.delta)
        elif kind in _REASONING_DELTAS:
            self._reasoning(data)
        elif kind == "response.function_call_arguments.delta":
            self._arguments(data.output_index or 0, data.delta or "")
        elif kind == "response.output_item.added":
            self._added(data.output_index or 0, data.item or _Item())
        elif kind == "response.output_item.done":
            self._done(data.output_index or 0, data.item or _Item())
        elif kind in ("response.completed", "response.incomplete", "response.failed"):
            self._finish(data.response or _Response())
        elif kind == "error":
            raise from_error_object(self.model, data.error or {"code": data.code, "message": data.message})

    def on_end(self) -> None:
        """The connection ended without the last event."""
        self.cut()

    def on_body(self, body: bytes) -> None:
        """See `BodyParser.on_body`."""
        response: _Response = self.decode(_RESPONSE, body)
        if response.output is None and not response.error:
            self.cut()
        for index, item in enumerate(response.output or ()):
            self._whole(index, item)
        self._finish(response)

    def _reasoning(self, data: _Event) -> None:
        """Summaries come in parts, which a blank line keeps apart."""
        place = (data.output_index or 0, data.summary_index or 0)
        if self._summary is not None and self._summary != place:
            self.writer.reasoning("\n\n")
        self._summary = place
        self.writer.reasoning(data.delta or "")

    def _arguments(self, index: int, delta: str) -> None:
        if delta:
            self._with_arguments.add(index)
            self.writer.tool_call(index, None, None, delta)

    def _added(self, index: int, item: _Item) -> None:
        if item.type == "function_call":
            self.writer.tool_call(index, item.call_id, item.name, "")

    def _done(self, index: int, item: _Item) -> None:
        """A finished item: reasoning goes back in the next turn; a call's arguments count where no delta came."""
        if item.type == "function_call" and index not in self._with_arguments:
            self.writer.tool_call(index, item.call_id, item.name, item.arguments or "")
        elif item.type == "reasoning":
            block = {"type": "reasoning", "id": item.id, "summary": item.summary or []}
            if item.encrypted_content:
                block["encrypted_content"] = item.encrypted_content
            self.writer.block(block)

    def _whole(self, index: int, item: _Item) -> None:
        """An item of a response that was not streamed."""
        if item.type == "reasoning":
            texts = [str(part.get("text", "")) for part in item.summary or ()]
            self.writer.reasoning("\n\n".join(text for text in texts if text))
        elif item.type == "message":
            for part in item.content or ():
                self._refused = self._refused or bool(part.refusal)
                self.writer.text(part.text or part.refusal or "")
        self._done(index, item)

    def _finish(self, response: _Response) -> None:
        if response.status == "failed" or response.error:
            raise from_error_object(self.model, response.error or {"message": "response failed"})
        reason: FinishReason = "content_filter" if self._refused else "stop"
        if response.status == "incomplete":
            why = (response.incomplete_details or {}).get("reason")
            reason = "content_filter" if why == "content_filter" else "length"
        usage = read_usage(response.usage) if response.usage else None
        self.writer.finish(reason, usage, response.model)


def read_usage(usage: dict[str, Any]) -> Usage:
    """Usage of the Responses form."""
    prompt = _count(usage, "input_tokens")
    completion = _count(usage, "output_tokens")
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        reasoning_tokens=_count(usage.get("output_tokens_details"), "reasoning_tokens"),
        cached_tokens=_count(usage.get("input_tokens_details"), "cached_tokens"),
        total_tokens=_count(usage, "total_tokens") or prompt + completion,
    )


def _count(usage: Any, name: str) -> int:
    value = usage.get(name) if isinstance(usage, dict) else None
    return max(0, int(value)) if isinstance(value, (int, float)) else 0


class OpenAIResponsesWire:
    """See `base.Wire`."""

    name: ClassVar[str] = "openai-responses"
    media_type: ClassVar[str] = "text/event-stream"

    def build(self, request: GatewayRequest, model: ModelConfig, *, stream: bool = True) -> WireCall:
        """See `base.Wire.build`."""
        return build_response(request, model, stream=stream)

    def parser(self, model: ModelConfig) -> OpenAIResponsesParser:
        """See `base.Wire.parser`."""
        return OpenAIResponsesParser(model)
