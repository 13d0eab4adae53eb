"""One contract for every wire and the LiteLLM path, against the same real HTTP upstream (aimock)."""

from __future__ import annotations

import json

import pytest
from conftest import KEY, PATHS, ask, stream

from ai_assistant.core.errors import ChatError
from ai_assistant.core.model import ModelConfig
from ai_assistant.gateway.chunks import Finish, ReasoningDelta, TextDelta, ToolCallDelta
from ai_assistant.gateway.gateway import Gateway
from ai_assistant.gateway.request import GatewayRequest
from tests.aimock.server import AiMock

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
TEXT = "Grüße, 世界! The answer is 42, with an emoji 🎉 in it."
THOUGHT = "The user greets; 考える, then answer briefly."


async def test_text_and_reasoning(gateway: Gateway, model: ModelConfig, aimock: AiMock):
    aimock.on("hello", content=TEXT, reasoning=THOUGHT)
    got = await stream(gateway, ask(), model)
    assert got.answer.text == TEXT
    assert got.answer.reasoning == THOUGHT
    assert got.answer.finish_reason == "stop"
    assert got.answer.tool_calls == []
    assert sum(isinstance(chunk, TextDelta) for chunk in got.chunks) > 3
    kinds = [type(chunk) for chunk in got.chunks if isinstance(chunk, TextDelta | ReasoningDelta)]
    assert kinds == sorted(kinds, key=[ReasoningDelta, TextDelta].index), "reasoning comes before the text"


async def test_stream_ends_in_one_finish_with_usage(gateway: Gateway, model: ModelConfig, aimock: AiMock):
    aimock.on("hello", content=TEXT)
    got = await stream(gateway, ask(), model)
    assert [isinstance(chunk, Finish) for chunk in got.chunks].count(True) == 1
    finish = got.lists[-1][-1]
    assert isinstance(finish, Finish)
    assert finish.usage is not None
    assert finish.usage.prompt_tokens > 0
    assert finish.usage.completion_tokens > 0
    assert finish.usage.total_tokens == finish.usage.prompt_tokens + finish.usage.completion_tokens
    assert finish.model
    assert got.states == ["connecting"]


async def test_tool_calls_in_parallel(gateway: Gateway, model: ModelConfig, aimock: AiMock):
    cities = ["Zürich", 'San "Francisco"']
    aimock.on("weather", toolCalls=[{"name": "get_weather", "arguments": {"city": city}} for city in cities])
    got = await stream(gateway, ask("weather", tools=[WEATHER]), model)
    calls = got.answer.tool_calls
    assert got.answer.finish_reason == "tool_calls"
    assert [call["function"]["name"] for call in calls] == ["get_weather"] * 2
    assert [json.loads(call["function"]["arguments"])["city"] for call in calls] == cities
    assert len({call["id"] for call in calls}) == 2
    firsts = [chunk for chunk in got.chunks if isinstance(chunk, ToolCallDelta) and chunk.id]
    assert [chunk.index for chunk in firsts] == [0, 1]


async def test_tool_results_are_fed_back(gateway: Gateway, model: ModelConfig, path: str, aimock: AiMock):
    aimock.on(match={"turnIndex": 1}, content="It is sunny in both.")
    aimock.on(
        match={"turnIndex": 0},
        toolCalls=[{"name": "get_weather", "arguments": {"city": c}} for c in ("A", "B")],
        reasoning="I need two calls.",
    )
    question = {"role": "user", "content": "weather"}
    first = await stream(gateway, GatewayRequest(messages=[question], tools=[WEATHER]), model)
    assistant = {
        "role": "assistant",
        "content": None,
        "tool_calls": first.answer.tool_calls,
        "thinking_blocks": first.answer.thinking_blocks,
    }
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": f"sunny {n}"}
        for n, call in enumerate(first.answer.tool_calls)
    ]
    second = await stream(gateway, GatewayRequest(messages=[question, assistant, *results], tools=[WEATHER]), model)
    assert second.answer.text == "It is sunny in both."
    assert second.answer.finish_reason == "stop"
    if path != "litellm-gemini":  # whose `function_response` aimock's journal does not show
        sent = json.dumps(aimock.requests()[-1].body)
        assert "sunny 0" in sent
        assert "sunny 1" in sent


async def test_whole_answer_equals_streamed_one(gateway: Gateway, model: ModelConfig, aimock: AiMock):
    aimock.on("hello", content=TEXT, reasoning=THOUGHT)
    streamed = (await stream(gateway, ask(), model)).answer
    whole = await gateway.complete(ask(), [model])
    assert (whole.text, whole.reasoning, whole.finish_reason) == (TEXT, THOUGHT, "stop")
    assert (whole.model, whole.provider) == (streamed.model, model.provider)
    assert whole.usage.total_tokens > 0
    assert [block["type"] for block in whole.thinking_blocks] == [b["type"] for b in streamed.thinking_blocks]
    last = aimock.requests()[-1]
    assert last.body.get("stream", False) is False, "the provider was not asked to stream"


async def test_whole_answer_with_tool_call(gateway: Gateway, model: ModelConfig, aimock: AiMock):
    aimock.on("weather", toolCalls=[{"name": "get_weather", "arguments": {"city": "Rome"}}])
    whole = await gateway.complete(ask("weather", tools=[WEATHER]), [model])
    assert whole.finish_reason == "tool_calls"
    assert json.loads(whole.tool_calls[0]["function"]["arguments"]) == {"city": "Rome"}
    assert whole.tool_calls[0]["id"]


@pytest.mark.parametrize("tag", ["think", "thinking"])
async def test_think_tags_in_content_are_reasoning(gateway: Gateway, model: ModelConfig, aimock: AiMock, tag: str):
    # aimock writes four characters at a time: the tags are split in several places.
    aimock.on("hello", content=f"<{tag}>\nFirst I think.\n</{tag}>\n\nThen: `<think>` is a tag.")
    got = await stream(gateway, ask(), model)
    assert got.answer.reasoning.strip() == "First I think."
    assert got.answer.text == "Then: `<think>` is a tag."


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (401, "provider_auth", "api_key"),
        (403, "provider_auth", "api_key"),
        (404, "provider_unavailable", "model"),
        (429, "provider_rate_limited", "Try again"),
        (500, "provider_unavailable", ""),
        (503, "provider_unavailable", ""),
    ],
)
async def test_statuses(gateway: Gateway, model: ModelConfig, aimock: AiMock, status: int, code: str, words: str):
    aimock.fail_next(status, f"made to fail with {KEY}")
    with pytest.raises(ChatError) as caught:
        await stream(gateway, ask(), model)
    assert caught.value.code == code
    assert words in caught.value.message
    assert KEY not in caught.value.message


async def test_too_long_a_conversation(gateway: Gateway, model: ModelConfig, aimock: AiMock):
    aimock.fail_next(400, "This model's maximum context length is 8192 tokens.", code="context_length_exceeded")
    with pytest.raises(ChatError) as caught:
        await stream(gateway, ask(), model)
    assert caught.value.code == "context_length_exceeded"
    assert not caught.value.retryable
    assert "Shorten" in caught.value.message


async def test_retry_then_answer(gateway: Gateway, model: ModelConfig, aimock: AiMock):
    import msgspec

    aimock.on("hello", content="At last.")
    aimock.fail_next(503)
    got = await stream(gateway, ask(), msgspec.structs.replace(model, retries=1))
    assert got.answer.text == "At last."
    assert got.states == ["connecting", "retrying", "connecting"]


async def test_cut_in_mid_stream(gateway: Gateway, model: ModelConfig, path: str, aimock: AiMock):
    aimock.on("hello", content=TEXT * 20, fixture={"truncateAfterChunks": 12, "latency": 5})
    got: list[str] = []

    async def read() -> None:
        async for chunks in gateway.stream(ask(), [model]):
            got.extend(chunk.text for chunk in chunks if isinstance(chunk, TextDelta))

    with pytest.raises(ChatError) as caught:
        await read()
    assert caught.value.code == "stream_interrupted"
    assert caught.value.retryable
    if not path.startswith("litellm"):
        assert (TEXT * 20).startswith("".join(got))
        assert got, "what had arrived was handed out"


@pytest.mark.parametrize("chaos", ["dropRate", "malformedRate", "disconnectRate", "rateLimitRate"])
async def test_chaos_ends_in_an_error_of_the_contract(gateway: Gateway, model: ModelConfig, aimock: AiMock, chaos: str):
    aimock.on("hello", content=TEXT)
    aimock.chaos(**{chaos: 1.0})
    with pytest.raises(ChatError) as caught:
        await stream(gateway, ask(), model)
    assert caught.value.code in ("provider_unavailable", "provider_rate_limited", "stream_interrupted")
    assert caught.value.retryable


def test_every_direct_wire_is_covered():
    from ai_assistant.gateway.routing import WIRES

    assert set(WIRES) <= set(PATHS)
