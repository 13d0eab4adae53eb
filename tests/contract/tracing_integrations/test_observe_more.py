"""What is easily broken by watching a client: helpers, other kinds of clients, threads, cancellation, memory."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import weakref
from typing import Any

import anthropic
import openai
import pydantic
import pytest
from integration_kit import chunks_of, settled, the_one

from ai_assistant import tracing
from ai_assistant.tracing import testing
from tests.aimock.server import AiMock
from tests.servers import Delta, Endless, Finish, Gate, Silence, Upstream

HELLO = [{"role": "user", "content": "hello"}]
KINDS = {"sync": openai.OpenAI, "async": openai.AsyncOpenAI}


def asked(text: str) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}], "stream": True}


@pytest.fixture(params=sorted(KINDS))
def client(request: pytest.FixtureRequest, aimock: AiMock) -> Any:
    """An observed client of each kind at aimock."""
    return tracing.observe_openai(KINDS[request.param](base_url=aimock.base("openai"), api_key="x", max_retries=0))


async def test_helpers_of_responses(client: Any, aimock: AiMock, traces: testing.MemoryExporter) -> None:
    class Place(pydantic.BaseModel):
        city: str

    if not hasattr(client, "responses"):
        pytest.skip("this version knows no Responses")
    aimock.on("hello", content='{"city": "Paris"}')
    parsed = await settled(client.responses.parse(model="gpt-5", input="hello", text_format=Place))
    assert parsed.output_parsed == Place(city="Paris")
    manager = client.responses.stream(model="gpt-5", input="hello", text_format=Place)
    if hasattr(manager, "__aenter__"):
        async with manager as stream:
            final = await stream.get_final_response()
    else:
        with manager as stream:
            final = stream.get_final_response()
    assert final.output_parsed == Place(city="Paris")
    for found in traces.observations():
        assert found["output"] == '{"city": "Paris"}' and found["status"] == "completed"
        assert json.loads(found["input"])["text"]["format"]["name"] == "Place"
    assert len(traces.observations()) == 2


async def test_azure(aimock: AiMock, traces: testing.MemoryExporter) -> None:
    aimock.on("hello", content="Hi.")
    client = openai.AzureOpenAI(
        azure_endpoint=aimock.url, api_key="x", api_version="2024-10-21", max_retries=0, azure_deployment="mine"
    )
    answer = tracing.observe_openai(client).chat.completions.create(model="gpt-4o", messages=HELLO)  # type: ignore[arg-type]
    assert answer.choices[0].message.content == "Hi."
    assert the_one(traces)["provider"] == "azure" and the_one(traces)["output"] == "Hi."


def test_providers_are_told_by_address() -> None:
    from ai_assistant.tracing.integrations.openai import provider_of

    for base, provider in {
        "https://api.openai.com/v1": "openai",
        "https://openrouter.ai/api/v1": "openrouter",
        "https://eu.api.mistral.ai/v1": "mistral",
        "http://127.0.0.1:8000/v1": "openai",
    }.items():
        assert provider_of(openai.OpenAI(base_url=base, api_key="x")) == provider


async def test_several_answers_at_once(upstream: Upstream, traces: testing.MemoryExporter) -> None:
    client = tracing.observe_openai(openai.AsyncOpenAI(base_url=upstream.base, api_key="x", max_retries=0))
    for number in range(20):
        upstream.play(f"n{number}", Delta(text=f"{number}."), Delta(text=f"{number}!"), Finish())

    async def ask(number: int) -> None:
        async with tracing.span(f"s{number}"):
            await chunks_of(await client.chat.completions.create(**asked(f"n{number}")))

    await asyncio.gather(*(ask(number) for number in range(20)))
    rows = traces.observations()
    by_span = {row["span"]: row for row in rows}
    generations = [row for row in rows if row["type"] == "generation"]
    assert len(generations) == 20
    for row in generations:
        number = json.loads(row["input"])[0]["content"][1:]
        assert row["output"] == f"{number}.{number}!" and by_span[row["parent"]]["title"] == f"s{number}"


def test_threads(upstream: Upstream, traces: testing.MemoryExporter) -> None:
    client = tracing.observe_openai(openai.OpenAI(base_url=upstream.base, api_key="x", max_retries=0))
    upstream.play("t", Delta(text="a"), Delta(text="b"), Finish())
    threads = [threading.Thread(target=lambda: list(client.chat.completions.create(**asked("t")))) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [row["output"] for row in traces.observations()] == ["ab"] * 10


async def test_a_task_that_is_cancelled(upstream: Upstream, traces: testing.MemoryExporter) -> None:
    client = tracing.observe_openai(openai.AsyncOpenAI(base_url=upstream.base, api_key="x", max_retries=0))
    upstream.play("endless", Delta(text="First. "), Endless())
    upstream.play("nothing", Silence())
    begun = asyncio.Event()

    async def read() -> None:
        async for _ in await client.chat.completions.create(**asked("endless")):
            begun.set()

    task = asyncio.create_task(read())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    found = the_one(traces)
    assert found["status"] == "cancelled" and found["output"].startswith("First. ")
    assert "error_type" not in found
    traces.clear()

    waiting = asyncio.create_task(chunks_of(await client.chat.completions.create(**asked("nothing"))))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert the_one(traces)["status"] == "cancelled"


def test_chunks_come_as_soon_as_they_are_there(upstream: Upstream, traces: testing.MemoryExporter) -> None:
    gate = Gate()
    client = tracing.observe_openai(openai.OpenAI(base_url=upstream.base, api_key="x", max_retries=0))
    upstream.play("gated", Delta(text="now"), gate, Delta(text="later"), Finish())
    stream = client.chat.completions.create(**asked("gated"))
    assert next(stream).choices[0].delta.content == "now"
    gate.open()
    assert next(stream).choices[0].delta.content == "later"
    assert len(list(stream)) == 2
    assert the_one(traces)["output"] == "nowlater"


def test_streams_and_what_they_said_are_freed(aimock: AiMock, traces: testing.MemoryExporter) -> None:
    aimock.on("hello", content="Hi there, my friend.", reasoning="A greeting it is.")
    client = tracing.observe_anthropic(anthropic.Anthropic(base_url=aimock.base("anthropic"), api_key="x"))
    holds_itself = "_iterator" not in vars(anthropic.Stream)  # in older versions
    plain = {"model": "claude-test", "max_tokens": 10, "messages": HELLO}
    gc.collect()
    gc.disable()
    try:
        for give_up in (False, True):
            stream = client.messages.create(**plain, stream=True)  # type: ignore[arg-type]
            held = weakref.ref(stream)
            for _ in stream:
                if give_up:
                    break
            stream.close()
            del stream
            gc.collect() if holds_itself else None
            assert held() is None, "nothing that watches a stream holds it"
    finally:
        gc.enable()
    assert [row["status"] for row in traces.observations()] == ["completed", "cancelled"]


def test_what_was_said_is_freed_at_the_end(upstream: Upstream, traces: testing.MemoryExporter) -> None:
    client = tracing.observe_openai(openai.OpenAI(base_url=upstream.base, api_key="x", max_retries=0))
    upstream.play("long", *[Delta(text="x" * 1000, reasoning="y" * 1000) for _ in range(100)], Finish())
    stream = client.chat.completions.create(**asked("long"))
    answer = stream._tracing_watch.answer  # type: ignore[attr-defined]
    for count, _ in enumerate(stream):
        if count == 99:
            kept = answer.recording.span._reasoning
            assert kept.chars == 100_000 and sum(map(len, kept._pieces)) == 51_200
            assert len("".join(answer.messages[0].texts)) == 100_000
    assert answer.messages == {} and answer.recording.span._reasoning is None
    found = the_one(traces)
    assert len(found["output"]) == 100_000 and len(found["reasoning"]) == 51_200
    assert found["reasoning_chars"] == 100_000 and found["reasoning_truncated"] == 1


def test_answers_that_make_no_sense_harm_nobody(
    upstream: Upstream, traces: testing.MemoryExporter, caplog: pytest.LogCaptureFixture
) -> None:
    from ai_assistant.tracing.integrations.openai_answers import ChatAnswer
    from ai_assistant.tracing.integrations.recording import Recording, begin

    answer = ChatAnswer(Recording(begin("x", "generation")))
    for chunk in (
        None,
        7,
        "text",
        {"choices": 5},
        type("C", (), {"choices": [None]})(),
        type("C", (), {"choices": 3})(),
    ):
        answer.add(chunk)
    answer.finished()
    assert the_one(traces)["level"] == "warning"
    assert len(caplog.records) <= 3, "each kind of failure is logged once"
