"""CPU per streamed token of the gateway alone: direct wires, raw httpx as the floor, LiteLLM as the peer.

    python benchmarks/gateway.py [--paths raw,openai-chat,…] [--loop asyncio|uvloop] [--json]

The upstream is a raw asyncio server in a process of its own that writes one event per token, each in its own write.
It is read in two ways: `full`, one stream as fast as it comes, so that a network read brings many tokens; and
`paced`, 50 streams at 50 tokens per second each, so that every token also costs a wake-up of the event loop and a
system call. CPU is that of this whole process (user and system) from the first request to the last token, divided
by the tokens received. A paced run in which the upstream or the reader used over 80 % of a core is void.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import resource
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import httpx
import msgspec

from ai_assistant.core.model import ModelConfig
from ai_assistant.gateway.chunks import Finish, TextDelta
from ai_assistant.gateway.gateway import Gateway
from ai_assistant.gateway.request import GatewayRequest

#: Tokens of equal length, for counting, but not all the same: LiteLLM takes repetition for a fault and stops.
_WORDS = ("quite ", "every ", "other ", "token ")
_LENGTH = len(_WORDS[0])
_PLACE = "@" * _LENGTH
_PATHS = ("raw", "openai-chat", "openai-responses", "anthropic", "ollama", "litellm")


def _events(path: str, tokens: int) -> tuple[str, list[bytes], list[bytes], list[bytes]]:
    """Media type, what comes before the tokens, the tokens, and what comes after them, in a provider's protocol."""

    def sse(*events: dict[str, Any] | str) -> list[bytes]:
        return [
            f"event: {e.get('type')}\ndata: {json.dumps(e)}\n\n".encode()
            if isinstance(e, dict) and "type" in e
            else f"data: {e if isinstance(e, str) else json.dumps(e)}\n\n".encode()
            for e in events
        ]

    stream = "text/event-stream"
    if path == "/api/chat":
        line = json.dumps({"model": "m", "created_at": "2026-01-01T00:00:00Z", "message": {"content": _PLACE}})
        last = {"model": "m", "done": True, "prompt_eval_count": 9, "eval_count": tokens}
        return "application/x-ndjson", [], [line.encode() + b"\n"] * tokens, [json.dumps(last).encode() + b"\n"]
    if path.endswith("/messages"):
        before = sse({"type": "message_start", "message": {"model": "m", "usage": {"input_tokens": 9}}})
        before += sse({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
        delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": _PLACE}}
        after = sse(
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": tokens}},
            {"type": "message_stop"},
        )
        return stream, before, sse(delta) * tokens, after
    if path.endswith("/responses"):
        item = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
        delta = {"type": "response.output_text.delta", **item, "delta": _PLACE, "sequence_number": 4}
        usage = {"input_tokens": 9, "output_tokens": tokens}
        done = {"type": "response.completed", "response": {"status": "completed", "model": "m", "usage": usage}}
        return stream, [], sse(delta) * tokens, sse(done)
    head = {"id": "chatcmpl-0123456789", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    choice = {"index": 0, "delta": {"content": _PLACE}, "logprobs": None, "finish_reason": None}
    end = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}
    usage = {"prompt_tokens": 9, "completion_tokens": tokens, "total_tokens": tokens + 9}
    after = sse({**head, "choices": [end]}, {**head, "choices": [], "usage": usage}, "[DONE]")
    return stream, [], sse({**head, "choices": [choice]}) * tokens, after


async def _serve(tokens: int, rate: float) -> None:
    """The upstream process: prints its port, then its CPU seconds for each line on standard input."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
                await reader.readexactly(length)
                await _answer(writer, head.split(b" ", 2)[1].decode(), tokens, rate)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(time.process_time(), flush=True)


async def _answer(writer: asyncio.StreamWriter, path: str, tokens: int, rate: float) -> None:
    media_type, before, pieces, after = _events(path, tokens)
    writer.write(f"HTTP/1.1 200 OK\r\ncontent-type: {media_type}\r\ntransfer-encoding: chunked\r\n\r\n".encode())
    start = time.monotonic()
    for number, piece in enumerate([*before, *pieces, *after]):
        piece = piece.replace(_PLACE.encode(), _WORDS[number % len(_WORDS)].encode())
        writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        await writer.drain()
        if rate:
            await asyncio.sleep(max(0.0, start + (number + 1) / rate - time.monotonic()))
    writer.write(b"0\r\n\r\n")
    await writer.drain()


def _model(path: str, base: str) -> ModelConfig:
    provider = {"anthropic": "anthropic/m", "ollama": "ollama/m"}.get(path, "openai/m")
    api_base = base if path in ("anthropic", "ollama") else f"{base}/v1"
    return ModelConfig(
        name=path,
        model=provider,
        api_base=api_base,
        api_key="none",
        transport="litellm" if path == "litellm" else "direct",
        wire=None if path in ("litellm", "ollama", "anthropic") else path,
        max_streams=10_000,
    )


def _reader(path: str, base: str, gateway: Gateway, client: httpx.AsyncClient) -> Callable[[], Awaitable[int]]:
    """A coroutine function that reads one stream and returns the number of its tokens."""
    request = GatewayRequest(messages=[{"role": "user", "content": "hello"}])

    async def raw() -> int:
        count = 0
        body = {"model": "m", "stream": True}
        async with client.stream("POST", f"{base}/v1/chat/completions", json=body) as response:
            async for piece in response.aiter_raw():
                count += sum(piece.count(word.encode()) for word in _WORDS)
        return count

    async def streamed() -> int:
        count = 0
        model = _model(path, base)
        async for chunks in gateway.stream(request, [model]):
            for chunk in chunks:
                if type(chunk) is TextDelta:
                    count += len(chunk.text) // _LENGTH
                elif type(chunk) is Finish:
                    assert chunk.usage is not None
        return count

    return raw if path == "raw" else streamed


async def _measure(path: str, pace: str, base: str, streams: int, upstream: Upstream) -> dict[str, Any]:
    gateway = Gateway()
    async with httpx.AsyncClient(trust_env=False, timeout=None, limits=httpx.Limits(max_connections=None)) as client:
        read = _reader(path, base, gateway, client)
        await read()  # imports, tables and one connection are warm
        served = await upstream.cpu()
        cpu, wall = time.process_time(), time.perf_counter()
        counts = await asyncio.gather(*(read() for _ in range(streams)))
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        served = await upstream.cpu() - served
    await gateway.aclose()
    received = sum(counts)
    return {
        "path": path,
        "pace": pace,
        "tokens": received,
        "us_per_token": round(cpu / received * 1e6, 1),
        "cpu_percent": round(cpu / wall * 100, 1),
        "upstream_cpu_percent": round(served / wall * 100, 1),
        "void": pace == "paced" and (served / wall > 0.8 or cpu / wall > 0.8),
        "rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


class Upstream:
    """The upstream's process."""

    def __init__(self, process: asyncio.subprocess.Process, port: int):
        self._process = process
        self.base = f"http://127.0.0.1:{port}"

    @classmethod
    async def start(cls, tokens: int, rate: float) -> Upstream:
        """Start it and wait for its port."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            __file__,
            "--upstream",
            f"--tokens={tokens}",
            f"--rate={rate}",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        return cls(process, int(await asyncio.wait_for(process.stdout.readline(), 20)))

    async def cpu(self) -> float:
        """CPU seconds that it has used."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"\n")
        return float(await asyncio.wait_for(self._process.stdout.readline(), 20))

    async def stop(self) -> None:
        """End it."""
        self._process.terminate()
        await self._process.wait()


async def _main(options: argparse.Namespace) -> None:
    rows = []
    paces = {"full": (1, 20_000, 0.0), "paced": (options.streams, options.tokens, options.rate)}
    for path in options.paths.split(","):
        for pace, (streams, tokens, rate) in paces.items():
            upstream = await Upstream.start(tokens // 10 if path == "litellm" and not rate else tokens, rate)
            try:
                rows.append(await _measure(path, pace, upstream.base, streams, upstream))
            finally:
                await upstream.stop()
            if not options.json:
                _show(rows[-1])
    if options.json:
        machine = {"python": platform.python_version(), "cpus": os.cpu_count(), "system": platform.platform()}
        print(msgspec.json.encode({"machine": machine, "options": vars(options), "rows": rows}).decode())


def _show(row: dict[str, Any]) -> None:
    void = "  VOID: upstream or reader was the limit" if row["void"] else ""
    print(
        f"{row['path']:<18}{row['pace']:<7}{row['us_per_token']:>8} µs CPU/token {row['tokens']:>8} tokens "
        f"{row['cpu_percent']:>6} % CPU {row['rss_mb']:>7} MB{void}",
        flush=True,
    )


def _run(main: Coroutine[Any, Any, None], loop: str) -> None:
    if loop == "uvloop":
        import uvloop

        uvloop.run(main)
    else:
        asyncio.run(main)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--streams", type=int, default=50, help="of the paced run")
    parser.add_argument("--tokens", type=int, default=200, help="per stream of the paced run")
    parser.add_argument("--rate", type=float, default=50.0, help="tokens per second and stream of the paced run")
    parser.add_argument("--paths", default=",".join(_PATHS))
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--upstream", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.upstream:
        asyncio.run(_serve(options.tokens, options.rate))
    else:
        _run(_main(options), options.loop)


if __name__ == "__main__":
    main()
