"""An OpenAI-compatible upstream that stamps each token with the clock at which it is written.

Run as a process of its own: `python -m streaming_parts.upstream`. Reads a line with the port (0: any), prints one JSON
line with the port it took, and serves until its standard input is closed. `GET /stats` tells its CPU and its delays.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import cast

import msgspec

from .httpwire import Head, Request, RequestReader
from .loop import run_fast
from .stamps import token
from .upstream_stream import Stream, Watch

_json = msgspec.json.Encoder().encode


class Upstream:
    """What all connections share."""

    def __init__(self) -> None:
        self.watch = Watch()
        self.requests = 0
        self.port = 0

    async def serve(self, port: int) -> asyncio.Server:
        """Listens on a port of 127.0.0.1; 0 means a free one. Raises OSError."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Connection(self), "127.0.0.1", port, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        return server

    def stats(self) -> bytes:
        """CPU seconds of this process so far, and the counts of its watch."""
        times = os.times()
        figures = {"cpu_s": times.user + times.system, "requests": self.requests, **self.watch.take()}
        return _json(figures)


class Connection(asyncio.Protocol):
    """One client's connection: requests one after the other."""

    def __init__(self, upstream: Upstream):
        self._upstream = upstream
        self._reader = RequestReader()
        self._stream: Stream | None = None
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's is of no asyncio class

    def connection_lost(self, exc: Exception | None) -> None:
        if self._stream is not None:
            self._stream.stop()

    def data_received(self, data: bytes) -> None:
        try:
            for request in self._reader.feed(data):
                self._answer(request)
        except ValueError as error:
            self._send(400, _json({"error": {"message": str(error), "type": "invalid_request_error"}}))

    def _answer(self, request: Request) -> None:
        path = request.head.path
        if request.head.method == "POST" and path.endswith("/chat/completions"):
            self._chat(request)
        elif path == "/stats":
            self._send(200, self._upstream.stats())
        elif path.endswith("/models"):
            self._send(200, b'{"object":"list","data":[]}')
        else:
            self._send(404, _json({"error": {"message": f"nothing at {path}"}}))

    def _chat(self, request: Request) -> None:
        assert self._transport is not None
        self._upstream.requests += 1
        body = msgspec.json.decode(request.body, type=Chat)
        if not body.stream:
            self._send(200, whole_answer(body.model))
            return
        self._stream = Stream(self._transport, body.model, body.wants_usage(), self._upstream.watch)
        self._stream.start()

    def _send(self, status: int, body: bytes) -> None:
        assert self._transport is not None
        self._transport.write(Head.answer(status, "application/json", len(body)) + body)


class StreamOptions(msgspec.Struct):
    """OpenAI's `stream_options`."""

    include_usage: bool = False


class Chat(msgspec.Struct):
    """What is read of a request."""

    model: str
    stream: bool = False
    stream_options: StreamOptions | None = None

    def wants_usage(self) -> bool:
        """Whether the stream is to end with a usage chunk."""
        return self.stream_options is not None and self.stream_options.include_usage


def whole_answer(model: str) -> bytes:
    """The answer to a request that is not streamed: a warm-up, or a health check."""
    message = {"role": "assistant", "content": token(0)}
    return _json(
        {
            "id": "chatcmpl-bench",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": model,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 8, "completion_tokens": 1, "total_tokens": 9},
        }
    )


async def main() -> None:
    """Serves until standard input is closed."""
    upstream = Upstream()
    server = await upstream.serve(int(await asyncio.to_thread(sys.stdin.readline) or 0))
    print(_json({"port": upstream.port}).decode(), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


if __name__ == "__main__":
    run_fast(main())
