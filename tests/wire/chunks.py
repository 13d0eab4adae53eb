"""Pieces of a provider's stream: OpenAI's chat completions as server-sent events
(platform.openai.com/docs/api-reference/chat-streaming), with `reasoning_content` as DeepSeek and vLLM send it."""

from __future__ import annotations

import json
from typing import Any

DONE = b"data: [DONE]\n\n"


def sse(data: Any, event: str | None = None) -> bytes:
    """One server-sent event."""
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {json.dumps(data)}\n\n".encode()


def piece(delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
    """A chunk with one choice."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return sse({**_frame(), "choices": [choice]})


def text(content: str) -> bytes:
    """A piece of the answer."""
    return piece({"content": content})


def thought(content: str) -> bytes:
    """A piece of the reasoning."""
    return piece({"reasoning_content": content})


def tool(index: int, arguments: str, id: str | None = None, name: str | None = None) -> bytes:
    """A piece of a tool call; the first one of a call bears `id` and `name`."""
    call: dict[str, Any] = {"index": index, "function": {"arguments": arguments}}
    if id is not None:
        call |= {"id": id, "type": "function"}
        call["function"]["name"] = name
    return piece({"tool_calls": [call]})


def finish(reason: str = "stop") -> bytes:
    """The chunk that says why the answer ended."""
    return piece({}, reason)


def used(prompt: int, completion: int, *, reasoning: int = 0, cached: int = 0) -> bytes:
    """The chunk with the usage."""
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "completion_tokens_details": {"reasoning_tokens": reasoning},
        "prompt_tokens_details": {"cached_tokens": cached},
    }
    return sse({**_frame(), "choices": [], "usage": usage})


def answer(
    content: str = "Hello there.", *, reasoning: str = "", usage: tuple[int, int] | None = (11, 7)
) -> list[bytes]:
    """A whole answer in pieces of five characters."""
    steps = [thought(part) for part in cut(reasoning)] + [text(part) for part in cut(content)]
    return [*steps, finish(), *([used(*usage)] if usage else []), DONE]


def calls(*wanted: tuple[str, str, str]) -> list[bytes]:
    """An answer that calls tools: `(id, name, arguments)` each, the arguments in pieces."""
    steps: list[bytes] = []
    for index, (id, name, arguments) in enumerate(wanted):
        steps.append(tool(index, "", id, name))
        steps += [tool(index, part) for part in cut(arguments)]
    return [*steps, finish("tool_calls"), used(20, 10), DONE]


def cut(content: str, length: int = 5) -> list[str]:
    """`content` in pieces of `length` characters."""
    return [content[at : at + length] for at in range(0, len(content), length)]


def _frame() -> dict[str, Any]:
    return {"id": "chatcmpl-wire", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "scripted"}
