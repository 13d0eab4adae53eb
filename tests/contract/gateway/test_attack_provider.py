"""A provider that means harm: figures, names and nesting that nobody would send by mistake."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from conftest import ask, stream
from raw_upstream import RawUpstream, answer, chat, event, sse_head

from ai_assistant.core.errors import ChatError
from ai_assistant.core.model import ModelConfig
from ai_assistant.gateway import source
from ai_assistant.gateway.gateway import Gateway

Make = Callable[..., ModelConfig]
DEEP = b"[" * 100_000 + b"]" * 100_000


async def failure(gateway: Gateway, model: ModelConfig) -> ChatError:
    """The error that a stream ends in."""
    with pytest.raises(ChatError) as caught:
        await stream(gateway, ask(), model)
    return caught.value


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": 10**40, "completion_tokens": 5, "total_tokens": 10**40},
        {"prompt_tokens": 2**63 - 1, "completion_tokens": 2**63 - 1, "total_tokens": 2**64 - 2},
        {"prompt_tokens": 1e300, "completion_tokens": 5, "total_tokens": 1e300},
        {"prompt_tokens": -5, "completion_tokens": -7, "total_tokens": -12},
    ],
)
async def test_absurd_usage_is_estimated_instead(gateway: Gateway, upstream: RawUpstream, at: Make, usage: dict):
    upstream.play([sse_head(), chat("Hello", finish_reason="stop"), event({"choices": [], "usage": usage})])
    found = (await stream(gateway, ask(), at())).answer.usage
    assert found.estimated
    assert 0 < found.total_tokens < 100


@pytest.mark.parametrize("cost", [-1.0, 1e300])
async def test_an_absurd_cost_is_not_believed(gateway: Gateway, upstream: RawUpstream, at: Make, cost: float):
    usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4, "cost": cost}
    upstream.play([sse_head(), chat("Hello", finish_reason="stop"), event({"choices": [], "usage": usage})])
    found = (await stream(gateway, ask(), at())).answer.usage
    assert (found.total_tokens, found.estimated) == (4, False)
    assert found.cost is None


@pytest.mark.parametrize(
    "data",
    [
        b'{"choices": [{"index": 0, "delta": {"content": ' + DEEP + b"}}]}",
        b'{"choices": [], "usage": {"a": ' + DEEP + b"}}",
        b'{"choices": [], "usage": {"cost": ' + b"9" * 400 + b"}}",
    ],
)
async def test_an_event_that_no_parser_can_hold_is_a_broken_answer(
    gateway: Gateway, upstream: RawUpstream, at: Make, data: bytes
):
    upstream.play([sse_head(), b"data: " + data + b"\n\n"])
    error = await failure(gateway, at())
    assert error.code == "provider_unavailable"
    assert "does not follow its protocol" in error.message


async def test_a_deep_error_body_says_nothing(gateway: Gateway, upstream: RawUpstream, at: Make):
    upstream.play([answer("500 Oops", b'{"error": ' * 20_000 + b"1" + b"}" * 20_000)])
    error = await failure(gateway, at())
    assert (error.code, error.status) == ("provider_unavailable", 500)


async def test_tool_calls_without_end_meet_the_bound(gateway: Gateway, upstream: RawUpstream, at: Make):
    def call(index: int, name: str) -> bytes:
        function = {"name": name, "arguments": ""}
        piece = {"index": index, "id": f"c{index}", "function": function}
        return event({"choices": [{"index": 0, "delta": {"tool_calls": [piece]}}]})

    for pieces in (
        [call(i, "n") for i in range(5000)],
        [call(i, "n" * 900_000) for i in range(6)],
    ):
        upstream.play([sse_head(), *pieces, event("[DONE]")])
        error = await failure(gateway, at())
        assert (error.code, error.retryable) == ("stream_interrupted", False)
        assert "was stopped at" in error.message


async def test_what_is_held_back_is_bounded(
    gateway: Gateway, upstream: RawUpstream, at: Make, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(source, "_MAX_STREAM", 100_000)
    detail = {"type": "reasoning.encrypted", "data": "d" * 10_000}
    pieces = [
        event({"choices": [{"index": 0, "delta": {"reasoning_details": [{**detail, "index": i}]}}]}) for i in range(20)
    ]
    upstream.play([sse_head(), *pieces, event("[DONE]")])
    assert "more than 100000 bytes" in (await failure(gateway, at())).message


async def test_words_of_a_provider_hold_no_control_characters(gateway: Gateway, upstream: RawUpstream, at: Make):
    said = "bad \x1b]52;c;ZXZpbA==\x07 \x9b2J \u202etxt.exe \x00 end"
    upstream.play([answer("400 Bad Request", json.dumps({"error": {"message": said}}).encode())])
    error = await failure(gateway, at())
    assert error.message.isprintable()
    assert error.message.endswith("end")


async def test_a_date_beyond_all_measure_is_no_time_to_wait(gateway: Gateway, upstream: RawUpstream, at: Make):
    upstream.play([answer("429 Slow Down", b"{}", retry_after="Fri, 31 Dec 9999 23:59:59 GMT")])
    error = await failure(gateway, at())
    assert error.retry_after is None
    assert "in a moment" in error.message
