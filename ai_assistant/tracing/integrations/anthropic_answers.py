"""Anthropic's answers: a message of blocks, whole or by events."""

from __future__ import annotations

from typing import Any, Final

from ai_assistant.tracing.integrations.answers import Answer
from ai_assistant.tracing.integrations.payload import Message
from ai_assistant.tracing.integrations.recording import Recording
from ai_assistant.tracing.integrations.usage import anthropic_usage, member

CALLS: Final = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})
SILENT: Final = frozenset({"thinking", "redacted_thinking"})
USAGE: Final = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "output_tokens_details",
)


class MessagesAnswer(Answer):
    """Messages. The signature of thinking, which only the provider can read, is left out."""

    def __init__(self, recording: Recording):
        super().__init__(recording)
        self.message = Message()
        self._usage: dict[str, Any] = {}
        self._thoughts = 0

    def read_chunk(self, chunk: Any) -> None:
        """See Answer."""
        kind = getattr(chunk, "type", "")
        if kind == "content_block_delta":
            self._read_delta(chunk.index, chunk.delta)
        elif kind == "content_block_start":
            self._read_start(chunk.index, chunk.content_block)
        elif kind == "message_start":
            self.model = chunk.message.model
            self._read_usage(chunk.message.usage)
        elif kind == "message_delta":
            self.finish_reason = chunk.delta.stop_reason or self.finish_reason
            self._read_usage(chunk.usage)

    def read_whole(self, response: Any) -> None:
        """See Answer."""
        self.model = getattr(response, "model", None)
        self.finish_reason = getattr(response, "stop_reason", None)
        self._read_usage(getattr(response, "usage", None))
        for index, block in enumerate(getattr(response, "content", None) or ()):
            self._read_block(index, block)

    def output(self) -> Any:
        """See Answer."""
        return self.message.value()

    def forget(self) -> None:
        """See Answer."""
        self.message = Message()

    def _read_start(self, index: int, block: Any) -> None:
        if block.type == "thinking":
            self._thoughts += 1
            if self._thoughts > 1:
                self.recording.reasoning("\n\n")
            self.recording.reasoning(block.thinking)
        elif block.type in CALLS:
            self.recording.came()
            self.message.call(index, block.id, block.name)
        elif block.type == "text":
            if block.text:
                self.message.texts.append(block.text)
        elif block.type not in SILENT:
            self.message.add_extra("blocks", block)

    def _read_delta(self, index: int, delta: Any) -> None:
        if delta.type == "text_delta":
            self.recording.came()
            self.message.texts.append(delta.text)
        elif delta.type == "thinking_delta":
            self.recording.reasoning(delta.thinking)
        elif delta.type == "input_json_delta":
            self.message.call(index, arguments=delta.partial_json)

    def _read_block(self, index: int, block: Any) -> None:
        if block.type == "text":
            self.message.texts.append(block.text)
        elif block.type == "thinking":
            self._thoughts += 1
            self.recording.whole_reasoning(("\n\n" if self._thoughts > 1 else "") + block.thinking)
        elif block.type in CALLS:
            self.message.call(index, block.id, block.name, as_json(block.input))
        elif block.type not in SILENT:
            self.message.add_extra("blocks", block)

    def _read_usage(self, usage: Any) -> None:
        """The last event repeats only what has changed."""
        found = {name: member(usage, name) for name in USAGE}
        self._usage |= {name: value for name, value in found.items() if value is not None}
        self.usage = anthropic_usage(self._usage)


def as_json(value: Any) -> str:
    """The arguments of a call, which come as data, as the text that streams and other providers give."""
    from ai_assistant.tracing.capture import as_text

    return value if isinstance(value, str) else as_text(value, 1_000_000)[0]
