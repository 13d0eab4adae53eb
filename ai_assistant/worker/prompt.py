"""What the model is sent: the mode's system prompt, the conversation's history as far as it fits, the new messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from ai_assistant.core.chat import ChatRequest
from ai_assistant.core.conversation import StoredMessage
from ai_assistant.core.errors import ChatError, ValidationError
from ai_assistant.core.messages import check_results
from ai_assistant.core.settings import Mode
from ai_assistant.gateway.request import GatewayRequest

Messages = list[dict[str, Any]]
Count = Callable[[Messages], int]

ANSWER_SHARE = 0.25
"""Of the context window, kept free for the answer where the request sets no `max_tokens`."""
KNOWN = ("temperature", "max_tokens", "reasoning_effort", "tools", "tool_choice", "response_format", "stop")


class Prompt(msgspec.Struct):
    """The messages for the model, and how many of the conversation's were left out."""

    messages: Messages
    trimmed: int = 0


def compose(
    request: ChatRequest, mode: Mode | None, history: list[StoredMessage], window: int | None, count: Count
) -> Prompt:
    """The prompt of a task. Raises ChatError `invalid_request` for a tool result that answers no call."""
    past = [as_chat(message) for message in history if is_told(message)]
    check_calls_known(request, past)
    past = answered(past + request.messages)[: len(past)] if past else past
    system = system_messages(request, mode, past)
    if window is None or not past:
        return Prompt(system + past + request.messages)
    reserve = request.max_tokens or int(window * ANSWER_SHARE)
    budget = window - min(reserve, window // 2) - count(system + request.messages)
    kept = newest_turns(past, budget, count)
    trimmed = len(past) - len(kept)
    note = [omission(trimmed)] if trimmed else []
    return Prompt(system + note + kept + request.messages, trimmed)


def system_messages(request: ChatRequest, mode: Mode | None, past: Messages) -> Messages:
    """The mode's prompt, unless a message of the request or the history is a system message already."""
    if not mode or not mode.system_prompt:
        return []
    if any(message["role"] in ("system", "developer") for message in past + request.messages):
        return []
    return [{"role": "system", "content": mode.system_prompt}]


def omission(trimmed: int) -> dict[str, Any]:
    """Tells the model that it does not see all."""
    return {"role": "system", "content": f"[The {trimmed} oldest messages of this conversation were left out.]"}


def is_told(message: StoredMessage) -> bool:
    """Whether a message is part of what the model is told: not the placeholder of a running or empty answer."""
    return message.status != "streaming" and bool(message.content or message.tool_calls)


def as_chat(message: StoredMessage) -> dict[str, Any]:
    """A stored message in OpenAI's form."""
    chat: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        chat["tool_calls"] = message.tool_calls
        chat["content"] = message.content or None
        if message.thinking_blocks:
            chat["thinking_blocks"] = message.thinking_blocks
    if message.tool_call_id:
        chat["tool_call_id"] = message.tool_call_id
    return chat


def check_calls_known(request: ChatRequest, past: Messages) -> None:
    """A tool result of the request answers a call of the conversation."""
    known = {call["id"] for message in past for call in message.get("tool_calls", ())}
    try:
        check_results(request.messages, known)
    except ValidationError as error:
        raise ChatError("invalid_request", error.message) from None


def answered(messages: Messages) -> Messages:
    """The messages without tool calls that were never answered, and without results of calls that are not there:
    providers refuse both. The number of messages stays the same."""
    results = {message.get("tool_call_id") for message in messages if message["role"] == "tool"}
    kept: Messages = []
    for message in messages:
        calls = message.get("tool_calls")
        if calls and not all(call["id"] in results for call in calls):
            content = message.get("content") or f"[Called {', '.join(c['function']['name'] for c in calls)}; not run.]"
            message = {"role": "assistant", "content": content}
        kept.append(message)
    alive = {call["id"] for message in kept for call in message.get("tool_calls", ())}
    return [
        m if m["role"] != "tool" or m.get("tool_call_id") in alive else {"role": "user", "content": m["content"]}
        for m in kept
    ]


def newest_turns(past: Messages, budget: int, count: Count) -> Messages:
    """As many whole turns as fit `budget` tokens, the newest first to be kept. A turn begins with a user's message,
    so that no tool result loses its call. System messages at the start are kept always."""
    head = [m for m in past if m["role"] in ("system", "developer")]
    budget -= count(head) if head else 0
    rest = [m for m in past if m["role"] not in ("system", "developer")]
    starts = [i for i, m in enumerate(rest) if m["role"] == "user"] or [0]
    begin = len(rest)
    for start in reversed(starts):
        budget -= count(rest[start:begin])
        if budget < 0:
            break
        begin = start
    return head + rest[begin:]


def gateway_request(request: ChatRequest, messages: Messages, mode: Mode | None) -> GatewayRequest:
    """What the gateway is asked: the request's own parameters, then the mode's. Those of the model come last; the
    gateway adds them for each model that it tries."""
    defaults = dict(mode.parameters) if mode else {}
    known = {name: defaults.pop(name, None) for name in KNOWN}
    for name in KNOWN:
        value = getattr(request, name)
        if value is not None:
            known[name] = value
    if isinstance(known["stop"], str):
        known["stop"] = [known["stop"]]
    return GatewayRequest(messages=messages, extra=defaults, **known)
