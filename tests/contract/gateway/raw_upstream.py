"""A raw HTTP upstream for byte-exact misbehaviour: each request is answered by a script of bytes and pauses.

It parses no more of HTTP than a test needs, and notes when a client goes away.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Sequence
from typing import Any

#: Steps of a script: bytes are written as they are, a number is a pause in seconds, `CUT` resets the connection,
#: `HOLD` keeps it open until the client goes away.
CUT = "cut"
HOLD = "hold"
Step = bytes | float | str


def sse_head(status: str = "200 OK", media_type: str = "text/event-stream") -> bytes:
    """The head of an answer whose body ends with the connection."""
    return f"HTTP/1.1 {status}\r\ncontent-type: {media_type}\r\nconnection: close\r\n\r\n".encode()


def answer(status: str, body: bytes, media_type: str = "application/json", **headers: str) -> bytes:
    """A whole answer."""
    lines = [f"HTTP/1.1 {status}", f"content-type: {media_type}", f"content-length: {len(body)}", "connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def kept_open(*body: bytes) -> tuple[Step, ...]:
    """An SSE answer in chunks, after which the connection stays open for the next request."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    return (head, *(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in body), b"0\r\n\r\n")


def event(data: Any) -> bytes:
    """One SSE event."""
    text = data if isinstance(data, str) else json.dumps(data)
    return f"data: {text}\n\n".encode()


def chat(text: str, **choice: Any) -> bytes:
    """A delta of the chat form."""
    return event({"model": "m", "choices": [{"index": 0, "delta": {"content": text}, **choice}]})


#: A complete short answer of the chat form.
CHAT_OK: tuple[Step, ...] = (
    sse_head(),
    chat("Hello"),
    chat(" world", finish_reason="stop"),
    event({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}}),
    event("[DONE]"),
)


class RawUpstream:
    """The server. `play` queues the scripts of the next requests; the last one is repeated."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        """`tls`: speak https with this server's context."""
        self._tls = tls
        self._scripts: list[Sequence[Step]] = []
        self._server: asyncio.Server | None = None
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.gone: list[float] = []
        """When a client closed its connection before the script's end (`time.monotonic`)."""
        self._someone_left = asyncio.Event()
        self.connections = 0
        self.open = 0
        self.most_open = 0

    async def __aenter__(self) -> RawUpstream:
        self._server = await asyncio.start_server(self._handle, "127.0.0.1", 0, ssl=self._tls)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    @property
    def base(self) -> str:
        """Its address."""
        assert self._server is not None
        scheme = "https" if self._tls else "http"
        return f"{scheme}://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def play(self, *scripts: Sequence[Step]) -> None:
        """Answer the next requests with these scripts, one each."""
        self._scripts = list(scripts)

    async def wait_until_gone(self) -> None:
        """Wait until a client has closed its connection in the middle of a script; fails after ten seconds."""
        await asyncio.wait_for(self._someone_left.wait(), 10)

    def bodies(self) -> list[Any]:
        """The JSON bodies of the requests."""
        return [json.loads(body) for _, _, body in self.requests]

    def _left(self) -> None:
        self.gone.append(time.monotonic())
        self._someone_left.set()

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: a request after the other, until a script's head says that it closes."""
        self.connections += 1
        try:
            while await self._answer_one(reader, writer):
                pass
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; returns whether the connection is kept."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = head.split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:]) if k}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.requests.append((lines[0], headers, body))
        script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
        self.open += 1
        self.most_open = max(self.open, self.most_open)
        gone = asyncio.ensure_future(reader.read(1))
        try:
            await self._run(script, writer, gone)
        except ConnectionError:
            self._left()
        finally:
            self.open -= 1
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)
        first = script[0]
        return isinstance(first, bytes) and b"connection: close" not in first and not writer.is_closing()

    async def _run(self, script: Sequence[Step], writer: asyncio.StreamWriter, gone: asyncio.Future[bytes]) -> None:
        for step in script:
            if isinstance(step, bytes):
                writer.write(step)
                await writer.drain()
                continue
            if step == CUT:
                writer.transport.abort()
                return
            done, _ = await asyncio.wait([gone], timeout=60 if step == HOLD else float(step))
            if done:
                self._left()
                return
