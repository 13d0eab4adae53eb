"""`observe_anthropic` with the official SDK against aimock."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import pytest
from integration_kit import chunks_of, first_of, metadata, settled, the_one

from ai_assistant import tracing
from ai_assistant.tracing import testing
from tests.aimock.server import AiMock

ASKED: dict[str, Any] = {
    "model": "claude-test",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "hello"}],
}
KINDS = {"sync": anthropic.Anthropic, "async": anthropic.AsyncAnthropic}


@pytest.fixture(params=sorted(KINDS))
def kind(request: pytest.FixtureRequest) -> type:
    """Each kind of client in turn."""
    return KINDS[request.param]


def client_of(kind: type, aimock: AiMock) -> Any:
    return kind(base_url=aimock.base("anthropic"), api_key="sk-not-a-key", max_retries=0)


@pytest.fixture
def client(kind: type, aimock: AiMock) -> Any:
    """An observed client at aimock."""
    return tracing.observe_anthropic(client_of(kind, aimock))


async def test_a_whole_answer(client: Any, aimock: AiMock, traces: testing.MemoryExporter) -> None:
    aimock.on(
        "hello",
        content="Hi there.",
        reasoning="A greeting.",
        usage={"input_tokens": 5, "output_tokens": 7, "cache_read_input_tokens": 20, "cache_creation_input_tokens": 3},
    )
    answer = await settled(client.messages.create(**ASKED, system="Be kind.", extra_body={"temperature": 0.5}))
    found = the_one(traces)
    assert found["type"] == "generation" and found["title"] == "chat claude-test" and found["provider"] == "anthropic"
    assert json.loads(found["input"]) == {"messages": ASKED["messages"], "system": "Be kind."}
    assert found["output"] == "Hi there." and found["reasoning"] == "A greeting."
    assert found["finish_reason"] == "end_turn" and found["status"] == "completed"
    assert metadata(found)["model_parameters"] == {"max_tokens": 100, "temperature": 0.5}
    read, written = answer.usage.cache_read_input_tokens or 0, answer.usage.cache_creation_input_tokens or 0
    assert found["prompt_tokens"] == answer.usage.input_tokens + read + written
    assert found["completion_tokens"] == answer.usage.output_tokens == 7
    assert found["total_tokens"] == found["prompt_tokens"] + 7
    assert "signature" not in json.dumps(found)


async def test_a_stream_is_passed_on_chunk_by_chunk(
    kind: type, client: Any, aimock: AiMock, traces: testing.MemoryExporter
) -> None:
    aimock.on("hello", content="Hi there, my friend.", reasoning="A greeting it is.")
    bare = await settled(client_of(kind, aimock).messages.create(**ASKED, stream=True))
    stream = await settled(client.messages.create(**ASKED, stream=True))
    assert isinstance(stream, type(bare))
    expected, got = await chunks_of(bare), await chunks_of(stream)
    assert [chunk.to_dict() for chunk in got if chunk.type != "message_start"] == [
        chunk.to_dict() for chunk in expected if chunk.type != "message_start"
    ]
    found = the_one(traces)
    assert found["output"] == "Hi there, my friend." and found["reasoning"] == "A greeting it is."
    assert found["finish_reason"] == "end_turn" and found["status"] == "completed"
    assert found["ttft_ms"] >= 0 and metadata(found)["first_reasoning_ms"] >= 0
    assert "signature" not in json.dumps(found)


async def test_the_helper(client: Any, aimock: AiMock, traces: testing.MemoryExporter) -> None:
    aimock.on("hello", content="Hi there, my friend.", reasoning="A greeting it is.")
    manager = client.messages.stream(**ASKED)
    if hasattr(manager, "__aenter__"):
        async with manager as stream:
            texts = [text async for text in stream.text_stream]
            final = await stream.get_final_message()
    else:
        with manager as stream:
            texts = list(stream.text_stream)
            final = stream.get_final_message()
    assert "".join(texts) == final.content[-1].text == "Hi there, my friend."
    assert len(texts) > 1
    found = the_one(traces)
    assert found["output"] == "Hi there, my friend." and found["status"] == "completed"


async def test_the_helper_left_early(client: Any, aimock: AiMock, traces: testing.MemoryExporter) -> None:
    aimock.on("hello", content="One two three four five.")
    manager = client.messages.stream(**ASKED)
    if hasattr(manager, "__aenter__"):
        async with manager as stream:
            async for _ in stream.text_stream:
                break
    else:
        with manager as stream:
            for _ in stream.text_stream:
                break
    assert the_one(traces)["status"] == "cancelled" and the_one(traces)["output"] == "One "


async def test_tool_calls(client: Any, aimock: AiMock, traces: testing.MemoryExporter) -> None:
    aimock.on("hello", toolCalls=[{"name": "get_weather", "arguments": {"city": "Paris"}}])
    tools = [{"name": "get_weather", "input_schema": {"type": "object"}}]
    await settled(client.messages.create(**ASKED, tools=tools))
    await chunks_of(await settled(client.messages.create(**ASKED, tools=tools, stream=True)))
    for found in traces.observations():
        (call,) = json.loads(found["output"])["tool_calls"]
        assert call["function"]["name"] == "get_weather" and json.loads(call["function"]["arguments"]) == {
            "city": "Paris"
        }
        assert call["id"] and found["finish_reason"] == "tool_use"
        assert json.loads(found["input"])["tools"] == tools


async def test_an_http_error(client: Any, aimock: AiMock, traces: testing.MemoryExporter) -> None:
    aimock.fail_next(529, "Overloaded")
    with pytest.raises(anthropic.APIStatusError):
        await settled(client.messages.create(**ASKED, stream=True))
    found = the_one(traces)
    assert found["status"] == "failed" and metadata(found)["http_status"] == 529


async def test_a_connection_that_breaks(client: Any, aimock: AiMock, traces: testing.MemoryExporter) -> None:
    aimock.on("hello", content="One two three four five.", fixture={"truncateAfterChunks": 4})
    with pytest.raises(Exception) as caught:  # the SDK lets its HTTP library's own error through
        await chunks_of(await settled(client.messages.create(**ASKED, stream=True)))
    found = the_one(traces)
    assert found["status"] == "failed" and found["error_type"] == type(caught.value).__name__


async def test_iteration_that_is_broken_off(client: Any, aimock: AiMock, traces: testing.MemoryExporter) -> None:
    aimock.on("hello", content="One two three four five.")
    stream = await settled(client.messages.create(**ASKED, stream=True))
    await first_of(stream, 3)
    if type(stream) in (anthropic.Stream, anthropic.AsyncStream):  # a version whose streams tell only of their close
        await settled(stream.close())
    assert the_one(traces)["status"] == "cancelled" and the_one(traces)["output"] == "One "
    await settled(stream.close())


async def test_beta_raw_and_derived_clients(client: Any, aimock: AiMock, traces: testing.MemoryExporter) -> None:
    aimock.on("hello", content="Hi there.")
    await settled(client.beta.messages.create(**ASKED))
    raw = await settled(client.messages.with_raw_response.create(**ASKED))
    assert (await settled(raw.parse())).content[0].text == "Hi there."
    await settled(client.with_options(timeout=5).messages.create(**ASKED))
    assert [found["output"] for found in traces.observations()] == ["Hi there."] * 3


async def test_messages_from_an_iterator_are_sent_and_traced(
    client: Any, aimock: AiMock, traces: testing.MemoryExporter
) -> None:
    aimock.on("hello", content="Hi there.")
    await settled(client.messages.create(**{**ASKED, "messages": (message for message in ASKED["messages"])}))
    assert json.loads(the_one(traces)["input"]) == ASKED["messages"]
    assert aimock.requests()[-1].status == 200


async def test_thinking_is_not_kept_where_it_is_not_wanted(
    kind: type, aimock: AiMock, traces: testing.MemoryExporter
) -> None:
    aimock.on("hello", content="Hi.", reasoning="abcdefghij" * 10)
    quiet = tracing.observe_anthropic(client_of(kind, aimock), name="quiet", capture_reasoning=False)
    short = tracing.observe_anthropic(client_of(kind, aimock), name="short", reasoning_max_length=15)
    for client in (quiet, short):
        await chunks_of(await settled(client.messages.create(**ASKED, stream=True)))
    assert "reasoning" not in traces.named("quiet")
    found = traces.named("short")
    assert (found["reasoning"], found["reasoning_chars"], found["reasoning_truncated"]) == ("abcdefghijabcde", 100, 1)


def test_bad_arguments_are_named() -> None:
    with pytest.raises(TypeError, match="observe_anthropic: client must be an Anthropic"):
        tracing.observe_anthropic(object())
