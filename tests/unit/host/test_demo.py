"""The demonstration model: OpenAI's protocol over real HTTP, and what it says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from ai_assistant.host.demo import PATH, DemoModel, speed_of
from ai_assistant.host.demo_answers import CODE, GENERAL, GERMAN, LONG, MARKDOWN, MICROSERVICES, NOTICE, choose
from ai_assistant.host.listener import listen, web_server

CHAT = f"{PATH}/chat/completions"


@pytest.fixture
async def demo() -> AsyncIterator[tuple[DemoModel, httpx.AsyncClient]]:
    """The model as fast as it goes, and a client with its key."""
    model = DemoModel(speed=0)
    listener = listen("127.0.0.1", 0)
    server = web_server(Starlette(routes=model.routes()), 1)
    serving = asyncio.create_task(server.serve([listener]))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {model.key}"}) as client:
        yield model, client
    server.should_exit = True
    await asyncio.wait_for(serving, 10)


def body(question: str, **more: Any) -> dict[str, Any]:
    return {"model": "demo", "messages": [{"role": "user", "content": question}], **more}


async def chunks_of(client: httpx.AsyncClient, sent: dict[str, Any]) -> list[dict[str, Any]]:
    """The chunks of a stream, which must end with [DONE]."""
    answer = await client.post(CHAT, json={**sent, "stream": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    lines = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


async def test_it_streams_reasoning_then_text_then_usage(demo: tuple[DemoModel, httpx.AsyncClient]) -> None:
    sent = body("Explain microservices", stream_options={"include_usage": True})
    chunks = await chunks_of(demo[1], sent)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]
    kinds = ["reasoning" if "reasoning_content" in d else "text" for d in deltas if d and d.get("content") != ""]
    assert kinds == sorted(kinds)
    assert "".join(d.get("reasoning_content", "") for d in deltas) == MICROSERVICES.reasoning
    assert "".join(d.get("content", "") for d in deltas) == NOTICE + MICROSERVICES.text
    assert [c["choices"][0]["finish_reason"] for c in chunks if c["choices"]][-1] == "stop"
    usage = chunks[-1]["usage"]
    assert usage["completion_tokens"] == len(deltas) - 2
    assert 0 < usage["completion_tokens_details"]["reasoning_tokens"] < usage["completion_tokens"]


async def test_without_streaming_it_is_the_same_answer(demo: tuple[DemoModel, httpx.AsyncClient]) -> None:
    answer = (await demo[1].post(CHAT, json=body("hello"))).json()
    message = answer["choices"][0]["message"]
    assert message["content"] == NOTICE + GENERAL.text
    assert message["reasoning_content"] == GENERAL.reasoning
    assert answer["usage"]["total_tokens"] > 0


async def test_with_tools_it_calls_one_and_sums_up_the_result(demo: tuple[DemoModel, httpx.AsyncClient]) -> None:
    parameters = {
        "type": "object",
        "properties": {"path": {"type": "string"}, "lines": {"type": "integer"}, "how": {"enum": ["a", "b"]}},
    }
    tools = [{"type": "function", "function": {"name": "read_file", "parameters": parameters}}]
    chunks = await chunks_of(demo[1], body("Read main.py", tools=tools))
    calls = [call for c in chunks for call in c["choices"][0]["delta"].get("tool_calls", [])]
    assert calls[0]["function"]["name"] == "read_file"
    assert len(calls) > 3
    arguments = json.loads("".join(call["function"]["arguments"] for call in calls))
    assert arguments == {"path": "Read main.py", "lines": 1, "how": "a"}
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"
    whole = (await demo[1].post(CHAT, json=body("Read main.py", tools=tools))).json()
    assert json.loads(whole["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]) == arguments
    more = body("Read main.py", tools=tools)
    more["messages"].append({"role": "tool", "tool_call_id": calls[0]["id"], "content": "print('found')"})
    answer = (await demo[1].post(CHAT, json=more)).json()
    assert "print('found')" in answer["choices"][0]["message"]["content"]


async def test_only_its_own_server_may_ask(demo: tuple[DemoModel, httpx.AsyncClient]) -> None:
    for headers in ({"Authorization": "Bearer x"}, {"Authorization": ""}):
        answer = await demo[1].post(CHAT, json=body("hello"), headers=headers)
        assert answer.status_code == 401
    assert (await demo[1].post(CHAT, json={"messages": []})).status_code == 400


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Explain microservices", MICROSERVICES),
        ("Write Python code for prime numbers", CODE),
        ("Compare data structures in a table", MARKDOWN),
        ("Tell me a long story about streams", LONG),
        ("Was ist Unicode?", GERMAN),
        ("hello", GENERAL),
        ("", GENERAL),
    ],
)
def test_the_words_of_a_question_choose_the_answer(question: str, answer: object) -> None:
    assert choose(question) is answer


def test_it_says_what_it_is() -> None:
    assert "demonstration model" in NOTICE
    assert len(LONG.text) > 6000


@pytest.mark.parametrize(("value", "speed"), [("", 35.0), ("x", 35.0), ("-1", 35.0), ("nan", 35.0), ("0", 0), ("9", 9)])
def test_the_pace_can_be_set(value: str, speed: float) -> None:
    assert speed_of({"AI_ASSISTANT_DEMO_SPEED": value}) == speed


async def test_it_streams_at_a_human_pace() -> None:
    """One piece after the other, not all at once: the first comes long before the last."""
    model = DemoModel(speed=400)
    listener = listen("127.0.0.1", 0)
    server = web_server(Starlette(routes=model.routes()), 1)
    serving = asyncio.create_task(server.serve([listener]))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}{CHAT}"
    sent = body("hello", stream=True)
    parts = 0
    async with (
        httpx.AsyncClient() as client,
        client.stream("POST", url, json=sent, headers={"Authorization": f"Bearer {model.key}"}) as answer,
    ):
        async for _ in answer.aiter_bytes():
            parts += 1
    assert parts > 20
    server.should_exit = True
    await asyncio.wait_for(serving, 10)
