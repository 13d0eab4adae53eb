"""Checks the messages of a request: OpenAI's chat form (platform.openai.com/docs/api-reference/chat/create)."""

from __future__ import annotations

from typing import Any

import msgspec

from ai_assistant.core.check import clean, kind, shown
from ai_assistant.core.errors import ValidationError

ROLES = ("system", "developer", "user", "assistant", "tool")
PART_TYPES = ("text", "image_url", "input_audio", "file", "refusal")
KEPT = frozenset(
    {"role", "content", "name", "tool_calls", "tool_call_id", "thinking_blocks", "reasoning", "reasoning_content"}
)
#: What only an assistant's message has.
ASSISTANTS = ("tool_calls", "thinking_blocks", "reasoning", "reasoning_content")
MAX_PARTS = 500
MAX_TOOL_CALLS = 128


def checked_messages(messages: Any, *, max_messages: int, max_bytes: int) -> list[dict[str, Any]]:
    """The messages, reduced to the fields that are known. Raises ValidationError naming the first wrong field."""
    if messages is None or messages == "" or messages == []:
        raise ValidationError("messages: must hold at least one message")
    if not isinstance(messages, list):
        raise ValidationError(f"messages: must be a list, not {kind(messages)}")
    if len(messages) > max_messages:
        raise ValidationError(
            f"messages: {len(messages)} messages; at most {max_messages} are allowed. Send the newest, or shorten"
        )
    kept = [checked_message(f"messages[{i}]", message) for i, message in enumerate(messages)]
    size = len(msgspec.json.encode(kept))
    if size > max_bytes:
        raise ValidationError(
            f"messages: {size / 1e6:.1f} MB in all; at most {max_bytes / 1e6:.1f} MB are allowed. Shorten them"
        )
    return kept


def checked_message(field: str, message: Any) -> dict[str, Any]:
    """One message with its known fields; `null` fields are dropped."""
    if not isinstance(message, dict):
        raise ValidationError(f"{field}: must be an object, not {kind(message)}")
    role = message.get("role")
    if role not in ROLES:
        raise ValidationError(f"{field}.role: must be one of {', '.join(ROLES)}, not {shown(role)}")
    walk(field, message)
    kept = {key: value for key, value in message.items() if key in KEPT and value is not None}
    kept["content"] = checked_content(f"{field}.content", message.get("content"))
    if role == "assistant":
        check_assistant(field, kept)
    elif kept["content"] is None:
        raise ValidationError(f"{field}.content: is missing")
    elif kept.get("tool_calls"):
        raise ValidationError(f"{field}.tool_calls: belong to an assistant's message, not to role {role!r}")
    if role == "tool":
        check_string(f"{field}.tool_call_id", kept.get("tool_call_id"), 256)
    else:
        kept.pop("tool_call_id", None)
    if role != "assistant":
        for name in ASSISTANTS:
            kept.pop(name, None)
    if "name" in kept:
        check_string(f"{field}.name", kept["name"], 256)
    return kept


def check_assistant(field: str, message: dict[str, Any]) -> None:
    """An assistant's message says something or calls a tool."""
    calls = message.get("tool_calls")
    if calls is not None:
        check_calls(f"{field}.tool_calls", calls)
        if not calls:
            del message["tool_calls"]
    blocks = message.get("thinking_blocks")
    if blocks is not None and not (isinstance(blocks, list) and all(isinstance(b, dict) for b in blocks)):
        raise ValidationError(f"{field}.thinking_blocks: must be a list of objects, as the server sent them")
    if message["content"] is None and not message.get("tool_calls"):
        raise ValidationError(f"{field}.content: is missing, and there are no tool_calls")
    for key in ("reasoning", "reasoning_content"):
        if key in message and not isinstance(message[key], str):
            raise ValidationError(f"{field}.{key}: must be a string, not {kind(message[key])}")


def checked_content(field: str, content: Any) -> str | list[dict[str, Any]] | None:
    """A string or a list of parts."""
    if content is None or isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise ValidationError(f"{field}: must be a string or a list of parts, not {kind(content)}")
    if not 1 <= len(content) <= MAX_PARTS:
        raise ValidationError(f"{field}: must hold 1 to {MAX_PARTS} parts, not {len(content)}")
    for i, part in enumerate(content):
        check_part(f"{field}[{i}]", part)
    return content


def check_part(field: str, part: Any) -> None:
    """One part of a content: its type is known and its value there."""
    if not isinstance(part, dict):
        raise ValidationError(f"{field}: must be an object, not {kind(part)}")
    type_ = part.get("type")
    if type_ not in PART_TYPES:
        raise ValidationError(f"{field}.type: must be one of {', '.join(PART_TYPES)}, not {shown(type_)}")
    value = part.get(type_)
    if type_ in ("text", "refusal"):
        if not isinstance(value, str):
            raise ValidationError(f"{field}.{type_}: must be a string, not {kind(value)}")
    elif not isinstance(value, dict):
        raise ValidationError(f"{field}.{type_}: must be an object, not {kind(value)}")
    if type_ == "image_url":
        check_image_url(f"{field}.image_url.url", value.get("url") if isinstance(value, dict) else None)


def check_image_url(field: str, url: Any) -> None:
    """Web and data URLs only: `file:` and the like would be read by whoever fetches them."""
    if not isinstance(url, str) or not url:
        raise ValidationError(f"{field}: must be a string, not {kind(url)}")
    if not url.lower().startswith(("https://", "http://", "data:image/")):
        raise ValidationError(f"{field}: must begin with https://, http:// or data:image/")


def check_calls(field: str, calls: Any) -> None:
    """The tool calls of an assistant's message."""
    if not isinstance(calls, list):
        raise ValidationError(f"{field}: must be a list, not {kind(calls)}")
    if len(calls) > MAX_TOOL_CALLS:
        raise ValidationError(f"{field}: {len(calls)} calls; at most {MAX_TOOL_CALLS} are allowed")
    for i, call in enumerate(calls):
        at = f"{field}[{i}]"
        if not isinstance(call, dict):
            raise ValidationError(f"{at}: must be an object, not {kind(call)}")
        check_string(f"{at}.id", call.get("id"), 256)
        function = call.get("function")
        if not isinstance(function, dict):
            raise ValidationError(f"{at}.function: must be an object, not {kind(function)}")
        check_string(f"{at}.function.name", function.get("name"), 256)
        if not isinstance(function.get("arguments", ""), str):
            raise ValidationError(f"{at}.function.arguments: must be a string of JSON, not an object")


def check_results(messages: list[dict[str, Any]], known: set[str] | None = None) -> None:
    """Each tool result answers a call made before it, in these messages or (`known`) in the conversation."""
    calls = set(known or ())
    for i, message in enumerate(messages):
        for call in message.get("tool_calls", ()):
            calls.add(call["id"])
        if message["role"] == "tool" and message["tool_call_id"] not in calls:
            raise ValidationError(
                f"messages[{i}].tool_call_id: no earlier assistant message has a tool call "
                f"{shown(message['tool_call_id'])}"
            )


def check_string(field: str, value: Any, max_length: int) -> None:
    """A string that is not empty and not too long."""
    if not isinstance(value, str) or not value:
        raise ValidationError(f"{field}: must be a string that is not empty, not {kind(value)}")
    if len(value) > max_length:
        raise ValidationError(f"{field}: {len(value)} characters; at most {max_length} are allowed")


def walk(field: str, value: Any, depth: int = 0) -> None:
    """Refuses NUL and lone surrogates in any string below `value`, keys too, and nesting beyond 32 levels."""
    if depth > 32:
        raise ValidationError(f"{field}: nested too deeply")
    if isinstance(value, str):
        clean(field, value)
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise ValidationError(f"{field}: keys must be strings")
            clean(field, key)
            walk(f"{field}.{key}", item, depth + 1)
    elif isinstance(value, list):
        for i, item in enumerate(value):
            walk(f"{field}[{i}]", item, depth + 1)
