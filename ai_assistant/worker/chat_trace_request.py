"""What a trace keeps of a request as it went to the provider: everything but media, which are told by their size."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from ai_assistant.gateway.observer import Sent

MAX_CHARS: Final = 256 * 1024
"""Characters of a request that are kept; of a longer one its beginning and its newest messages."""
_CONVERSATION: Final = ("messages", "input")
_CONTENT: Final = frozenset(
    {*_CONVERSATION, "system", "instructions", "tools", "response_format", "text", "format", "stop", "stop_sequences"}
    | {"prompt", "prediction", "suffix", "contents"}
)
"""Members of a body, in any dialect, that hold what somebody wrote."""
_OPAQUE_NAMES: Final = frozenset({"data", "file_data", "images", "signature", "encrypted_content"})
_OPAQUE = re.compile(r"[A-Za-z0-9+/_-]{200,}={0,2}")
_DATA_URL = re.compile(r"data:[^,\s]{0,200};base64,")
_MAX_WORD: Final = 64
_MAX_DEPTH: Final = 60

_encode = msgspec.json.encode


class KeptRequest(msgspec.Struct, kw_only=True):
    """What a generation's observation says of its request."""

    metadata: dict[str, Any]
    body: dict[str, Any] | None = None
    """`None` where content is not traced."""
    is_cut: bool = False


def kept_request(sent: Sent, *, with_content: bool) -> KeptRequest:
    """What is kept of a request. Takes milliseconds for a large one."""
    document = sent.document()
    conversation = next((document[name] for name in _CONVERSATION if isinstance(document.get(name), list)), [])
    metadata: dict[str, Any] = {"url": sent.url, "parameters": parameters_of(document), "messages": len(conversation)}
    if sent.size is not None:
        metadata["request_bytes"] = sent.size
    if names := tool_names(document.get("tools")):
        metadata["tools"] = names
    kept = KeptRequest(metadata=metadata)
    if with_content:
        body = without_media(document)
        is_large = sent.size is None or sent.size > MAX_CHARS // 4
        kept.body, kept.is_cut = shortened(body, MAX_CHARS) if is_large else (body, False)
    return kept


def parameters_of(document: dict[str, Any]) -> dict[str, Any]:
    """The model and its parameters: numbers, switches and short words, none of what somebody wrote."""
    found: dict[str, Any] = {}
    for name, value in document.items():
        if name in _CONTENT:
            continue
        if isinstance(value, dict):
            value = {key: item for key, item in value.items() if _is_word(item)}
        if value not in (None, {}) and (isinstance(value, dict) or _is_word(value)):
            found[name] = value
    return found


def _is_word(value: Any) -> bool:
    return isinstance(value, (bool, int, float)) or (isinstance(value, str) and len(value) <= _MAX_WORD)


def tool_names(tools: Any) -> list[str]:
    """The names of the tools that the model was offered, in any dialect."""
    names = []
    for tool in tools if isinstance(tools, list) else ():
        function = tool.get("function") if isinstance(tool, dict) else None
        name = (function if isinstance(function, dict) else tool).get("name") if isinstance(tool, dict) else None
        if isinstance(name, str):
            names.append(name)
    return names


def without_media(value: Any, name: str = "", depth: int = 0) -> Any:
    """A copy of messages or of a body in which images, files, audio and signatures are told by their size; what is
    passed by reference stays."""
    if isinstance(value, str):
        return _told(value, name)
    if depth > _MAX_DEPTH:
        return "…"
    if isinstance(value, dict):
        return {key: without_media(item, key, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [without_media(item, name, depth + 1) for item in value]
    return value


def _told(text: str, name: str) -> str:
    if text.startswith("data:") and (head := _DATA_URL.match(text)):
        return f"{head[0]}[{_bytes_of(len(text) - head.end(), text)} bytes]"
    if name in _OPAQUE_NAMES and _OPAQUE.fullmatch(text):
        return f"[{_bytes_of(len(text), text)} bytes]"
    return text


def _bytes_of(chars: int, text: str) -> int:
    """Bytes that so many characters of base64 stand for."""
    return chars * 3 // 4 - text.count("=", max(0, len(text) - 2))


def shortened(body: dict[str, Any], limit: int) -> tuple[dict[str, Any], bool]:
    """The body with as many of its newest messages as fit into some `limit` characters, and whether some were left
    out. The first message is kept too: it often says how the model is to behave."""
    name = next((name for name in _CONVERSATION if isinstance(body.get(name), list)), None)
    if name is None:
        return body, False
    messages = body[name]
    sizes = [len(_encode(message)) for message in messages]
    room = limit - len(_encode({**body, name: []})) - 100
    if sum(sizes) + len(sizes) <= room:
        return body, False
    room -= sizes[0]
    at = len(messages)
    while at > 1 and room >= sizes[at - 1]:
        at -= 1
        room -= sizes[at] + 1
    at = min(at, len(messages) - 1)  # the newest in any case: the recorder cuts within it
    if at <= 1:
        return body, False
    left_out = {"role": "…", "content": f"[{at - 1} messages left out]"}
    return {**body, name: [messages[0], left_out, *messages[at:]]}, True
