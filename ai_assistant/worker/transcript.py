"""What one answer has brought so far."""

from __future__ import annotations

import uuid
from typing import Any

from ai_assistant.core.task import Message


class Call:
    """A tool call as it grows."""

    __slots__ = ("id", "name", "pieces")

    def __init__(self, id_: str, name: str):
        self.id = id_
        self.name = name
        self.pieces: list[str] = []

    def text(self) -> str:
        """The arguments so far: JSON once the call is whole."""
        if len(self.pieces) > 1:
            self.pieces = ["".join(self.pieces)]
        return self.pieces[0] if self.pieces else ""

    def as_dict(self) -> dict[str, Any]:
        """The call in OpenAI's form."""
        return {"id": self.id, "type": "function", "function": {"name": self.name, "arguments": self.text()}}


class Transcript:
    """Text, thinking and tool calls of an answer, as far as they were shown."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self.text_chars = 0
        self.reasoning_chars = 0
        self.calls: dict[int, Call] = {}
        self.by_id: dict[str, Call] = {}
        self.thinking_blocks: list[dict[str, Any]] = []

    def add_text(self, piece: str) -> None:
        """Adds to the answer."""
        self._text.append(piece)
        self.text_chars += len(piece)

    def add_reasoning(self, piece: str) -> None:
        """Adds to the thinking."""
        self._reasoning.append(piece)
        self.reasoning_chars += len(piece)

    def call(self, index: int, id_: str, name: str) -> Call:
        """The tool call of this index, made on first sight. Ids are kept unique within the answer."""
        call = self.calls.get(index)
        if call is None:
            if not id_ or id_ in self.by_id:
                id_ = f"call_{uuid.uuid4().hex[:24]}"
            call = self.calls[index] = self.by_id[id_] = Call(id_, name)
        elif name and not call.name:
            call.name = name
        return call

    def ordered_calls(self) -> list[Call]:
        """The calls in the order of their index."""
        return [self.calls[index] for index in sorted(self.calls)]

    def text(self) -> str:
        """The answer so far."""
        self._text = ["".join(self._text)]
        return self._text[0]

    def reasoning(self) -> str:
        """The thinking so far."""
        self._reasoning = ["".join(self._reasoning)]
        return self._reasoning[0]

    def tool_calls(self) -> list[dict[str, Any]]:
        """The calls in OpenAI's form."""
        return [call.as_dict() for call in self.ordered_calls()]

    def message(self) -> Message:
        """The assistant's message as it stands."""
        return Message(
            content=self.text(),
            reasoning=self.reasoning(),
            tool_calls=self.tool_calls(),
            thinking_blocks=self.thinking_blocks,
        )

    def copy(self) -> Transcript:
        """The transcript as it is now; texts are shared, not doubled."""
        other = Transcript()
        other._text, other._reasoning = [self.text()], [self.reasoning()]
        other.text_chars, other.reasoning_chars = self.text_chars, self.reasoning_chars
        for index, call in self.calls.items():
            twin = Call(call.id, call.name)
            twin.pieces = [call.text()]
            other.calls[index] = other.by_id[call.id] = twin
        return other
