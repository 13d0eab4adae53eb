"""Retry, fallback, circuit breaker and the limit of concurrent streams, over real HTTP."""

from __future__ import annotations

import asyncio
import email.utils
import time
from collections.abc import Callable

import pytest
from conftest import ask, stream
from raw_upstream import CHAT_OK, CUT, HOLD, RawUpstream, answer, chat, sse_head

from ai_assistant.core.errors import ChatError
from ai_assistant.core.model import ModelConfig
from ai_assistant.gateway.chunks import Status
from ai_assistant.gateway.gateway import Gateway
from ai_assistant.gateway.retry import Backoff

Make = Callable[..., ModelConfig]
BUSY = [answer("503 Service Unavailable", b"{}")]


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 529])
async def test_these_statuses_are_retried(gateway: Gateway, upstream: RawUpstream, at: Make, status: int):
    upstream.play([answer(f"{status} X", b"{}")], CHAT_OK)
    got = await stream(gateway, ask(), at(retries=1))
    assert got.answer.text == "Hello world"
    assert got.states == ["connecting", "retrying", "connecting"]
    assert gateway.stats()["retries"] == 1


async def test_a_lost_connection_is_retried(gateway: Gateway, upstream: RawUpstream, at: Make):
    upstream.play([CUT], [sse_head(), CUT], CHAT_OK)
    got = await stream(gateway, ask(), at(retries=2))
    assert got.answer.text == "Hello world"


@pytest.mark.parametrize("status", [400, 401, 404, 422])
async def test_these_statuses_are_not_retried(gateway: Gateway, upstream: RawUpstream, at: Make, status: int):
    upstream.play([answer(f"{status} X", b"{}")])
    with pytest.raises(ChatError):
        await stream(gateway, ask(), at(retries=3))
    assert len(upstream.requests) == 1


async def test_retries_come_to_an_end(gateway: Gateway, upstream: RawUpstream, at: Make):
    upstream.play(BUSY)
    with pytest.raises(ChatError) as caught:
        await stream(gateway, ask(), at(retries=2))
    assert caught.value.code == "provider_unavailable"
    assert len(upstream.requests) == 3


async def test_no_retry_after_the_first_delta(gateway: Gateway, upstream: RawUpstream, at: Make):
    upstream.play([sse_head(), chat("Hel"), 0.05, CUT], CHAT_OK)
    with pytest.raises(ChatError) as caught:
        await stream(gateway, ask(), at(retries=3), at(label="other"))
    assert caught.value.code == "stream_interrupted"
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("form", ["seconds", "date", "millis"])
async def test_retry_after_is_obeyed(gateway: Gateway, upstream: RawUpstream, at: Make, form: str):
    headers = {
        "seconds": {"retry_after": "1"},
        "date": {"retry_after": email.utils.formatdate(time.time() + 2, usegmt=True)},
        "millis": {"retry_after_ms": "900"},
    }[form]
    upstream.play([answer("429 Too Many Requests", b"{}", **headers)], CHAT_OK)
    started = time.monotonic()
    got = await stream(gateway, ask(), at(retries=1))
    assert got.answer.text == "Hello world"
    assert 0.5 < time.monotonic() - started < 10


async def test_a_long_retry_after_is_handed_on(gateway: Gateway, upstream: RawUpstream, at: Make):
    upstream.play([answer("429 Too Many Requests", b"{}", retry_after="3600")])
    with pytest.raises(ChatError) as caught:
        await stream(gateway, ask(), at(retries=3))
    assert caught.value.code == "provider_rate_limited"
    assert caught.value.retry_after == 3600
    assert "3600 s" in caught.value.message
    assert len(upstream.requests) == 1


async def test_fallbacks_in_order_with_a_status_each(gateway: Gateway, upstream: RawUpstream, at: Make):
    upstream.play(BUSY, [answer("401 Unauthorized", b"{}")], CHAT_OK)
    got = await stream(gateway, ask(), at(label="one"), at(label="two"), at(label="three"))
    assert got.answer.text == "Hello world"
    told = [(chunk.state, chunk.model) for chunk in got.chunks if isinstance(chunk, Status)]
    assert told == [
        ("connecting", "one"),
        ("fallback", "two"),
        ("connecting", "two"),
        ("fallback", "three"),
        ("connecting", "three"),
    ]
    assert gateway.stats()["fallbacks"] == 2


async def test_no_fallback_for_a_bad_request(gateway: Gateway, upstream: RawUpstream, at: Make):
    upstream.play([answer("400 Bad Request", b"{}")], CHAT_OK)
    with pytest.raises(ChatError) as caught:
        await stream(gateway, ask(), at(label="one"), at(label="two"))
    assert caught.value.code == "invalid_request"


async def test_each_candidate_gets_its_own_parameters(gateway: Gateway, upstream: RawUpstream, at: Make):
    upstream.play(BUSY, CHAT_OK)
    await stream(
        gateway,
        ask(max_tokens=7),
        at(label="one", parameters={"temperature": 0.1, "max_tokens": 5, "top_p": 0.5}),
        at(label="two", parameters={"seed": 9}),
    )
    first, second = upstream.bodies()
    assert (first["temperature"], first["max_tokens"], first["top_p"]) == (0.1, 7, 0.5)
    assert (second["seed"], second["max_tokens"]) == (9, 7)
    assert "temperature" not in second
    assert "top_p" not in second


async def test_the_breaker_opens_and_closes_again(upstream: RawUpstream, at: Make):
    gateway = Gateway(backoff=Backoff(first=0.01), breaker_threshold=2, breaker_cooldown=0.3)
    model, spare = at(label="flaky"), at(label="spare")
    upstream.play(BUSY)
    for _ in range(2):
        with pytest.raises(ChatError):
            await stream(gateway, ask(), model)
    assert gateway.stats()["breakers"]["flaky"]["state"] == "open"
    asked = len(upstream.requests)
    with pytest.raises(ChatError) as caught:
        await stream(gateway, ask(), model)
    assert caught.value.code == "provider_unavailable"
    assert "given a pause" in caught.value.message
    assert len(upstream.requests) == asked, "an open breaker asks nobody"
    upstream.play(CHAT_OK)
    got = await stream(gateway, ask(), model, spare)
    assert got.answer.text == "Hello world"
    assert got.states == ["connecting", "fallback", "connecting"], "the fallback honours the breaker"
    await asyncio.sleep(0.35)
    assert gateway.stats()["breakers"]["flaky"]["state"] == "half_open"
    assert (await stream(gateway, ask(), model)).answer.text == "Hello world"
    assert gateway.stats()["breakers"]["flaky"]["state"] == "closed"
    await gateway.aclose()


async def test_streams_per_endpoint_are_limited(gateway: Gateway, upstream: RawUpstream, at: Make):
    upstream.play([sse_head(), chat("Hel"), 0.15, *CHAT_OK[2:]])
    model = at(max_streams=2)
    answers = await asyncio.gather(*(stream(gateway, ask(), model) for _ in range(6)))
    assert all(got.answer.text == "Hel world" for got in answers)
    assert upstream.most_open == 2
    assert sum("queued" in got.states for got in answers) == 4
    assert gateway.stats()["pool"]["in_use"] == 0


async def test_a_waiting_stream_can_be_cancelled(gateway: Gateway, upstream: RawUpstream, at: Make):
    upstream.play([sse_head(), chat("Hel"), 0.3, *CHAT_OK[2:]])
    model = at(max_streams=1)
    first = asyncio.ensure_future(stream(gateway, ask(), model))
    await asyncio.sleep(0.05)
    waiting = asyncio.ensure_future(stream(gateway, ask(), model))
    third = asyncio.ensure_future(stream(gateway, ask(), model))
    await asyncio.sleep(0.05)
    waiting.cancel()
    assert (await first).answer.text == "Hel world"
    assert (await third).answer.text == "Hel world"
    assert len(upstream.requests) == 2


async def test_waiting_for_a_stream_has_a_limit(gateway: Gateway, upstream: RawUpstream, at: Make):
    upstream.play([sse_head(), chat("Hel"), HOLD])
    holding = asyncio.ensure_future(stream(gateway, ask(), at(max_streams=1)))
    await asyncio.sleep(0.1)
    with pytest.raises(ChatError) as caught:
        await stream(gateway, ask(), at(max_streams=1, total=0.2))
    assert caught.value.code == "provider_timeout"
    assert "no free stream" in caught.value.message
    holding.cancel()


async def test_no_model_at_all(gateway: Gateway):
    with pytest.raises(ChatError) as caught:
        await gateway.complete(ask(), [])
    assert caught.value.code == "invalid_request"


async def test_usage_is_counted_where_the_provider_sends_none(gateway: Gateway, upstream: RawUpstream, at: Make):
    from ai_assistant.core.model import Prices

    upstream.play([sse_head(), chat("Hello world", finish_reason="stop")])
    got = await stream(gateway, ask(), at(prices=Prices(input=1.0, output=10.0)))
    usage = got.answer.usage
    assert usage.estimated
    assert usage.completion_tokens == 2
    assert usage.prompt_tokens >= 1
    assert usage.cost == pytest.approx((usage.prompt_tokens + 20) / 1e6)
