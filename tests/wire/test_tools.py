"""The client's tools: calls come out, results go back, signed thinking goes back with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from .chunks import answer, calls, sse, text
from .client import Client
from .events import checked
from .script import Script

Ask = Callable[..., tuple[dict[str, Any], Script]]
Scripts = Callable[..., Script]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a town",
        "parameters": {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]},
    },
}
CLOCK = {"type": "function", "function": {"name": "clock", "parameters": {"type": "object", "properties": {}}}}
PARIS = '{"town": "Paris", "units": "celsius"}'


def test_a_tool_call_completes_the_task(user: Client, ask: Ask) -> None:
    task, played = ask(calls(("call_1", "weather", PARIS)), tools=[WEATHER], tool_choice="auto")
    assert (task["status"], task["finish_reason"]) == ("completed", "tool_calls")
    (call,) = task["message"]["tool_calls"]
    assert (call["id"], call["type"]) == ("call_1", "function")
    assert call["function"] == {"name": "weather", "arguments": PARIS}
    assert played.calls[0].body["tools"] == [WEATHER]
    assert played.calls[0].body["tool_choice"] == "auto"


def test_its_events_build_up_the_arguments(user: Client, ask: Ask) -> None:
    task, _ = ask([text("Let me look. "), *calls(("call_1", "weather", PARIS))], tools=[WEATHER])
    record = checked(user.events(task["task_id"]), task["task_id"])
    pieces = [event for event in record.of("tool_call") if event["partial"]]
    assert "".join(event["arguments"] for event in pieces) == PARIS
    assert {event["tool_call_id"] for event in pieces} == {"call_1"}
    closed = record.calls["call_1"]
    assert (closed["name"], closed["arguments"], closed["partial"]) == ("weather", PARIS, False)
    assert record.end["tool_calls"] == task["message"]["tool_calls"]
    assert record.text == "Let me look. "


def test_several_calls_in_one_answer(user: Client, ask: Ask) -> None:
    wanted = (("call_a", "weather", PARIS), ("call_b", "clock", "{}"), ("call_c", "weather", '{"town":"Rome"}'))
    task, _ = ask(calls(*wanted), tools=[WEATHER, CLOCK])
    found = [(c["id"], c["function"]["name"], c["function"]["arguments"]) for c in task["message"]["tool_calls"]]
    assert found == list(wanted)
    checked(user.events(task["task_id"]))


def test_results_go_back_in_the_next_call(user: Client, ask: Ask, script: Scripts) -> None:
    task, _first = ask(calls(("call_1", "weather", PARIS)), tools=[WEATHER])
    played = script(answer("18 degrees."))
    history = [
        *played.messages("What is the weather?"),
        {"role": "assistant", "content": None, "tool_calls": task["message"]["tool_calls"]},
        {"role": "tool", "tool_call_id": "call_1", "content": '{"celsius": 18}'},
    ]
    after = user.chat(history, tools=[WEATHER])
    assert (after["finish_reason"], after["message"]["content"]) == ("stop", "18 degrees.")
    *_, said, result = played.calls[0].body["messages"]
    assert said["tool_calls"][0]["id"] == "call_1"
    assert json.loads(said["tool_calls"][0]["function"]["arguments"]) == json.loads(PARIS)
    assert (result["role"], result["tool_call_id"], result["content"]) == ("tool", "call_1", '{"celsius": 18}')


def test_the_message_of_a_task_can_be_sent_back_as_it_is(user: Client, ask: Ask, script: Scripts) -> None:
    task, _ = ask(calls(("call_1", "clock", "{}")), tools=[CLOCK])
    played = script(answer("Noon."))
    result = {"role": "tool", "tool_call_id": "call_1", "content": "12:00"}
    after = user.chat([*played.messages(), task["message"], result], tools=[CLOCK])
    assert after["message"]["content"] == "Noon."


def claude(kind: str, **fields: Any) -> bytes:
    """An event of Anthropic's Messages stream (docs.anthropic.com/en/api/messages-streaming)."""
    return sse({"type": kind, **fields}, event=kind)


def thinking_then_tool(signature: str) -> list[bytes]:
    usage = {"input_tokens": 30, "output_tokens": 1}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": [], "usage": usage}
    tool = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}}
    return [
        claude("message_start", message=message),
        claude("content_block_start", index=0, content_block={"type": "thinking", "thinking": "", "signature": ""}),
        claude("ping"),
        claude("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "I need "}),
        claude("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "the weather."}),
        claude("content_block_delta", index=0, delta={"type": "signature_delta", "signature": signature}),
        claude("content_block_stop", index=0),
        claude("content_block_start", index=1, content_block={"type": "redacted_thinking", "data": "c2VjcmV0"}),
        claude("content_block_stop", index=1),
        claude("content_block_start", index=2, content_block=tool),
        claude("content_block_delta", index=2, delta={"type": "input_json_delta", "partial_json": '{"town": '}),
        claude("content_block_delta", index=2, delta={"type": "input_json_delta", "partial_json": '"Paris"}'}),
        claude("content_block_stop", index=2),
        claude("message_delta", delta={"stop_reason": "tool_use"}, usage={"output_tokens": 25}),
        claude("message_stop"),
    ]


def claude_text(words: str) -> list[bytes]:
    usage = {"input_tokens": 60, "output_tokens": 1}
    message = {"id": "msg_2", "type": "message", "role": "assistant", "model": "claude", "content": [], "usage": usage}
    return [
        claude("message_start", message=message),
        claude("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        claude("content_block_delta", index=0, delta={"type": "text_delta", "text": words}),
        claude("content_block_stop", index=0),
        claude("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 9}),
        claude("message_stop"),
    ]


def test_signed_thinking_goes_back_with_the_results(user: Client, script: Scripts) -> None:
    """Anthropic refuses a tool result whose turn lacks the thinking that led to the call, signature and all."""
    first = script(thinking_then_tool("c2lnbmF0dXJl"))
    task = user.chat(first.messages(), model="thinker", tools=[WEATHER], reasoning_effort="low")
    assert (task["status"], task["finish_reason"]) == ("completed", "tool_calls"), task["error"]
    assert task["message"]["reasoning"] == "I need the weather."
    assert first.calls[0].body["thinking"]["type"] in ("enabled", "adaptive")
    checked(user.events(task["task_id"]))
    second = script(claude_text("18 degrees."))
    result = {"role": "tool", "tool_call_id": "toolu_1", "content": "18"}
    history = [*second.messages(), task["message"], result]
    after = user.chat(history, model="thinker", tools=[WEATHER], reasoning_effort="low")
    assert after["message"]["content"] == "18 degrees."
    _, said, answered = second.calls[0].body["messages"]
    assert said["content"][0] == {"type": "thinking", "thinking": "I need the weather.", "signature": "c2lnbmF0dXJl"}
    assert said["content"][1] == {"type": "redacted_thinking", "data": "c2VjcmV0"}
    assert said["content"][2] == {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"town": "Paris"}}
    assert answered["content"][0]["tool_use_id"] == "toolu_1"


def test_signed_thinking_is_kept_in_a_conversation(user: Client, script: Scripts) -> None:
    first, second = script(thinking_then_tool("c2lnMg==")), script(claude_text("Warm."))
    task = user.chat(first.messages(), model="thinker", tools=[WEATHER], conversation="new")
    result = {"role": "tool", "tool_call_id": "toolu_1", "content": f"18 {second.key}"}
    after = user.chat([result], model="thinker", tools=[WEATHER], conversation=task["conversation"])
    assert after["message"]["content"] == "Warm.", after["error"]
    said = next(m for m in second.calls[0].body["messages"] if m["role"] == "assistant")
    assert said["content"][0] == {"type": "thinking", "thinking": "I need the weather.", "signature": "c2lnMg=="}
