"""Connections: kept and used again, verified over TLS, abandoned at once, on both event loops."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import KEY, ask, stream
from raw_upstream import CHAT_OK, HOLD, RawUpstream, chat, event, kept_open, sse_head

from ai_assistant.core.errors import ChatError
from ai_assistant.core.model import ModelConfig
from ai_assistant.gateway.chunks import TextDelta
from ai_assistant.gateway.gateway import Gateway

Make = Callable[..., ModelConfig]
PIECES = (chat("Hello"), chat(" world", finish_reason="stop"), event("[DONE]"))


async def test_a_connection_is_used_again(gateway: Gateway, upstream: RawUpstream, at: Make):
    upstream.play(kept_open(*PIECES))
    for _ in range(3):
        assert (await stream(gateway, ask(), at())).answer.text == "Hello world"
    assert len(upstream.requests) == 3
    assert upstream.connections == 1


async def test_a_kept_connection_that_was_closed_is_replaced(gateway: Gateway, upstream: RawUpstream, at: Make):
    upstream.play(CHAT_OK)
    for _ in range(3):
        assert (await stream(gateway, ask(), at())).answer.text == "Hello world"
        await asyncio.sleep(0.02)
    assert upstream.connections == 3


async def test_many_streams_at_once(gateway: Gateway, upstream: RawUpstream, at: Make):
    upstream.play([sse_head(), *(step for n in range(20) for step in (chat(f"{n} "), 0.01)), *CHAT_OK[2:]])
    model = at(max_streams=100)
    answers = await asyncio.gather(*(stream(gateway, ask(), model) for _ in range(60)))
    expected = "".join(f"{n} " for n in range(20)) + " world"
    assert [got.answer.text for got in answers] == [expected] * 60


async def test_a_slow_reader_loses_nothing(gateway: Gateway, upstream: RawUpstream, at: Make):
    text = "a" * 20_000
    upstream.play([sse_head(), *([chat(text)] * 60), *CHAT_OK[2:]])
    got = []
    async for chunks in gateway.stream(ask(), [at()]):
        await asyncio.sleep(0.002)
        got += [chunk.text for chunk in chunks if isinstance(chunk, TextDelta)]
    assert "".join(got) == text * 60 + " world"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for 127.0.0.1 that signs itself, with its key in the same file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the openssl program to make a certificate")
    path = tmp_path / "server.pem"
    command = f"{openssl} req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 "
    command += f"-addext subjectAltName=IP:127.0.0.1 -keyout {path} -out {tmp_path}/cert.pem"
    subprocess.run(command.split(), check=True, capture_output=True, timeout=30)
    path.write_text(path.read_text() + (tmp_path / "cert.pem").read_text())
    return path


def _tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


async def test_a_certificate_that_nobody_vouches_for_is_refused(gateway: Gateway, at: Make, certificate: Path):
    async with RawUpstream(_tls(certificate)) as upstream:
        upstream.play(CHAT_OK)
        with pytest.raises(ChatError) as caught:
            await stream(gateway, ask(), at(api_base=upstream.base))
    assert (caught.value.code, caught.value.retryable) == ("provider_unavailable", False)
    assert "certificate" in caught.value.message
    assert upstream.requests == [], "no request, and so no key, was sent"


async def test_streaming_over_tls(at: Make, certificate: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    gateway = Gateway()
    async with RawUpstream(_tls(certificate)) as upstream:
        upstream.play(kept_open(*PIECES))
        for _ in range(2):
            assert (await stream(gateway, ask(), at(api_base=upstream.base))).answer.text == "Hello world"
        assert upstream.connections == 1
        upstream.play([sse_head(), chat("Hello"), HOLD])
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(stream(gateway, ask(), at(api_base=upstream.base)), 0.3)
        await upstream.wait_until_gone()
    await gateway.aclose()


def test_on_uvloop():
    uvloop = pytest.importorskip("uvloop")

    async def run() -> None:
        gateway = Gateway()
        async with RawUpstream() as upstream:
            model = ModelConfig(name="m", model="openai_like/m", api_base=upstream.base, api_key=KEY)
            upstream.play(kept_open(*PIECES))
            for _ in range(2):
                assert (await stream(gateway, ask(), model)).answer.text == "Hello world"
            assert upstream.connections == 1
            upstream.play([sse_head(), chat("Hello"), HOLD])
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(stream(gateway, ask(), model), 0.3)
            await upstream.wait_until_gone()
        await gateway.aclose()

    loop = uvloop.new_event_loop()
    try:
        loop.run_until_complete(asyncio.wait_for(run(), 30))
    finally:
        loop.close()


async def test_environment_proxies_are_used_but_not_for_this_machine(
    upstream: RawUpstream, at: Make, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HTTP_PROXY", upstream.base)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    upstream.play(CHAT_OK)
    gateway = Gateway()
    through = await stream(gateway, ask(), at(api_base="http://provider.invalid/v1"))
    assert through.answer.text == "Hello world"
    assert upstream.requests[-1][0].startswith("POST http://provider.invalid/v1/chat/completions")
    await stream(gateway, ask(), at())
    assert upstream.requests[-1][0].startswith("POST /chat/completions")
    await gateway.aclose()
