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
    system = system_messages(request, mode, past)
    if not past:
        return Prompt(system + request.messages)
    head, past, new = divided(past, request.messages)
    if window is None:
        return Prompt(system + head + past + new)
    reserve = request.max_tokens or int(window * ANSWER_SHARE)
    budget = window - min(reserve, window // 2) - count(system + head + new)
    kept = newest_turns(past, budget, count)
    if len(kept) < len(past):
        kept = newest_turns(past, budget - count([omission(len(past))]), count)
    trimmed = len(past) - len(kept)
    note = [omission(trimmed)] if trimmed else []
    return Prompt(system + head + note + kept + new, trimmed)


def divided(past: Messages, new: Messages) -> tuple[Messages, Messages, Messages]:
    """System messages, what may be left out, and what may not: the request's messages and, where these begin with
    results of tools, the calls that they answer."""
    messages = answered(past + new)
    first_new = len(past)
    if messages[first_new]["role"] == "tool":
        first_new = max(i for i in range(first_new) if messages[i].get("tool_calls"))
    head: Messages = []
    for message in messages:
        if is_system(message) and message not in head:  # clients send theirs with each turn
            head.append(message)
    old, rest = messages[:first_new], messages[first_new:]
    return head, [m for m in old if not is_system(m)], [m for m in rest if not is_system(m)]


def is_system(message: dict[str, Any]) -> bool:
    """Whether a message tells the model how to behave."""
    return message["role"] in ("system", "developer")


def system_messages(request: ChatRequest, mode: Mode | None, past: Messages) -> Messages:
    """The mode's prompt, unless a message of the request or the history is a system message already."""
    if not mode or not mode.system_prompt:
        return []
    if any(is_system(message) for message in past + request.messages):
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
    """The messages without tool calls that were not answered at once, and without results of calls that are not
    there: providers refuse both. What is left over is told as text; the number of messages stays the same."""
    kept: Messages = []
    at = 0
    while at < len(messages):
        message = messages[at]
        if message["role"] == "tool":
            kept.append(told(message))
            at += 1
            continue
        run = results_behind(messages, at)
        kept += with_results(message, run)
        at += 1 + len(run)
    return kept


def results_behind(messages: Messages, at: int) -> Messages:
    """The results of tools directly behind a message."""
    end = at + 1
    while end < len(messages) and messages[end]["role"] == "tool":
        end += 1
    return messages[at + 1 : end]


def with_results(message: dict[str, Any], run: Messages) -> Messages:
    """A message and the results behind it: those of its calls first, each once, then the rest as text."""
    calls = {call["id"] for call in message.get("tool_calls", ())}
    results = {result["tool_call_id"]: result for result in reversed(run) if result["tool_call_id"] in calls}
    if calls and calls == results.keys():
        ours = [result for result in run if result is results.get(result["tool_call_id"])]
    else:
        ours = []
        message = not_run(message) if calls else message
    return [message, *ours, *(told(result) for result in run if not any(result is each for each in ours))]


def told(result: dict[str, Any]) -> dict[str, Any]:
    """A result that no call waits for, as text."""
    return {"role": "user", "content": result["content"]}


def not_run(message: dict[str, Any]) -> dict[str, Any]:
    """A message whose tool calls nobody answered, as text."""
    names = ", ".join(call["function"]["name"] for call in message["tool_calls"])
    return {"role": "assistant", "content": message.get("content") or f"[Called {names}; not run.]"}


def newest_turns(past: Messages, budget: int, count: Count) -> Messages:
    """As many whole turns as fit `budget` tokens, the newest first to be kept. A turn begins with a user's message,
    so that no tool result loses its call. Of a newest turn that is too long by itself (an agent's, with many
    calls), the user's message is kept and as many of the last steps as fit."""
    starts = sorted({0} | {i for i, m in enumerate(past) if m["role"] == "user"})
    begin, left = len(past), budget
    for start in reversed(starts):
        left -= count(past[start:begin])
        if left < 0:
            break
        begin = start
    if begin < len(past) or not past:
        return past[begin:]
    return newest_steps(past[starts[-1] :], budget, count)


def newest_steps(turn: Messages, budget: int, count: Count) -> Messages:
    """The first message of a turn and the last of its steps: an assistant's message with the results of its calls."""
    asked = turn[:1] if turn[0]["role"] == "user" else []
    budget -= count(asked)
    if budget < 0:
        return []
    begin = len(turn)
    for i in range(len(turn) - 1, len(asked) - 1, -1):
        if turn[i]["role"] == "tool":
            continue
        budget -= count(turn[i:begin])
        if budget < 0:
            break
        begin = i
    return asked + turn[begin:]


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
