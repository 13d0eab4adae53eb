"""The suite's own provider: an HTTP server on raw sockets that plays scripts, well-behaved ones and others.

Paths below `/s` are answered by the script whose key stands last in the request; those below `/aimock` are handed on
to aimock, so that a remote host needs to reach one address only.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from .background import Background
from .chunks import answer
from .script import Call, Cut, Endless, Gate, Hold, Pause, Reply, Script, Step

_KEY = re.compile(rb"k-[0-9a-f]{12}")
#: Longest time that a stream is held open for a test, in seconds.
PATIENCE = 60.0
Headers = dict[str, str]


class Upstream:
    """The server. A context manager; `address` is where hosts reach it."""

    def __init__(self, background: Background, bind: str = "127.0.0.1:0", aimock_url: str = ""):
        self._background = background
        self._host, _, port = bind.rpartition(":")
        self._port = int(port)
        self._aimock = urlsplit(aimock_url)
        self._scripts: dict[bytes, Script] = {}
        self._server: asyncio.Server | None = None
        self.unscripted: list[Call] = []
        """Calls without a known key; they get a short answer."""

    def __enter__(self) -> Upstream:
        self._server = self._background.run(asyncio.start_server(self._serve, self._host, self._port))
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self._background.loop.call_soon_threadsafe(self._server.close)

    @property
    def address(self) -> str:
        """`http://host:port`."""
        return f"http://{self._host}:{self._port}"

    def script(self, *replies: Reply | list[Step]) -> Script:
        """A script with a reply for each call; a list of steps is a stream of server-sent events."""
        made = Script([reply if isinstance(reply, Reply) else Reply(reply) for reply in replies])
        self._scripts[made.key.encode()] = made
        return made

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            method, path, headers = await _head(reader)
            body = await _body(reader, headers)
            if path.startswith("/aimock/"):
                await self._hand_on(method, path.removeprefix("/aimock"), headers, body, writer)
            else:
                await self._play(path, headers, body, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the host hung up, which is what many tests are about
        finally:
            writer.close()

    async def _play(
        self, path: str, headers: Headers, body: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        call = Call(path, headers, _json(body))
        watch = asyncio.create_task(_note_close(reader, call))
        try:
            await _answer(self._reply(body, call), call, writer)
        except ConnectionError:
            call.closed.set()
        finally:
            watch.cancel()
            call.over.set()

    def _reply(self, body: bytes, call: Call) -> Reply:
        for key in reversed(_KEY.findall(body)):
            if key in self._scripts:
                return self._scripts[key].take(call)
        self.unscripted.append(call)
        return Reply(list(answer("Unscripted answer.")))

    async def _hand_on(
        self, method: str, path: str, headers: Headers, body: bytes, writer: asyncio.StreamWriter
    ) -> None:
        """Ask aimock the same and pass its answer through, byte by byte."""
        far_reader, far_writer = await asyncio.open_connection(self._aimock.hostname, self._aimock.port)
        kept = {k: v for k, v in headers.items() if k not in ("connection", "content-length", "transfer-encoding")}
        kept |= {"connection": "close", "content-length": str(len(body))}
        head = "".join(f"{name}: {value}\r\n" for name, value in kept.items())
        far_writer.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
        try:
            await _relay(far_reader, writer)  # aimock may break off in mid-answer; then the end is missing here too
        finally:
            far_writer.close()


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass one HTTP answer through, piece by piece, with its own framing."""
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip().split("\r\n")
    kept = [line for line in lines if not line.lower().startswith(("connection:", "keep-alive:"))]
    writer.write(("\r\n".join([*kept, "Connection: close"]) + "\r\n\r\n").encode("latin-1"))
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    if "chunked" not in headers.get("transfer-encoding", ""):
        writer.write(await reader.readexactly(int(headers.get("content-length", 0))))
        return
    size = -1
    while size:
        line = await reader.readuntil(b"\r\n")
        size = int(line, 16)
        writer.write(line + await reader.readexactly(size + 2))
        await writer.drain()


async def _answer(reply: Reply, call: Call, writer: asyncio.StreamWriter) -> None:
    lines = [f"HTTP/1.1 {reply.status} Scripted", "Transfer-Encoding: chunked", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in reply.headers.items()]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    for step in reply.steps:
        async for data in _data(step, call):
            writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            await writer.drain()
        if isinstance(step, Cut):
            writer.transport.abort()
            return
        if call.closed.is_set():
            return
    writer.write(b"0\r\n\r\n")
    await writer.drain()


async def _data(step: Step, call: Call) -> AsyncIterator[bytes]:
    """What a step writes; a step that waits writes nothing."""
    if isinstance(step, bytes):
        yield step
    elif isinstance(step, Pause):
        await asyncio.sleep(step.seconds)
    elif isinstance(step, Gate | Hold):
        await _until(lambda: call.closed.is_set() or (isinstance(step, Gate) and step.is_open))
    elif isinstance(step, Endless):
        while not call.closed.is_set():
            yield step.data
            await asyncio.sleep(step.interval)


async def _until(reached: Any) -> None:
    end = asyncio.get_running_loop().time() + PATIENCE
    while not reached() and asyncio.get_running_loop().time() < end:  # noqa: ASYNC110 - set by other threads
        await asyncio.sleep(0.005)


async def _note_close(reader: asyncio.StreamReader, call: Call) -> None:
    """Nothing more is to come from the client: whatever comes, or its end, means that it has gone."""
    with suppress(ConnectionError):
        await reader.read(1)
    call.closed.set()


async def _head(reader: asyncio.StreamReader) -> tuple[str, str, Headers]:
    text = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    request, *lines = text.rstrip().split("\r\n")
    method, path, _ = request.split(" ", 2)
    pairs = (line.partition(":") for line in lines)
    return method, path, {name.strip().lower(): value.strip() for name, _, value in pairs}


async def _body(reader: asyncio.StreamReader, headers: Headers) -> bytes:
    if "chunked" not in headers.get("transfer-encoding", ""):
        return await reader.readexactly(int(headers.get("content-length", 0)))
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readuntil(b"\r\n")
    return body


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
