"""Requests that cost the host more than their sender: large, dense, slow."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import httpx
import pytest
from hosting import PASSWORD, WebHost

from ai_assistant.host import body as bodies
from ai_assistant.host import listener
from ai_assistant.host.body import MAX_CONTAINERS, MAX_ESCAPES, MAX_GUEST_BODY

STATUS = "/api/method/ai_assistant.api.status"
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def test_a_guest_sends_little_and_a_user_much(http: httpx.AsyncClient) -> None:
    large = b'{"unknown": "' + b"x" * MAX_GUEST_BODY + b'"}'
    refused = await http.post(STATUS, content=large, headers=JSON)
    assert refused.status_code == 413
    assert "log in" in refused.text
    made_up = {**JSON, "Cookie": "sid=made-up", "Authorization": "token made:up"}
    assert (await http.post(STATUS, content=large, headers=made_up)).status_code == 413
    await http.post("/api/method/login", json={"usr": "ann", "pwd": PASSWORD})
    assert (await http.post(STATUS, content=large, headers=JSON)).status_code == 200


async def test_a_guest_cannot_hide_the_size_in_chunks(http: httpx.AsyncClient) -> None:
    async def chunks() -> Any:
        for _ in range(MAX_GUEST_BODY // 8192 + 2):
            yield b"x" * 8192

    try:
        answer = await http.post(STATUS, content=chunks(), headers=JSON)
    except (httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
        return  # the server had answered and closed while the client was still sending
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("content", "headers", "says"),
    [
        (b"[" + b"[]," * MAX_CONTAINERS + b"[]]", JSON, "brackets"),
        (b"a=" + b"%41" * (MAX_ESCAPES + 1), FORM, "escapes"),
    ],
)
async def test_a_body_that_is_dear_to_read_is_refused_unread(
    http: httpx.AsyncClient, content: bytes, headers: dict[str, str], says: str
) -> None:
    await http.post("/api/method/login", json={"usr": "ann", "pwd": PASSWORD})
    answer = await http.post(STATUS, content=content, headers=headers)
    assert answer.status_code == 400
    assert says in answer.text


async def test_a_head_without_end_is_refused(host: WebHost) -> None:
    _reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n")
    sent = 0
    try:
        while sent < 64 * 1024 * 1024:
            writer.write(b"X: " + b"a" * 8192 + b"\r\n")
            await writer.drain()
            sent += 8197
    except ConnectionError:
        pass
    assert sent < 64 * 1024 * 1024, "the host took it all"
    writer.close()


@pytest.mark.parametrize("head", [b"", b"GET /heal", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"])
async def test_a_connection_without_a_whole_head_ends(
    host: WebHost, monkeypatch: pytest.MonkeyPatch, head: bytes
) -> None:
    monkeypatch.setattr(listener, "HEAD_TIMEOUT", 0.3)
    reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
    writer.write(head)
    with contextlib.suppress(ConnectionResetError):
        assert await asyncio.wait_for(reader.read(), 10) == b""
    writer.close()


async def test_a_second_request_of_a_connection_is_timed_anew(host: WebHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "HEAD_TIMEOUT", 0.5)
    reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
    for _ in range(3):
        await asyncio.sleep(0.3)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\nok"), 10)).startswith(b"HTTP/1.1 200")
    writer.write(b"GET /heal")
    with contextlib.suppress(ConnectionResetError):
        assert await asyncio.wait_for(reader.read(), 10) == b""
    writer.close()


async def test_a_body_that_never_comes_is_400(host: WebHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_TIMEOUT", 0.3)
    reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
    writer.write(f"POST {STATUS} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n".encode())
    assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).startswith(b"HTTP/1.1 400")
    writer.close()
