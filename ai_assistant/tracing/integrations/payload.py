"""What of a request and an answer is shown: messages as messages, settings as settings, media in short."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

MEDIA_CHARS: Final = 1000
"""Strings within messages that are data and longer than this are shortened: an image would push out all else."""
CONTENT: Final = frozenset({
    "messages", "input", "instructions", "system", "prompt", "tools", "tool_choice", "functions", "function_call",
    "response_format", "text", "output_config", "prediction",
})  # fmt: skip
"""Members of a request that are its input; the rest are parameters."""
REASONING: Final = frozenset({"thinking", "redacted_thinking", "reasoning"})
UNREADABLE: Final = frozenset({"signature", "encrypted_content"})
"""Members of reasoning that only the provider can read."""
NOT_SHOWN: Final = frozenset({"model", "stream", "stream_options", "extra_headers"})
_OPEN: Final = frozenset({"NotGiven", "Omit"})
"""Classes by which the SDKs say that an argument was not given."""


def split_request(body: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The input of a request and its parameters. A request that has only messages is its messages."""
    given = {name: value for name, value in body.items() if value is not None and type(value).__name__ not in _OPEN}
    content = {name: in_short(value) for name, value in given.items() if name in CONTENT}
    parameters = {name: value for name, value in given.items() if name not in CONTENT and name not in NOT_SHOWN}
    if len(content) == 1:
        (content,) = content.values()
    return content, parameters


def listed(body: Any) -> Any:
    """The body, with iterators among its members turned into lists: they can be read only once."""
    if not isinstance(body, Mapping) or not any(isinstance(value, Iterator) for value in body.values()):
        return body
    return {name: list(value) if isinstance(value, Iterator) else value for name, value in body.items()}


def in_short(value: Any) -> Any:
    """A copy of messages in which images and files are told by kind and size, and reasoning has no signature."""
    if isinstance(value, str):
        return shortened(value) if len(value) > MEDIA_CHARS and value.startswith("data:") else value
    if isinstance(value, Mapping):
        return {
            name: shortened(item) if name == "data" and is_media(item) else in_short(item)
            for name, item in value.items()
            if not (name in UNREADABLE and value.get("type") in REASONING)
        }
    if isinstance(value, (list, tuple)):
        return [in_short(item) for item in value]
    return value


def is_media(value: Any) -> bool:
    """Whether it looks like base64 of a file: long, and one word."""
    return isinstance(value, str) and len(value) > MEDIA_CHARS and " " not in value[:MEDIA_CHARS]


def shortened(data: str) -> str:
    """`data:image/png;base64,…` as its head and its length."""
    head = data.partition(",")[0][:100] if data.startswith("data:") else "data"
    return f"<{head}: {len(data)} characters>"


class Message:
    """An assistant's message as it grows."""

    __slots__ = ("calls", "extra", "finish_reason", "texts")

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.calls: dict[Any, dict[str, Any]] = {}
        """By what the provider numbers them with: `id`, `name`, and the pieces of `arguments`."""
        self.extra: dict[str, Any] = {}
        """Other members: a refusal, results of the provider's own tools."""
        self.finish_reason: str | None = None

    def call(self, key: Any, id_: str | None = None, name: str | None = None, arguments: str | None = None) -> None:
        """A piece of a tool call."""
        known = self.calls.setdefault(key, {"id": None, "name": "", "arguments": []})
        known["id"] = id_ or known["id"]
        known["name"] = name or known["name"]
        if arguments:
            known["arguments"].append(arguments)

    def add_extra(self, name: str, piece: Any) -> None:
        """A piece of another member; text is joined, anything else listed."""
        if isinstance(piece, str):
            self.extra[name] = self.extra.get(name, "") + piece
        else:
            self.extra.setdefault(name, []).append(piece)

    def value(self) -> Any:
        """The message in OpenAI's form; only its text where there is nothing else."""
        text = "".join(self.texts) or None
        if not self.calls and not self.extra:
            return text
        found: dict[str, Any] = {"role": "assistant", "content": text}
        if self.calls:
            found["tool_calls"] = [
                {
                    "id": call["id"],
                    "type": "function",
                    "function": {"name": call["name"], "arguments": "".join(call["arguments"])},
                }
                for call in self.calls.values()
            ]
        return {**found, **self.extra}
