"""The LiteLLM path: off the event loop while it is imported, silent, and gone when it is cancelled."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import Callable

import pytest
from conftest import KEY, ask, stream
from raw_upstream import CUT, HOLD, RawUpstream, answer, chat, event, sse_head

from ai_assistant.core.errors import ChatError
from ai_assistant.core.model import ModelConfig
from ai_assistant.gateway.chunks import TextDelta
from ai_assistant.gateway.gateway import Gateway

Make = Callable[..., ModelConfig]


def through(at: Make, **options: object) -> ModelConfig:
    """A model at the raw upstream, by way of LiteLLM."""
    return at("openai/m", transport="litellm", **options)


async def test_cancelling_closes_the_providers_connection(gateway: Gateway, upstream: RawUpstream, at: Make):
    upstream.play([sse_head(), chat("Hello"), HOLD])
    first = asyncio.Event()

    async def read() -> None:
        async for chunks in gateway.stream(ask(), [through(at)]):
            if any(isinstance(chunk, TextDelta) for chunk in chunks):
                first.set()

    task = asyncio.ensure_future(read())
    await asyncio.wait_for(first.wait(), 60)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await upstream.wait_until_gone()


@pytest.mark.parametrize("script", ["cut", "end"])
async def test_a_cut_stream_is_told(gateway: Gateway, upstream: RawUpstream, at: Make, script: str):
    upstream.play([sse_head(), chat("Hello"), 0.05, *([CUT] if script == "cut" else [])])
    with pytest.raises(ChatError) as caught:
        await stream(gateway, ask(), through(at))
    assert caught.value.code == "stream_interrupted"


async def test_time_limits_hold(gateway: Gateway, upstream: RawUpstream, at: Make):
    upstream.play([sse_head(), chat("Hello"), HOLD])
    with pytest.raises(ChatError) as caught:
        await stream(gateway, ask(), through(at, idle=0.3))
    assert caught.value.code == "provider_timeout"
    upstream.play([sse_head(), HOLD])
    with pytest.raises(ChatError) as caught:
        await stream(gateway, ask(), through(at, first_token=0.3))
    assert caught.value.code == "provider_timeout"


async def test_retry_after_comes_through(gateway: Gateway, upstream: RawUpstream, at: Make):
    upstream.play([answer("429 Too Many Requests", b'{"error": {"message": "slow"}}', retry_after="77")])
    with pytest.raises(ChatError) as caught:
        await stream(gateway, ask(), through(at, retries=2))
    assert (caught.value.code, caught.value.retry_after) == ("provider_rate_limited", 77)
    assert len(upstream.requests) == 1, "LiteLLM retries nothing by itself"


async def test_html_is_no_answer(gateway: Gateway, upstream: RawUpstream, at: Make):
    upstream.play([answer("200 OK", b"<html>Welcome</html>", "text/html")])
    with pytest.raises(ChatError) as caught:
        await stream(gateway, ask(), through(at))
    assert caught.value.code == "provider_unavailable"


async def test_an_unknown_provider(gateway: Gateway):
    with pytest.raises(ChatError) as caught:
        await stream(gateway, ask(), ModelConfig(name="m", model="nonsense/m", retries=0))
    assert (caught.value.code, caught.value.retryable) == ("provider_unavailable", False)
    assert "nonsense" in caught.value.message


@pytest.mark.parametrize("transport", ["direct", "litellm"])
async def test_nothing_tells_the_key(
    gateway: Gateway,
    upstream: RawUpstream,
    at: Make,
    transport: str,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
):
    caplog.set_level(logging.DEBUG, logger="ai_assistant")
    words = f'{{"error": {{"message": "Incorrect API key provided: {KEY}"}}}}'.encode()
    model = at("openai/m", transport=transport)
    for status in ("401 Unauthorized", "400 Bad Request", "500 Oops"):
        upstream.play([answer(status, words)])
        with pytest.raises(ChatError) as caught:
            await stream(gateway, ask(), model)
        assert KEY not in caught.value.message
    upstream.play([sse_head(), chat("Hi"), event({"error": {"message": f"bad {KEY}"}})])
    with pytest.raises(ChatError) as caught:
        await stream(gateway, ask(), model)
    assert KEY not in caught.value.message
    out = capfd.readouterr()
    assert KEY not in out.out + out.err + caplog.text
    assert KEY not in repr(model) + str(gateway.stats())


_IMPORT = """
import asyncio, sys, time
from ai_assistant.gateway import litellm_library

async def main():
    longest = 0.0
    done = asyncio.ensure_future(litellm_library.load())
    turns = 0
    while not done.done():
        before = time.monotonic()
        await asyncio.sleep(0.005)
        longest = max(longest, time.monotonic() - before)
        turns += 1
    assert turns > 20, turns
    print(f"turns {turns}, longest {longest:.3f} s")

assert "litellm" not in sys.modules
asyncio.run(main())
"""


def test_the_loop_goes_on_while_litellm_is_imported():
    done = subprocess.run([sys.executable, "-c", _IMPORT], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.startswith("turns")
    assert "litellm" not in done.stderr.lower(), "it is silent"
