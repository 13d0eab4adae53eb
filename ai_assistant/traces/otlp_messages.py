"""Chat messages, as each convention writes them, in one form: that of OpenAI's chat completions.

    {"role", "content": text or parts, "reasoning", "tool_calls": [{"id", "type", "function": {"name", "arguments"}}],
     "tool_call_id", "name", "finish_reason"}

Read are GenAI's messages with `parts`, OpenAI's, Anthropic's content blocks, OpenInference's and OpenLLMetry's
flattened ones.
"""

from __future__ import annotations

from typing import Any

from ai_assistant.traces.otlp_attributes import json_of, parsed, text_of

REASONING = frozenset({"reasoning", "thinking"})
CALLS = frozenset({"tool_call", "tool_use", "function_call"})
ANSWERS = frozenset({"tool_call_response", "tool_result", "function_call_output"})


def messages_of(value: Any) -> list[dict[str, Any]] | None:
    """Messages in the one form; `None` where `value` holds none."""
    found = parsed(value)
    if isinstance(found, dict):
        found = found.get("messages", [found])
    if not isinstance(found, list) or not found:
        return None
    messages = [message_of(one) for one in found]
    if any(message is None for message in messages):
        return None
    return [one for message in messages for one in spread(message or {})]


def message_of(value: Any) -> dict[str, Any] | None:
    """One message, with its tool results still among its parts; `None` where it is none."""
    value = parsed(value)
    if not isinstance(value, dict):
        return None
    value = value["message"] | without(value, "message") if isinstance(value.get("message"), dict) else value
    if not ("role" in value or "parts" in value or "content" in value):
        return None
    content = next((value[key] for key in ("parts", "contents", "content") if value.get(key) is not None), None)
    message: dict[str, Any] = {"role": str(value.get("role") or "user"), "content": None}
    _add_content(message, parsed(content))
    reasoning = value.get("reasoning") or value.get("reasoning_content") or value.get("thinking")
    if isinstance(reasoning, str):
        message["reasoning"] = reasoning + message.get("reasoning", "")
    calls = parsed(value.get("tool_calls"))
    for call in calls if isinstance(calls, list) else ():
        _add_call(message, call)
    for key in ("tool_call_id", "name", "finish_reason"):
        if value.get(key):
            message[key] = str(value[key])
    if "finish_reason" in message:
        message["finish_reason"] = reason_of(message["finish_reason"])
    return message


def reason_of(text: str) -> str:
    """A finish reason as it is called here: the GenAI conventions' `tool_call` is `tool_calls`."""
    return "tool_calls" if text == "tool_call" else text


def without(value: dict[str, Any], *names: str) -> dict[str, Any]:
    """A copy without some members."""
    return {key: one for key, one in value.items() if key not in names}


def _add_content(message: dict[str, Any], content: Any) -> None:
    """Sorts parts into text, reasoning, calls, answers and the rest."""
    if not isinstance(content, list):
        message["content"] = content
        return
    parts: list[Any] = []
    for part in content:
        part = _opened(part)
        kind = part.get("type") if isinstance(part, dict) else None
        if kind in REASONING:
            message["reasoning"] = message.get("reasoning", "") + text_in(part)
        elif kind in CALLS:
            _add_call(message, part)
        elif kind in ANSWERS:
            message.setdefault("answers", []).append(part)
        elif kind in ("text", "input_text", "output_text"):
            parts.append({"type": "text", "text": text_in(part)})
        else:
            parts.append(part)
    texts = [part["text"] for part in parts if isinstance(part, dict) and part.get("type") == "text"]
    if parts:
        message["content"] = "".join(texts) if len(texts) == len(parts) else parts


def _opened(part: Any) -> Any:
    """A part out of OpenInference's wrapping."""
    if isinstance(part, dict) and isinstance(part.get("message_content"), dict):
        return part["message_content"]
    return {"type": "text", "text": part} if isinstance(part, str) else part


def text_in(part: dict[str, Any]) -> str:
    """The text of a part, under whichever name."""
    found = next((part[key] for key in ("content", "text", "thinking", "reasoning") if part.get(key)), "")
    return text_of(found)


def _add_call(message: dict[str, Any], call: Any) -> None:
    """Adds a tool call in OpenAI's form."""
    if isinstance(call, dict) and isinstance(call.get("tool_call"), dict):
        call = call["tool_call"]
    if not isinstance(call, dict):
        return
    function = call["function"] if isinstance(call.get("function"), dict) else call
    arguments = next((function[key] for key in ("arguments", "input", "args") if function.get(key) is not None), "")
    named = {"name": str(function.get("name") or ""), "arguments": text_of(arguments)}
    found = {"id": str(call.get("id") or call.get("call_id") or ""), "type": "function", "function": named}
    message.setdefault("tool_calls", []).append(found)


def spread(message: dict[str, Any]) -> list[dict[str, Any]]:
    """A message as those of the chat form: each tool's result is a message of its own."""
    answers = message.pop("answers", [])
    found = [message] if message["content"] is not None or len(message) > 2 or not answers else []
    for part in answers:
        result = next((part[key] for key in ("response", "result", "content", "output") if part.get(key)), "")
        called = str(part.get("id") or part.get("tool_use_id") or part.get("call_id") or "")
        found.append(
            {"role": "tool", "tool_call_id": called, "content": result if isinstance(result, list) else text_of(result)}
        )
    return found


def answer_of(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """The fields of an observation that a model's messages say: `output`, `reasoning`, `finish_reason`.

    One message of text alone becomes that text; others stay messages, as JSON.
    """
    reasoning = "".join(message.get("reasoning") or "" for message in messages)
    reason = next((message["finish_reason"] for message in messages if message.get("finish_reason")), None)
    bare = [without(message, "reasoning", "finish_reason") for message in messages]
    only = bare[0] if len(bare) == 1 else None
    if only and set(only) == {"role", "content"} and isinstance(only["content"], str | None):
        output = only["content"]
    else:
        output = json_of(only or bare) if bare else None
    return {"output": output, "reasoning": reasoning or None, "finish_reason": reason}


def as_parts(message: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    """A message of the chat form in that of the GenAI conventions (`gen_ai.input.messages`)."""
    role, content = str(message.get("role") or "user"), message.get("content")
    parts: list[dict[str, Any]] = []
    if message.get("reasoning"):
        parts.append({"type": "reasoning", "content": message["reasoning"]})
    if role == "tool":
        parts.append({"type": "tool_call_response", "id": message.get("tool_call_id"), "response": content})
    elif isinstance(content, list):
        parts.extend(_genai_part(part) for part in content)
    elif content is not None:
        parts.append({"type": "text", "content": text_of(content)})
    for call in message.get("tool_calls") or ():
        function = call.get("function") or {} if isinstance(call, dict) else {}
        arguments = parsed(function.get("arguments"))
        parts.append({"type": "tool_call", "id": call.get("id"), "name": function.get("name"), "arguments": arguments})
    found: dict[str, Any] = {"role": role, "parts": parts}
    reason = "tool_call" if finish_reason == "tool_calls" else finish_reason
    return found | {"finish_reason": reason} if reason else found


def _genai_part(part: Any) -> dict[str, Any]:
    if isinstance(part, dict) and part.get("type") == "text":
        return {"type": "text", "content": text_in(part)}
    return part if isinstance(part, dict) else {"type": "text", "content": text_of(part)}
