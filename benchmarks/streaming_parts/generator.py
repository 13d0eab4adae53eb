"""The generator as the parent sees it: the upstream's process and one clients' process for each load."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec

from .child import Child, ChildError
from .job import Job, Line, Result

#: What a generator's process may use of a core before the run is void.
MOST_OF_A_CORE = 0.8
READY_S = 180.0


class UpstreamStats(msgspec.Struct):
    """What the upstream says of itself."""

    cpu_s: float
    requests: int
    tokens: int
    late_tokens: int
    latest_ms: float


class Upstream:
    """The upstream's process."""

    def __init__(self, port: int):
        self.base = f"http://127.0.0.1:{port}/v1"
        self._url = f"http://127.0.0.1:{port}/stats"

    async def stats(self) -> UpstreamStats:
        """Its figures; counts of lateness begin anew."""
        async with aiohttp.ClientSession() as http, http.get(self._url) as answer:
            return msgspec.json.decode(await answer.read(), type=UpstreamStats)


class _Port(msgspec.Struct):
    port: int


@asynccontextmanager
async def upstream(folder: Path, port: int = 0) -> AsyncIterator[Upstream]:
    """Starts it on any free port, or on that one. Raises ChildError."""
    async with await Child.module("streaming_parts.upstream", folder) as child:
        await child.tell(str(port).encode())
        yield Upstream(msgspec.json.decode(await child.line(READY_S), type=_Port).port)


class Clients:
    """One clients' process with its job."""

    def __init__(self, child: Child, job: Job):
        self._child = child
        self._job = job

    async def run(self, on_mark: Callable[[int], Awaitable[None]] | None = None) -> Result:
        """Lets them begin and gives what they saw. Raises ChildError."""
        await self._child.tell(b"go")
        limit = self._job.timeout_s * self._job.rounds + self._job.spread_s + 60
        while True:
            line = msgspec.json.decode(await self._child.line(limit), type=Line)
            if line.result is not None:
                return line.result
            if line.mark and on_mark is not None:
                await on_mark(line.mark)


@asynccontextmanager
async def clients(folder: Path, job: Job) -> AsyncIterator[Clients]:
    """Starts them, logged in and with their sockets open. Raises ChildError."""
    async with await Child.module("streaming_parts.clients", folder) as child:
        await child.tell(msgspec.json.encode(job))
        line = msgspec.json.decode(await child.line(READY_S), type=Line)
        if not line.ready:
            raise ChildError("the clients began with another line than ready")
        await asyncio.sleep(0.3)
        yield Clients(child, job)
