"""What of a request and an answer is shown: messages as messages, settings as settings, media in short."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

MEDIA_CHARS: Final = 1000
"""Files within messages that are longer than this are shortened: an image would push out all else."""
DATA_URL: Final = re.compile(r"data:[\w.+-]*/?[\w.+-]*(?:;[\w=.+-]+)*;base64,")
FILE_KINDS: Final = frozenset({"media_type", "mime_type", "mimeType", "format", "source_type"})
"""What tells the kind of a file, beside the file itself."""
FILE_MEMBERS: Final = frozenset({"data", "base64"})
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
        return shortened(value) if len(value) > MEDIA_CHARS and DATA_URL.match(value) else value
    if isinstance(value, Mapping):
        is_medium = not FILE_KINDS.isdisjoint(value)
        left_out = UNREADABLE if value.get("type") in REASONING else ()
        return {
            name: shortened(item) if is_medium and name in FILE_MEMBERS else in_short(item)
            for name, item in value.items()
            if name not in left_out
        }
    if isinstance(value, (list, tuple)):
        return [in_short(item) for item in value]
    return value


def shortened(data: Any) -> Any:
    """Long `data:image/png;base64,…` or base64 alone as its kind and its length."""
    if not isinstance(data, str) or len(data) <= MEDIA_CHARS:
        return data
    head = DATA_URL.match(data)
    return f"<{head[0].rstrip(',') if head else 'data'}: {len(data)} characters>"


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
