"""Where every wire writes what it read: keeps the promises that `chunks` makes, whatever a provider sends."""

from __future__ import annotations

import secrets
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
from ai_assistant.gateway.surrogates import SurrogateJoiner
from ai_assistant.gateway.think import ThinkSplitter


class _Call:
    """One tool call under way: its provider's key and id, and the pieces that wait for its name."""

    __slots__ = ("announced", "held", "id", "index", "joiner", "key", "name")

    def __init__(self, index: int, key: Any):
        self.index = index
        self.key = key
        self.id: str | None = None
        self.name: str | None = None
        self.held = ""
        self.announced = False
        self.joiner = SurrogateJoiner()


class ChunkWriter:
    """Collects chunks until `take`. Text passes the `<think>` splitter; tool calls get an index, id and name."""

    def __init__(self) -> None:
        self._out: list[Chunk] = []
        self._think = ThinkSplitter()
        self._calls: list[_Call] = []
        self._text = SurrogateJoiner()
        self._reasoning = SurrogateJoiner()
        self.finished = False
        self.halves = False
        """Set by a parser from the first time that characters came in halves; until then nothing looks for them."""

    @property
    def has_tool_calls(self) -> bool:
        """Whether any tool call was seen."""
        return bool(self._calls)

    def take(self) -> list[Chunk]:
        """Return the chunks written since the last call."""
        out, self._out = self._out, []
        return out

    def text(self, content: str) -> None:
        """The next piece of content, perhaps with a thinking tag in it."""
        if self.halves:
            content = self._text.feed(content)
        if not self._think.answering:
            reasoning, content = self._think.feed(content)
            if reasoning:
                self._out.append(ReasoningDelta(reasoning))
        if content:
            self._out.append(TextDelta(content))

    def reasoning(self, content: str) -> None:
        """The next piece of thinking that the provider sent apart from the content."""
        if self.halves:
            content = self._reasoning.feed(content)
        if content:
            self._out.append(ReasoningDelta(content))

    def block(self, block: dict[str, Any]) -> None:
        """A finished thinking block, to be sent back in the next turn."""
        self._out.append(ThinkingBlock(block))

    def tool_call(self, key: Any, id: str | None, name: str | None, arguments: str) -> None:
        """A piece of a tool call. `key` is the provider's index, or `None` where it has none.

        Providers differ: some repeat id and name in every piece, some send no index, some give every parallel call
        index 0, some send whole calls without any id. A new call begins with a new index, with another id, or,
        where there is neither, with a name after arguments have come.
        """
        call = self._find(key, id, name)
        if call is None:
            call = _Call(len(self._calls), key)
            self._calls.append(call)
        if self.halves:
            arguments = call.joiner.feed(arguments)
        call.id = call.id or id or None
        call.name = call.name or name or None
        if call.announced:
            if arguments:
                self._out.append(ToolCallDelta(call.index, None, None, arguments))
        elif call.name:
            self._announce(call, arguments)
        else:
            call.held += arguments

    def finish(self, reason: FinishReason, usage: Usage | None, model: str | None, **extra: Any) -> None:
        """The end: flush what was held back, then exactly one `Finish`."""
        if self.finished:
            return
        self._flush()
        if reason in ("stop", "tool_calls"):
            reason = "tool_calls" if self._calls else "stop"
        self.finished = True
        self._out.append(Finish(reason=reason, usage=usage, model=model, **extra))

    def _find(self, key: Any, id: str | None, name: str | None) -> _Call | None:
        """The call that a piece belongs to, or `None` for a new one."""
        if key is not None:
            same = [call for call in self._calls if call.key == key]
            if not same:
                return None
            if id and name and all(call.id and call.id != id for call in same):
                return None
            return next((call for call in same if id and call.id == id), same[-1])
        if id:
            known = next((call for call in self._calls if call.id == id), None)
            last = self._calls[-1] if self._calls else None
            return known or (last if last is not None and last.id is None and not name else None)
        if not self._calls or (name and self._calls[-1].announced):
            return None
        return self._calls[-1]

    def _announce(self, call: _Call, arguments: str) -> None:
        call.announced = True
        call.id = call.id or f"call_{secrets.token_hex(12)}"
        self._out.append(ToolCallDelta(call.index, call.id, call.name or "", call.held + arguments))
        call.held = ""

    def _flush(self) -> None:
        rest = self._reasoning.close()
        thought, text = self._think.feed(self._text.close())
        more, end = self._think.close()
        if rest + thought + more:
            self._out.append(ReasoningDelta(rest + thought + more))
        if text + end:
            self._out.append(TextDelta(text + end))
        for call in self._calls:
            if not call.announced:
                self._announce(call, "")


def json_arguments(value: Any) -> str:
    """Arguments as JSON text, whether a provider sent text, an object or nothing."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()
