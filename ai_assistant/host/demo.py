"""The demonstration model: an OpenAI-compatible endpoint that streams prepared answers at a human pace.

It lies below the host's own address and takes only the random key that the host gave its own worker. What it sends is
OpenAI's chat completions stream with `reasoning_content` beside `content`, as DeepSeek's API has it.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import re
import secrets
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from ai_assistant.core.conversation import plain_text
from ai_assistant.host.body import json_arguments, read_body
from ai_assistant.host.demo_answers import NOTICE, choose

PATH = "/demo/v1"
#: Tokens per second. `AI_ASSISTANT_DEMO_SPEED` sets another pace; 0 means: as fast as it goes.
DEFAULT_SPEED = 35.0
#: Seconds before the first token, at the default speed.
FIRST_TOKEN = 0.3
_PIECE = re.compile(r"\s*\S{1,7}|\s+")

Delta = dict[str, Any]


class DemoModel:
    """The endpoint, its key and its pace."""

    def __init__(self, speed: float = DEFAULT_SPEED):
        self.key = f"demo-{secrets.token_urlsafe(24)}"
        self._speed = speed

    def routes(self) -> list[Route]:
        """Routes to serve."""
        return [Route(f"{PATH}/chat/completions", self.complete, methods=["POST"])]

    async def complete(self, request: Request) -> Response:
        """`POST /chat/completions`, streaming or not."""
        sent = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(sent.encode(), self.key.encode()):
            return failure(401, "The demonstration model answers only its own server.")
        body = json_arguments(await read_body(request))
        messages = body.get("messages")
        if not isinstance(messages, list) or not messages:
            return failure(400, "messages: a list with at least one message is needed")
        frame = Frame(str(body.get("model", "demo")))
        deltas, finish = answer_to(body)
        usage = usage_of(body, deltas)
        if not body.get("stream"):
            return JSONResponse(frame.whole(deltas, finish, usage))
        include = bool((body.get("stream_options") or {}).get("include_usage"))
        chunks = self._stream(frame, deltas, finish, usage if include else None)
        return StreamingResponse(chunks, media_type="text/event-stream")

    async def _stream(
        self, frame: Frame, deltas: list[Delta], finish: str, usage: Delta | None
    ) -> AsyncIterator[bytes]:
        """Server-sent events, each due at its own time, so that a late one does not slow down the rest."""
        loop = asyncio.get_running_loop()
        interval = 1.0 / self._speed if self._speed > 0 else 0.0
        due = loop.time() + FIRST_TOKEN * DEFAULT_SPEED * interval
        yield frame.event({"role": "assistant", "content": ""})
        for delta in deltas:
            if interval:
                await asyncio.sleep(max(0.0, due - loop.time()))
                due += interval
            yield frame.event(delta)
        yield frame.event({}, finish)
        if usage is not None:
            yield frame.usage(usage)
        yield b"data: [DONE]\n\n"


class Frame:
    """What the chunks of one answer have in common."""

    def __init__(self, model: str):
        self._common = {"id": f"chatcmpl-{secrets.token_hex(8)}", "created": int(time.time()), "model": model}

    def event(self, delta: Delta, finish: str | None = None) -> bytes:
        """One chunk with one choice."""
        return self._data([{"index": 0, "delta": delta, "finish_reason": finish}])

    def usage(self, usage: Delta) -> bytes:
        """The last chunk, which has no choice."""
        return self._data([], usage=usage)

    def whole(self, deltas: list[Delta], finish: str, usage: Delta) -> dict[str, Any]:
        """The answer in one piece."""
        calls = [call for delta in deltas for call in delta.get("tool_calls", [])]
        message: dict[str, Any] = {
            "role": "assistant",
            "content": "".join(delta.get("content", "") for delta in deltas),
            "reasoning_content": "".join(delta.get("reasoning_content", "") for delta in deltas),
        }
        if calls:
            arguments = "".join(call["function"].get("arguments", "") for call in calls)
            function = {"name": calls[0]["function"]["name"], "arguments": arguments}
            message["tool_calls"] = [{"id": calls[0]["id"], "type": "function", "function": function}]
        choice = {"index": 0, "message": message, "finish_reason": finish}
        return {**self._common, "object": "chat.completion", "choices": [choice], "usage": usage}

    def _data(self, choices: list[Delta], **more: Any) -> bytes:
        chunk = {**self._common, "object": "chat.completion.chunk", "choices": choices, **more}
        return b"data: " + msgspec.json.encode(chunk) + b"\n\n"


def answer_to(body: Mapping[str, Any]) -> tuple[list[Delta], str]:
    """The deltas of the answer and its finish reason."""
    messages = [message for message in body["messages"] if isinstance(message, dict)]
    tool = first_tool(body)
    last = messages[-1] if messages else {}
    if tool and last.get("role") != "tool":
        return list(tool_call(tool, question_of(messages))), "tool_calls"
    if last.get("role") == "tool":
        said = plain_text(last.get("content"))[:500]
        return list(answer("The tool has answered, so I can sum it up.", f"The tool returned:\n\n> {said}\n")), "stop"
    prepared = choose(question_of(messages))
    return list(answer(prepared.reasoning, prepared.text)), "stop"


def answer(reasoning: str, text: str) -> Iterator[Delta]:
    """Reasoning, then text, in pieces the size of a token."""
    for piece in _PIECE.findall(reasoning):
        yield {"reasoning_content": piece}
    for piece in _PIECE.findall(NOTICE + text):
        yield {"content": piece}


def tool_call(tool: Mapping[str, Any], question: str) -> Iterator[Delta]:
    """A call of `tool`, its arguments in pieces."""
    name = str(tool.get("name", "tool"))
    for piece in _PIECE.findall(f"The demonstration has a tool for this: I call {name} and wait for what it returns."):
        yield {"reasoning_content": piece}
    head = {"index": 0, "id": f"call_{secrets.token_hex(8)}", "type": "function"}
    yield {"tool_calls": [{**head, "function": {"name": name, "arguments": ""}}]}
    arguments = json.dumps(example_arguments(tool.get("parameters"), question), ensure_ascii=False)
    for start in range(0, len(arguments), 6):
        yield {"tool_calls": [{"index": 0, "function": {"arguments": arguments[start : start + 6]}}]}


def example_arguments(schema: Any, question: str) -> dict[str, Any]:
    """Arguments that fit a simple JSON schema; texts are the question."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict):
        return {}
    return {name: example(rule if isinstance(rule, dict) else {}, question) for name, rule in properties.items()}


def example(rule: Mapping[str, Any], question: str) -> Any:
    """A value for one property."""
    if isinstance(rule.get("enum"), list) and rule["enum"]:
        return rule["enum"][0]
    values = {"integer": 1, "number": 1.5, "boolean": True, "array": [], "object": {}}
    kind = rule.get("type")
    return values.get(kind, question[:80]) if isinstance(kind, str) else question[:80]


def first_tool(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """The function of the first tool, unless the request says not to use one."""
    tools = body.get("tools")
    if not isinstance(tools, list) or not tools or body.get("tool_choice") == "none":
        return None
    function = tools[0].get("function") if isinstance(tools[0], dict) else None
    return function if isinstance(function, dict) else None


def question_of(messages: list[dict[str, Any]]) -> str:
    """The text of the last message of the user."""
    asked = [message for message in messages if message.get("role") == "user"]
    return plain_text(asked[-1].get("content")) if asked else ""


def usage_of(body: Mapping[str, Any], deltas: list[Delta]) -> dict[str, Any]:
    """Tokens as this model counts them: one for each piece."""
    prompt = sum(len(_PIECE.findall(plain_text(m.get("content")))) for m in body["messages"] if isinstance(m, dict))
    thought = sum("reasoning_content" in delta for delta in deltas)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": len(deltas),
        "total_tokens": prompt + len(deltas),
        "completion_tokens_details": {"reasoning_tokens": thought},
    }


def failure(status: int, message: str) -> Response:
    """An error in OpenAI's form."""
    return JSONResponse({"error": {"message": message, "type": "invalid_request_error"}}, status)


def speed_of(environ: Mapping[str, str]) -> float:
    """Tokens per second from `AI_ASSISTANT_DEMO_SPEED`; the default where it is not a number of 0 or more."""
    try:
        speed = float(environ.get("AI_ASSISTANT_DEMO_SPEED", ""))
    except ValueError:
        return DEFAULT_SPEED
    return speed if 0 <= speed < 1e6 else DEFAULT_SPEED
