"""OpenAI chat messages as Anthropic's: two roles that alternate, everything a block."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

import msgspec

from ai_assistant.gateway.parts import Media, invalid, read_parts, text_of

_NOT_IN_ID = re.compile(r"[^A-Za-z0-9_-]")
_SYSTEM = ("system", "developer")


def split_system(messages: list[dict[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
    """The system texts, joined, and the other messages with their index kept as `_n`."""
    system = []
    rest = []
    for n, message in enumerate(messages):
        if message["role"] in _SYSTEM:
            system.append(text_of(message.get("content"), f"messages[{n}].content"))
        else:
            rest.append({**message, "_n": n})
    return "\n\n".join(text for text in system if text), rest


def to_messages(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Messages with alternating roles, the first one a user's. Tool results become blocks of the user's next
    message, parallel ones of the same message. Raises for parts that Anthropic does not take."""
    out: list[dict[str, Any]] = []
    for message in messages:
        role = "assistant" if message["role"] == "assistant" else "user"
        blocks = _blocks(message, f"messages[{message['_n']}]")
        if out and out[-1]["role"] == role:
            out[-1]["content"].extend(blocks)
        elif blocks:
            out.append({"role": role, "content": blocks})
    if not out:
        raise invalid("messages", "hold nothing but system texts; add a user message")
    if out[0]["role"] == "assistant":
        out.insert(0, {"role": "user", "content": [{"type": "text", "text": "…"}]})
    _trim_prefill(out)
    return out


def used_tools(messages: list[dict[str, Any]]) -> list[str]:
    """Names of the tools that the conversation has called, each once."""
    names = {call["function"]["name"]: None for message in messages for call in message.get("tool_calls") or ()}
    return list(names)


def _trim_prefill(messages: list[dict[str, Any]]) -> None:
    """A last message of the assistant's own must not end in white space."""
    last = messages[-1]
    if last["role"] == "assistant" and last["content"][-1]["type"] == "text":
        last["content"][-1]["text"] = last["content"][-1]["text"].rstrip() or "…"


def _blocks(message: dict[str, Any], where: str) -> list[dict[str, Any]]:
    content = f"{where}.content"
    if message["role"] == "tool":
        return [_tool_result(message, content)]
    blocks = _content(message.get("content"), content)
    if message["role"] == "assistant":
        blocks = _thinking(message) + blocks
        blocks += [_tool_use(call) for call in message.get("tool_calls") or ()]
    return blocks


def _thinking(message: dict[str, Any]) -> list[dict[str, Any]]:
    """Anthropic's own thinking blocks, which must come first; those of other providers mean nothing here. A block
    without a signature was cut short and would be refused."""
    return [
        block
        for block in message.get("thinking_blocks") or ()
        if block.get("type") == "redacted_thinking" or (block.get("type") == "thinking" and block.get("signature"))
    ]


def _tool_use(call: dict[str, Any]) -> dict[str, Any]:
    function = call["function"]
    return {
        "type": "tool_use",
        "id": _id(call.get("id")),
        "name": function["name"],
        "input": _input(function.get("arguments")),
    }


def _input(arguments: Any) -> dict[str, Any]:
    """Arguments as the object that Anthropic wants. A model may have written broken JSON: it is kept as text."""
    if isinstance(arguments, dict):
        return arguments
    try:
        value = msgspec.json.decode(arguments or "{}")
    except (msgspec.MsgspecError, UnicodeEncodeError):
        value = arguments
    return value if isinstance(value, dict) else {"arguments": value}


def _tool_result(message: dict[str, Any], where: str) -> dict[str, Any]:
    block: dict[str, Any] = {"type": "tool_result", "tool_use_id": _id(message.get("tool_call_id"))}
    content = _content(message.get("content"), where)
    if content:
        block["content"] = content
    return block


def _id(value: Any) -> str:
    """Ids of other providers may hold characters that Anthropic refuses."""
    return _NOT_IN_ID.sub("_", str(value or "call"))


def _content(content: Any, where: str) -> list[dict[str, Any]]:
    """Parts as blocks; empty texts are left out, for Anthropic refuses them."""
    blocks = []
    for part in read_parts(content, where):
        if isinstance(part, Media):
            blocks.append(_media(part))
        elif part.strip():
            blocks.append({"type": "text", "text": part})
    return blocks


def _media(media: Media) -> dict[str, Any]:
    if media.kind == "audio":
        raise invalid(media.where, "Anthropic's models take no sound; send a text")
    if media.kind == "image":
        return {"type": "image", "source": _source(media)}
    block: dict[str, Any] = {"type": "document", "source": _source(media)}
    if media.filename:
        block["title"] = media.filename
    return block


def _source(media: Media) -> dict[str, Any]:
    if media.url:
        return {"type": "url", "url": media.url}
    if media.file_id:
        return {"type": "file", "file_id": media.file_id}
    if media.kind == "file" and (media.mime or "").startswith("text/"):
        return {"type": "text", "media_type": "text/plain", "data": _plain(media)}
    return {"type": "base64", "media_type": media.mime, "data": media.data}


def _plain(media: Media) -> str:
    try:
        return base64.b64decode(media.data or "").decode("utf-8")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise invalid(media.where, "file_data of a text file must be base64 of UTF-8 text") from error
