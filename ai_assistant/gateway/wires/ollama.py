"""Ollama `/api/chat`: one JSON object per line.

Source: https://github.com/ollama/ollama/blob/main/docs/api.md
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from ai_assistant.core.model import ModelConfig
from ai_assistant.core.usage import Usage
from ai_assistant.gateway.chunks import Chunk
from ai_assistant.gateway.dialects.ollama import build_ollama
from ai_assistant.gateway.failures import from_error_object
from ai_assistant.gateway.lines import LineSplitter
from ai_assistant.gateway.request import GatewayRequest
from ai_assistant.gateway.wires.base import BodyParser, WireCall
from ai_assistant.gateway.writer import json_arguments


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: Any = None


class _ToolCall(msgspec.Struct):
    function: _Function | None = None
    id: str | None = None


class _Message(msgspec.Struct):
    content: str | None = None
    thinking: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Line(msgspec.Struct):
    model: str | None = None
    message: _Message | None = None
    done: bool = False
    done_reason: str | None = None
    prompt_eval_count: int | None = None
    eval_count: int | None = None
    error: Any = None


_LINE = msgspec.json.Decoder(_Line)


class OllamaParser(BodyParser):
    """Reads lines up to the one with `done`."""

    def __init__(self, model: ModelConfig):
        super().__init__(model)
        self._lines = LineSplitter()

    @property
    def finishing(self) -> bool:
        """See `WireParser.finishing`: the last line says everything."""
        return self.writer.finished

    def feed(self, data: bytes) -> list[Chunk]:
        """See `WireParser.feed`."""
        return self.guard(lambda: self._take(self._lines.feed(data)))

    def close(self) -> list[Chunk]:
        """See `WireParser.close`."""
        return self.guard(self._close)

    def on_body(self, body: bytes) -> None:
        """See `BodyParser.on_body`."""
        self._read(body)
        if not self.writer.finished:
            self.cut()

    def _close(self) -> None:
        self._take([self._lines.close()])
        if not self.writer.finished:
            self.cut()

    def _take(self, lines: list[bytes]) -> None:
        for line in lines:
            if line.strip() and not self.writer.finished:
                self._read(line)

    def _read(self, data: bytes) -> None:
        line: _Line = self.decode(_LINE, data)
        if line.error:
            raise from_error_object(self.model, line.error)
        message = line.message
        if message is not None:
            self.writer.reasoning(message.thinking or message.reasoning_content or "")
            if message.content:
                self.writer.text(message.content)
            for call in message.tool_calls or ():
                function = call.function or _Function()
                arguments = json_arguments(function.arguments) or "{}"
                self.writer.tool_call(None, call.id or None, function.name or "", arguments)
        if line.done:
            self._finish(line)

    def _finish(self, line: _Line) -> None:
        prompt, completion = line.prompt_eval_count or 0, line.eval_count or 0
        usage = Usage(prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion)
        reason = "length" if line.done_reason == "length" else "stop"
        self.writer.finish(reason, usage if completion else None, line.model)


class OllamaWire:
    """See `base.Wire`."""

    name: ClassVar[str] = "ollama"
    media_type: ClassVar[str] = "application/x-ndjson"

    def build(self, request: GatewayRequest, model: ModelConfig, *, stream: bool = True) -> WireCall:
        """See `base.Wire.build`."""
        return build_ollama(request, model, stream=stream)

    def parser(self, model: ModelConfig) -> OllamaParser:
        """See `base.Wire.parser`."""
        return OllamaParser(model)
