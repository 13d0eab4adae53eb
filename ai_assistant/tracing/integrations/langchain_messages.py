"""Messages and states of LangChain and LangGraph as plain values. Tells them by their class's name, imports nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ai_assistant.tracing.capture import as_text
from ai_assistant.tracing.integrations.payload import Message, in_short
from ai_assistant.tracing.integrations.recording import Recording

ROLES: Final = {"human": "user", "ai": "assistant", "AIMessageChunk": "assistant"}
THOUGHTS: Final = {"thinking": "thinking", "reasoning": "reasoning"}
"""Kinds of content blocks that are reasoning, and the member that holds the text."""
MAX_DEPTH: Final = 6
MAX_ITEMS: Final = 500
ARGUMENT_CHARS: Final = 100_000


def is_a(value: Any, name: str) -> bool:
    """Whether a class of this name is among the value's."""
    return any(base.__name__ == name for base in type(value).__mro__)


def plain(value: Any, depth: int = 0) -> Any:
    """A state, an update or a result, with its messages and commands as data; bounded in depth and breadth."""
    if isinstance(value, (str, int, float, bool, type(None))) or depth > MAX_DEPTH:
        return value
    if isinstance(value, Mapping):
        return {name: plain(item, depth + 1) for name, item in list(value.items())[:MAX_ITEMS]}
    if isinstance(value, (list, tuple)):
        return [plain(item, depth + 1) for item in value[:MAX_ITEMS]]
    if is_a(value, "BaseMessage"):
        return message_value(value)
    if is_a(value, "Document"):
        return {"content": value.page_content, "metadata": value.metadata}
    if type(value).__name__ in ("Command", "Send", "Interrupt") and hasattr(value, "__dict__"):
        said = {name: plain(item, depth + 1) for name, item in vars(value).items() if item not in (None, ())}
        return {type(value).__name__: said}
    if is_a(value, "BasePromptValue") or is_a(value, "PromptValue"):
        return [message_value(message) for message in value.to_messages()]
    return value


def message_value(message: Any) -> dict[str, Any]:
    """A message in OpenAI's form."""
    kind = getattr(message, "type", "")
    role = getattr(message, "role", None) if kind == "chat" else ROLES.get(kind, kind)
    found: dict[str, Any] = {"role": role, "content": in_short(message.content)}
    calls = getattr(message, "tool_calls", None)
    if calls:
        found["tool_calls"] = [call_value(call) for call in calls]
    for name in ("tool_call_id", "name"):
        if getattr(message, name, None):
            found[name] = getattr(message, name)
    return found


def call_value(call: Mapping[str, Any]) -> dict[str, Any]:
    """A tool call in OpenAI's form."""
    arguments = call.get("args")
    text = arguments if isinstance(arguments, str) else as_text(arguments or {}, ARGUMENT_CHARS)[0]
    return {"id": call.get("id"), "type": "function", "function": {"name": call.get("name"), "arguments": text}}


def read_answer(message: Any, into: Message) -> None:
    """The text and the calls of an assistant's message; calls only of a whole one."""
    for text in texts_of(message.content):
        into.texts.append(text)
    for index, call in enumerate(getattr(message, "tool_calls", None) or ()):
        said = call_value(call)
        into.call(index, said["id"], said["function"]["name"], said["function"]["arguments"])


def texts_of(content: Any) -> list[str]:
    """The pieces of text of a message's content."""
    if isinstance(content, str):
        return [content] if content else []
    if not isinstance(content, list):
        return []
    blocks = [block for block in content if isinstance(block, Mapping) and block.get("type") == "text"]
    plain_texts = [block for block in content if isinstance(block, str)]
    return plain_texts + [str(block.get("text") or "") for block in blocks]


def thoughts_of(message: Any) -> list[str]:
    """The pieces of reasoning of a message: blocks of its content, or what providers put beside it."""
    beside = getattr(message, "additional_kwargs", None) or {}
    if isinstance(beside.get("reasoning_content"), str):
        return [beside["reasoning_content"]] if beside["reasoning_content"] else []
    found: list[str] = []
    for block in message.content if isinstance(message.content, list) else ():
        member = THOUGHTS.get(block.get("type", "")) if isinstance(block, Mapping) else None
        if member and isinstance(block.get(member), str) and block[member]:
            found.append(block[member])
        elif member:
            summary = block.get("summary")
            found += [part["text"] for part in summary if part.get("text")] if isinstance(summary, list) else []
    return found


def read_thoughts(message: Any, recording: Recording, *, streamed: bool) -> None:
    """Reasoning of a piece of a stream, or of a whole message."""
    for text in thoughts_of(message):
        if streamed:
            recording.reasoning(text)
        else:
            recording.whole_reasoning(text)
