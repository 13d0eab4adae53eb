"""`observe_openai` with the official SDK over HTTP: what the program gets is what it got before, and what is traced is
what went over the wire."""

from __future__ import annotations

import gc
import json
from typing import Any

import openai
import pydantic
import pytest
from integration_kit import chunks_of, first_of, metadata, settled, the_one

from ai_assistant import tracing
from ai_assistant.tracing import testing
from tests.aimock.server import AiMock
from tests.servers import Cut, Delta, Failure, Finish, Refusal, Silence, Upstream

HELLO = [{"role": "user", "content": "hello"}]
KINDS = {"sync": openai.OpenAI, "async": openai.AsyncOpenAI}
TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}]


@pytest.fixture(params=sorted(KINDS))
def kind(request: pytest.FixtureRequest) -> type:
    """Each kind of client in turn."""
    return KINDS[request.param]


def client_of(kind: type, base: str) -> Any:
    return kind(base_url=base, api_key="sk-not-a-key", max_retries=0)


@pytest.fixture
def client(kind: type, aimock: AiMock) -> Any:
    """An observed client at aimock."""
    return tracing.observe_openai(client_of(kind, aimock.base("openai")))


@pytest.fixture
def scripted(kind: type, upstream: Upstream) -> Any:
    """An observed client at the scripted provider."""
    return tracing.observe_openai(client_of(kind, upstream.base))


def helpers_of(client: Any) -> Any:
    """Where `parse` and `stream` are: in older versions below `beta`."""
    found = client.chat.completions
    return found if hasattr(found, "parse") else client.beta.chat.completions


async def test_a_whole_answer(client: Any, aimock: AiMock, traces: testing.MemoryExporter) -> None:
    usage = {
        "prompt_tokens": 30,
        "completion_tokens": 9,
        "total_tokens": 39,
        "prompt_tokens_details": {"cached_tokens": 20},
        "completion_tokens_details": {"reasoning_tokens": 4},
    }
    aimock.on("hello", content="Hi there.", reasoning="A greeting.", usage=usage)
    call = client.chat.completions.create(model="gpt-4o", messages=HELLO, temperature=0.2, max_tokens=50)
    answer = await settled(call)
    assert answer.choices[0].message.content == "Hi there."
    found = the_one(traces)
    assert found["type"] == "generation" and found["title"] == "chat gpt-4o" and found["provider"] == "openai"
    assert json.loads(found["input"]) == HELLO
    assert found["output"] == "Hi there."
    assert found["reasoning"] == "A greeting."
    assert found["status"] == "completed" and found["finish_reason"] == "stop"
    assert (found["prompt_tokens"], found["completion_tokens"], found["total_tokens"]) == (30, 9, 39)
    assert metadata(found)["model_parameters"] == {"temperature": 0.2, "max_tokens": 50}
    if answer.usage.prompt_tokens_details:
        assert (found["cached_tokens"], found["reasoning_tokens"]) == (20, 4)


async def test_a_stream_is_passed_on_chunk_by_chunk(
    kind: type, client: Any, aimock: AiMock, traces: testing.MemoryExporter
) -> None:
    aimock.on("hello", content="Hi there, my friend.", reasoning="A greeting it is.")
    asked: dict[str, Any] = {
        "model": "gpt-4o", "messages": HELLO, "stream": True, "stream_options": {"include_usage": True},
    }  # fmt: skip
    bare = await settled(client_of(kind, aimock.base("openai")).chat.completions.create(**asked))
    stream = await settled(client.chat.completions.create(**asked))
    assert isinstance(stream, type(bare)) and type(stream).__name__ == type(bare).__name__
    expected, got = await chunks_of(bare), await chunks_of(stream)
    assert [chunk.choices for chunk in got] == [chunk.choices for chunk in expected]
    assert [chunk.usage for chunk in got] == [chunk.usage for chunk in expected]
    found = the_one(traces)
    assert found["output"] == "Hi there, my friend."
    assert found["reasoning"] == "A greeting it is." and found["reasoning_chars"] == 17
    assert found["status"] == "completed" and found["finish_reason"] == "stop"
    assert found["ttft_ms"] >= 0 and found["reasoning_ms"] >= 0 and metadata(found)["first_reasoning_ms"] >= 0
    assert found["total_tokens"] == found["prompt_tokens"] + found["completion_tokens"]
    assert aimock.requests()[-1].body == aimock.requests()[-2].body


async def test_tool_calls_in_pieces(scripted: Any, upstream: Upstream, traces: testing.MemoryExporter) -> None:
    upstream.play(
        "tools",
        Delta(text="Looking."),
        Delta(call=(0, "c1", "get_weather", "")),
        Delta(call=(0, None, None, '{"city":')),
        Delta(call=(1, "c2", "get_time", "{}")),
        Delta(call=(0, None, None, '"Paris"}')),
        Finish("tool_calls"),
    )
    asked = [{"role": "user", "content": "tools"}]
    await chunks_of(
        await settled(scripted.chat.completions.create(model="m", messages=asked, tools=TOOLS, stream=True))
    )
    found = the_one(traces)
    assert json.loads(found["input"]) == {"messages": asked, "tools": TOOLS}
    said = json.loads(found["output"])
    assert said["content"] == "Looking."
    assert [(c["id"], c["function"]["name"], c["function"]["arguments"]) for c in said["tool_calls"]] == [
        ("c1", "get_weather", '{"city":"Paris"}'),
        ("c2", "get_time", "{}"),
    ]
    assert found["finish_reason"] == "tool_calls"
    assert (found["prompt_tokens"], found["completion_tokens"], found["total_tokens"]) == (3, 5, 8)


async def test_an_http_error_is_noted_and_raised(
    scripted: Any, upstream: Upstream, traces: testing.MemoryExporter
) -> None:
    upstream.play("refused", Refusal(429, "slow down"))
    with pytest.raises(openai.RateLimitError, match="slow down"):
        await settled(
            scripted.chat.completions.create(model="m", messages=[{"role": "user", "content": "refused"}], stream=True)
        )
    found = the_one(traces)
    assert found["status"] == "failed" and found["level"] == "error" and found["error_type"] == "RateLimitError"
    assert "slow down" in found["error_message"] and "RateLimitError" in found["error_stack"]
    assert metadata(found)["http_status"] == 429


async def test_an_error_in_mid_stream(scripted: Any, upstream: Upstream, traces: testing.MemoryExporter) -> None:
    upstream.play("breaks", Delta(text="Half "), Failure("out of order"))
    stream = await settled(
        scripted.chat.completions.create(model="m", messages=[{"role": "user", "content": "breaks"}], stream=True)
    )
    with pytest.raises(openai.APIError, match="out of order"):
        await chunks_of(stream)
    found = the_one(traces)
    assert found["status"] == "failed" and found["output"] == "Half " and "out of order" in found["error_message"]


async def test_a_stream_without_an_end_is_a_warning(
    scripted: Any, upstream: Upstream, traces: testing.MemoryExporter
) -> None:
    upstream.play("cut", Delta(text="Half "), Cut())
    asked = [{"role": "user", "content": "cut"}]
    await chunks_of(await settled(scripted.chat.completions.create(model="m", messages=asked, stream=True)))
    found = the_one(traces)
    assert found["level"] == "warning" and found["output"] == "Half " and "finish reason" in found["error_message"]


async def test_iteration_that_is_broken_off(scripted: Any, upstream: Upstream, traces: testing.MemoryExporter) -> None:
    upstream.play("long", Delta(reasoning="Well."), Delta(text="One "), Delta(text="two "), Silence())
    asked = [{"role": "user", "content": "long"}]
    stream = await settled(scripted.chat.completions.create(model="m", messages=asked, stream=True))
    assert len(await first_of(stream, 2)) == 2
    found = the_one(traces)
    assert found["status"] == "cancelled" and found["output"] == "One " and found["reasoning"] == "Well."
    await settled(stream.close())


@pytest.mark.parametrize("how", ["with", "close", "next", "dropped"])
async def test_a_stream_that_is_given_up(
    how: str, scripted: Any, upstream: Upstream, traces: testing.MemoryExporter
) -> None:
    upstream.play("given up", Delta(text="One "), Delta(text="two "), Silence())
    asked = [{"role": "user", "content": "given up"}]
    stream = await settled(scripted.chat.completions.create(model="m", messages=asked, stream=True))
    asynchronous = hasattr(stream, "__anext__")
    expected = "One "
    if how == "with" and asynchronous:
        async with stream as entered:
            assert entered is stream
            await stream.__anext__()
    elif how == "with":
        with stream as entered:
            assert entered is stream
            next(stream)
    elif how == "next":
        await settled(stream.__anext__() if asynchronous else next(stream))
        await settled(stream.__anext__() if asynchronous else next(stream))
        await settled(stream.response.aclose() if asynchronous else stream.response.close())
        expected = "One two "
    elif how == "close":
        await settled(stream.__anext__() if asynchronous else next(stream))
        await settled(stream.close())
    else:
        response, expected = stream.response, None
        del stream
        gc.collect()
        assert the_one(traces)["status"] == "cancelled"
        await settled(response.aclose() if asynchronous else response.close())
    found = the_one(traces)
    assert found["status"] == "cancelled" and found.get("output") == expected
    upstream.wait_closed(upstream.of("given up")[-1])


async def test_helpers_parse_and_stream(client: Any, aimock: AiMock, traces: testing.MemoryExporter) -> None:
    class Place(pydantic.BaseModel):
        city: str

    aimock.on("hello", content='{"city": "Paris"}')
    helpers = helpers_of(client)
    parsed = await settled(helpers.parse(model="gpt-4o", messages=HELLO, response_format=Place))
    assert parsed.choices[0].message.parsed == Place(city="Paris")
    manager = helpers.stream(model="gpt-4o", messages=HELLO, response_format=Place)
    if hasattr(manager, "__aenter__"):
        async with manager as stream:
            final = await stream.get_final_completion()
    else:
        with manager as stream:
            final = stream.get_final_completion()
    assert final.choices[0].message.parsed == Place(city="Paris")
    first, second = traces.observations()
    assert first["output"] == second["output"] == '{"city": "Paris"}'
    assert json.loads(first["input"])["response_format"]["json_schema"]["name"] == "Place"
    assert first["status"] == second["status"] == "completed"


async def test_a_helper_that_is_left_early(client: Any, aimock: AiMock, traces: testing.MemoryExporter) -> None:
    aimock.on("hello", content="One two three four five.")
    manager = helpers_of(client).stream(model="m", messages=HELLO)
    if hasattr(manager, "__aenter__"):
        async with manager as stream:
            async for event in stream:
                if event.type == "content.delta" and event.delta:
                    break
    else:
        with manager as stream:
            for event in stream:
                if event.type == "content.delta" and event.delta:
                    break
    assert the_one(traces)["status"] == "cancelled" and the_one(traces)["output"] == "One "


async def test_responses(client: Any, aimock: AiMock, traces: testing.MemoryExporter) -> None:
    aimock.on("hello", content="Hi there.", reasoning="A greeting it is.")
    if not hasattr(client, "responses"):
        pytest.skip("this version knows no Responses")
    aimock.on("weather", toolCalls=[{"name": "get_weather", "arguments": {"city": "Paris"}}])
    whole = await settled(client.responses.create(model="gpt-5", input="hello", reasoning={"effort": "low"}))
    assert whole.output_text == "Hi there."
    events = await chunks_of(await settled(client.responses.create(model="gpt-5", input="hello", stream=True)))
    assert events[-1].type == "response.completed"
    await settled(client.responses.create(model="gpt-5", input="weather"))
    await chunks_of(await settled(client.responses.create(model="gpt-5", input="weather", stream=True)))
    one, two, three, four = traces.observations()
    for found in (one, two):
        assert found["input"] == "hello" and found["output"] == "Hi there."
        assert found["reasoning"] == "A greeting it is."
        assert found["finish_reason"] == "stop" and found["status"] == "completed"
    assert metadata(one)["model_parameters"] == {"reasoning": {"effort": "low"}}
    assert two["ttft_ms"] >= 0 and "ttft_ms" not in one
    for found in (three, four):
        (call,) = json.loads(found["output"])["tool_calls"]
        assert call["function"] == {"name": "get_weather", "arguments": '{"city":"Paris"}'} and call["id"]
        assert found["finish_reason"] == "tool_calls"


async def test_raw_responses(client: Any, aimock: AiMock, traces: testing.MemoryExporter) -> None:
    aimock.on("hello", content="Hi there.")
    raw = await settled(client.chat.completions.with_raw_response.create(model="gpt-4o", messages=HELLO))
    assert raw.headers["content-type"].startswith("application/json")
    assert (await settled(raw.parse())).choices[0].message.content == "Hi there."
    raw = await settled(client.chat.completions.with_raw_response.create(model="gpt-4o", messages=HELLO, stream=True))
    assert len(await chunks_of(await settled(raw.parse()))) > 2
    assert [found["output"] for found in traces.observations()] == ["Hi there.", "Hi there."]


async def test_unread_responses_are_left_alone(client: Any, aimock: AiMock, traces: testing.MemoryExporter) -> None:
    aimock.on("hello", content="Hi there.")
    manager = client.chat.completions.with_streaming_response.create(model="gpt-4o", messages=HELLO)
    if hasattr(manager, "__aenter__"):
        async with manager as response:
            body = await response.read()
    else:
        with manager as response:
            body = response.read()
    assert b"Hi there." in body
    assert traces.observations() == []


async def test_embeddings(client: Any, traces: testing.MemoryExporter) -> None:
    answer = await settled(client.embeddings.create(model="text-embedding-3-small", input=["a", "b"]))
    found = the_one(traces)
    assert found["title"] == "embeddings text-embedding-3-small" and json.loads(found["input"]) == ["a", "b"]
    assert json.loads(found["output"])["embeddings"] == len(answer.data)


async def test_options_and_names(kind: type, aimock: AiMock, traces: testing.MemoryExporter) -> None:
    aimock.on("hello", content="Hi.", reasoning="abcdefghij" * 10)
    base = aimock.base("openai")
    quiet = tracing.observe_openai(
        client_of(kind, base), name="quiet", capture_input=False, capture_output=False, capture_reasoning=False,
        metadata={"team": "a"}, provider="elsewhere",
    )  # fmt: skip
    short = tracing.observe_openai(client_of(kind, base), name="short", reasoning_max_length=15)
    for client in (quiet, short):
        await chunks_of(await settled(client.chat.completions.create(model="m", messages=HELLO, stream=True)))
    found = traces.named("quiet")
    assert not {"input", "output", "reasoning"} & found.keys()
    assert found["provider"] == "elsewhere" and metadata(found)["team"] == "a"
    found = traces.named("short")
    assert found["reasoning"] == "abcdefghijabcde"
    assert found["reasoning_chars"] == 100 and found["reasoning_truncated"] == 1


async def test_it_is_the_same_client_and_what_is_made_from_it_is_observed_too(
    kind: type, aimock: AiMock, traces: testing.MemoryExporter
) -> None:
    aimock.on("hello", content="Hi.")
    client = client_of(kind, aimock.base("openai"))
    completions = client.chat.completions
    assert tracing.observe_openai(client) is client
    assert tracing.observe_openai(client) is client
    assert type(client) is kind and client.chat.completions is completions
    await settled(completions.create(model="m", messages=HELLO))
    await settled(client.with_options(timeout=5).chat.completions.create(model="m", messages=HELLO))
    assert len(traces.observations()) == 2


async def test_the_parent_is_the_current_observation(
    client: Any, aimock: AiMock, traces: testing.MemoryExporter
) -> None:
    aimock.on("hello", content="Hi.")

    @tracing.traced(name="ask")
    async def ask() -> None:
        await chunks_of(await settled(client.chat.completions.create(model="m", messages=HELLO, stream=True)))

    await ask()
    assert traces.tree() == ["ask", "  chat m"]


async def test_pictures_are_told_in_short(scripted: Any, upstream: Upstream, traces: testing.MemoryExporter) -> None:
    picture = "data:image/png;base64," + "A" * 5000
    content = [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": picture}}]
    upstream.play("", Finish())
    await chunks_of(
        await settled(
            scripted.chat.completions.create(model="m", messages=[{"role": "user", "content": content}], stream=True)
        )
    )
    assert json.loads(the_one(traces)["input"])[0]["content"][1]["image_url"]["url"] == (
        "<data:image/png;base64: 5022 characters>"
    )
    assert upstream.of("")[-1].body["messages"][0]["content"][1]["image_url"]["url"] == picture


async def test_nothing_is_traced_without_init(client: Any, aimock: AiMock) -> None:
    aimock.on("hello", content="Hi.")
    stream = await settled(client.chat.completions.create(model="m", messages=HELLO, stream=True))
    assert type(stream) in (openai.Stream, openai.AsyncStream)
    assert len(await chunks_of(stream)) > 1


async def test_capture_can_be_off_for_the_whole_program(client: Any, aimock: AiMock) -> None:
    aimock.on("hello", content="Hi.", reasoning="Hm.")
    with testing.recorded(capture_input=False, capture_output=False, capture_reasoning=False) as traces:
        await settled(client.chat.completions.create(model="m", messages=HELLO))
        await chunks_of(await settled(client.chat.completions.create(model="m", messages=HELLO, stream=True)))
        for found in traces.observations():
            assert not {"input", "output", "reasoning"} & found.keys()
            assert found["status"] == "completed"


def test_bad_arguments_are_named() -> None:
    with pytest.raises(TypeError, match="observe_openai: client must be an OpenAI"):
        tracing.observe_openai(object())
    client = openai.OpenAI(api_key="x")
    with pytest.raises(ValueError, match="no option 'capture_inputs'"):
        tracing.observe_openai(client, capture_inputs=False)
    with pytest.raises(ValueError, match="reasoning_max_length must be a number"):
        tracing.observe_openai(client, reasoning_max_length=-1)
