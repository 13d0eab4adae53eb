"""What a provider can do wrong, byte by byte: each case with its code and its words."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest
from conftest import KEY, ask, stream
from raw_upstream import CHAT_OK, CUT, HOLD, RawUpstream, answer, chat, event, sse_head

from ai_assistant.core.errors import ChatError
from ai_assistant.core.model import ModelConfig
from ai_assistant.gateway.chunks import TextDelta
from ai_assistant.gateway.gateway import Gateway

Make = Callable[..., ModelConfig]


async def failure(gateway: Gateway, *models: ModelConfig) -> tuple[ChatError, str]:
    """The error that a stream ends in, and the text that came before it."""
    text: list[str] = []

    async def read() -> None:
        async for chunks in gateway.stream(ask(), models):
            text.extend(chunk.text for chunk in chunks if isinstance(chunk, TextDelta))

    with pytest.raises(ChatError) as caught:
        await read()
    assert KEY not in caught.value.message
    return caught.value, "".join(text)


async def test_html_with_200(gateway: Gateway, upstream: RawUpstream, at: Make):
    upstream.play([answer("200 OK", b"<html><body>Welcome to nginx!</body></html>", "text/html")])
    error, text = await failure(gateway, at())
    assert (error.code, error.retryable, text) == ("provider_unavailable", False, "")
    assert "web page" in error.message
    assert "api_base" in error.message
    assert "nginx" not in error.message


async def test_html_with_502(gateway: Gateway, upstream: RawUpstream, at: Make):
    upstream.play([answer("502 Bad Gateway", b"<html><h1>502 Bad Gateway</h1>cloudflare</html>", "text/html")])
    error, _ = await failure(gateway, at())
    assert (error.code, error.status) == ("provider_unavailable", 502)
    assert "<" not in error.message
    assert "cloudflare" not in error.message


async def test_truncated_json_in_the_first_event(gateway: Gateway, upstream: RawUpstream, at: Make):
    upstream.play([sse_head(), b'data: {"choices": [{"delta": {"cont\n\n'])
    error, text = await failure(gateway, at())
    assert (error.code, error.retryable, text) == ("provider_unavailable", True, "")
    assert "does not follow its protocol" in error.message


async def test_truncated_json_in_mid_stream(gateway: Gateway, upstream: RawUpstream, at: Make):
    upstream.play([sse_head(), chat("Hello"), 0.05, b'data: {"choices": [{"delta": {"cont'])
    error, text = await failure(gateway, at())
    assert (error.code, error.retryable, text) == ("stream_interrupted", True, "Hello")


async def test_whole_json_that_is_truncated(gateway: Gateway, upstream: RawUpstream, at: Make):
    upstream.play([answer("200 OK", b'{"choices": [{"message": {"content": "Hel')])
    with pytest.raises(ChatError) as caught:
        await gateway.complete(ask(), [at()])
    assert caught.value.code == "provider_unavailable"


async def test_reset_in_mid_stream(gateway: Gateway, upstream: RawUpstream, at: Make):
    upstream.play([sse_head(), chat("Hel"), chat("lo"), 0.05, CUT])
    error, text = await failure(gateway, at())
    assert (error.code, text) == ("stream_interrupted", "Hello")


async def test_clean_end_without_finish_reason_is_a_cut(gateway: Gateway, upstream: RawUpstream, at: Make):
    upstream.play([sse_head(), chat("Hello"), 0.05])
    error, text = await failure(gateway, at())
    assert (error.code, text) == ("stream_interrupted", "Hello")


async def test_connection_lost_before_any_answer(gateway: Gateway, upstream: RawUpstream, at: Make):
    upstream.play([CUT])
    error, _ = await failure(gateway, at())
    assert (error.code, error.retryable) == ("provider_unavailable", True)


async def test_nobody_listens(gateway: Gateway, at: Make):
    error, _ = await failure(gateway, at(api_base="http://127.0.0.1:9/v1"))
    assert (error.code, error.retryable) == ("provider_unavailable", True)
    assert "cannot be reached" in error.message


@pytest.mark.parametrize("base", ["no-url", "ftp://127.0.0.1/v1", "http://[::bad"])
async def test_address_that_is_none(gateway: Gateway, at: Make, base: str):
    error, _ = await failure(gateway, at(api_base=base))
    assert (error.code, error.retryable) == ("provider_unavailable", False)
    assert "api_base" in error.message


async def test_redirects_are_not_followed(gateway: Gateway, upstream: RawUpstream, at: Make):
    upstream.play([answer("307 Temporary Redirect", b"", location=upstream.base + "/elsewhere")])
    error, _ = await failure(gateway, at())
    assert (error.code, error.retryable) == ("provider_unavailable", False)
    assert "redirect" in error.message
    assert len(upstream.requests) == 1


async def test_silence_before_the_first_token(gateway: Gateway, upstream: RawUpstream, at: Make):
    upstream.play([sse_head(), *([b": ping\n\n", 0.05] * 40)])
    started = time.monotonic()
    error, _ = await failure(gateway, at(first_token=0.4, idle=10.0))
    assert error.code == "provider_timeout"
    assert "nothing of an answer within 0.4 s" in error.message
    assert time.monotonic() - started < 5, "comments are no first token"


async def test_silence_before_the_head(gateway: Gateway, upstream: RawUpstream, at: Make):
    upstream.play([HOLD])
    error, _ = await failure(gateway, at(first_token=0.3))
    assert error.code == "provider_timeout"
    assert "0.3 s" in error.message


async def test_silence_in_mid_stream(gateway: Gateway, upstream: RawUpstream, at: Make):
    upstream.play([sse_head(), chat("Hello"), HOLD])
    error, text = await failure(gateway, at(idle=0.3))
    assert (error.code, text) == ("provider_timeout", "Hello")
    assert "fell silent for 0.3 s" in error.message


async def test_comments_keep_a_stream_alive(gateway: Gateway, upstream: RawUpstream, at: Make):
    upstream.play([sse_head(), chat("Hello"), *([0.1, b": still here\n\n"] * 8), *CHAT_OK[2:]])
    got = await stream(gateway, ask(), at(idle=0.4))
    assert got.answer.text == "Hello world"


async def test_total_time(gateway: Gateway, upstream: RawUpstream, at: Make):
    upstream.play([sse_head(), *([chat("x"), 0.05] * 100)])
    error, text = await failure(gateway, at(total=0.5))
    assert (error.code, error.retryable) == ("provider_timeout", False)
    assert "within 0.5 s" in error.message
    assert text.startswith("xx")


async def test_a_stream_that_never_ends_is_stopped(upstream: RawUpstream, at: Make):
    upstream.play([sse_head(), *([chat("y" * 1000)] * 200), HOLD])
    gateway = Gateway(max_answer=50_000)
    error, text = await failure(gateway, at())
    assert (error.code, error.retryable) == ("stream_interrupted", False)
    assert "50000 characters" in error.message
    assert len(text) <= 50_000 + 70_000, "no more than one network read beyond the bound"
    await gateway.aclose()


async def test_a_line_that_never_ends_is_stopped(gateway: Gateway, upstream: RawUpstream, at: Make):
    upstream.play([sse_head(), chat("Hi"), 0.05, b"data: ", *([b"z" * 65536] * 40), HOLD])
    error, text = await failure(gateway, at())
    assert (error.code, text) == ("stream_interrupted", "Hi")
    assert "longer than" in error.message


async def test_error_object_in_mid_stream(gateway: Gateway, upstream: RawUpstream, at: Make):
    upstream.play([sse_head(), chat("Hello"), event({"error": {"message": "Server overloaded", "code": 503}})])
    error, text = await failure(gateway, at())
    assert (error.code, error.retryable, text) == ("provider_unavailable", True, "Hello")


async def test_error_object_with_status_200(gateway: Gateway, upstream: RawUpstream, at: Make):
    body = b'{"error": {"message": "This model\'s maximum context length is 10 tokens", "type": "invalid_request"}}'
    upstream.play([answer("200 OK", body)])
    error, _ = await failure(gateway, at())
    assert error.code == "context_length_exceeded"


async def test_whole_answer_where_a_stream_was_asked_for(gateway: Gateway, upstream: RawUpstream, at: Make):
    upstream.play(
        [answer("200 OK", b'{"choices": [{"message": {"content": "All at once"}, "finish_reason": "stop"}]}')]
    )
    got = await stream(gateway, ask(), at())
    assert got.answer.text == "All at once"


async def test_content_filter_is_told(gateway: Gateway, upstream: RawUpstream, at: Make):
    body = b'{"error": {"code": "content_filter", "message": "The response was filtered."}}'
    upstream.play([answer("400 Bad Request", body)])
    error, _ = await failure(gateway, at())
    assert (error.code, error.retryable) == ("content_filtered", False)


async def test_filtered_answer_finishes_with_its_reason(gateway: Gateway, upstream: RawUpstream, at: Make):
    upstream.play([sse_head(), chat("I "), chat("", finish_reason="content_filter"), event("[DONE]")])
    got = await stream(gateway, ask(), at())
    assert (got.answer.text, got.answer.finish_reason) == ("I ", "content_filter")


async def test_out_of_credit_is_not_retried(gateway: Gateway, upstream: RawUpstream, at: Make):
    body = b'{"error": {"code": "insufficient_quota", "message": "You exceeded your current quota"}}'
    upstream.play([answer("429 Too Many Requests", body)])
    error, _ = await failure(gateway, at(retries=3))
    assert (error.code, error.retryable) == ("provider_rate_limited", False)
    assert "credit" in error.message
    assert len(upstream.requests) == 1


async def test_a_bad_request_shows_the_providers_words_without_keys(gateway: Gateway, upstream: RawUpstream, at: Make):
    words = f"Unknown field foo for key {KEY} and sk-proj-abcdefghijkl and Bearer abcdefghi"
    upstream.play([answer("400 Bad Request", b'{"error": {"message": "%s"}}' % words.encode())])
    error, _ = await failure(gateway, at())
    assert error.code == "invalid_request"
    assert "Unknown field foo" in error.message
    assert "sk-proj" not in error.message
    assert "abcdefghi" not in error.message


async def test_transport_direct_without_a_wire(gateway: Gateway, at: Make):
    error, _ = await failure(gateway, at("bedrock/x", transport="direct"))
    assert (error.code, error.retryable) == ("provider_unavailable", False)
    assert "no direct wire for bedrock" in error.message


async def test_a_provider_without_default_address(gateway: Gateway, at: Make):
    error, _ = await failure(gateway, at("hosted_vllm/x", api_base=None))
    assert error.code == "invalid_request"
    assert "api_base" in error.message


@pytest.mark.parametrize("how", ["cancel", "aclose"])
async def test_cancelling_closes_the_providers_connection(gateway: Gateway, upstream: RawUpstream, at: Make, how: str):
    upstream.play([sse_head(), chat("Hello"), HOLD])
    first = asyncio.Event()
    source = gateway.stream(ask(), [at()])

    async def read() -> None:
        async for chunks in source:
            if any(isinstance(chunk, TextDelta) for chunk in chunks):
                first.set()
                if how == "aclose":
                    return

    task = asyncio.ensure_future(read())
    await asyncio.wait_for(first.wait(), 10)
    if how == "cancel":
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    else:
        await task
        await source.aclose()
    await upstream.wait_until_gone()
    assert gateway.stats()["pool"]["in_use"] == 0
