"""CPU and memory of the serving processes, from outside."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import psutil

#: Seconds between two looks at the memory.
EVERY = 0.1
REDIS_NAMES = ("redis-server", "valkey-server")
MIB = 1024 * 1024


class Serving(msgspec.Struct, frozen=True):
    """A process that serves, with its children; its name tells it apart in the report."""

    pid: int
    name: str = ""

    @classmethod
    def parse(cls, text: str) -> Serving:
        """`[name=]pid` of the command line. Raises ValueError."""
        name, _, pid = text.rpartition("=")
        return cls(int(pid), name)


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """CPU seconds since their start, and resident bytes now, of the serving processes and of their Redis."""

    cpu_s: float = 0.0
    redis_cpu_s: float = 0.0
    rss: int = 0
    redis_rss: int = 0
    waited_s: float = 0.0
    """How long the serving processes were ready to run and had no core: of a machine that is busy with other work."""
    parts: dict[str, float] = {}
    """CPU seconds by the name of the process, where one was given."""


class Processes:
    """The processes that serve, with their children; a Redis among them is counted apart."""

    def __init__(self, serving: list[Serving]):
        """Raises psutil.NoSuchProcess for a process that is not there."""
        self._roots = [psutil.Process(each.pid) for each in serving]
        self._names = {each.pid: each.name for each in serving if each.name}
        self.peak = Usage()
        """The highest sum of memory that was seen while `watch` ran."""

    def look(self) -> Usage:
        """The figures now. A child that ends meanwhile is left out."""
        serving, redis = [0.0, 0], [0.0, 0]
        for process in self._all():
            try:
                times, memory = process.cpu_times(), process.memory_info().rss
                sums = redis if process.name().startswith(REDIS_NAMES) else serving
            except psutil.NoSuchProcess:
                continue
            sums[0] += times.user + times.system
            sums[1] += memory
        waited = sum(waited_s(root.pid) for root in self._roots)
        return Usage(
            cpu_s=serving[0],
            redis_cpu_s=redis[0],
            rss=int(serving[1]),
            redis_rss=int(redis[1]),
            waited_s=waited,
            parts={self._names[root.pid]: cpu_s(root) for root in self._roots if root.pid in self._names},
        )

    async def watch(self) -> None:
        """Keeps `peak`. Runs until cancelled."""
        while self._roots:
            now = self.look()
            if now.rss + now.redis_rss > self.peak.rss + self.peak.redis_rss:
                self.peak = now
            await asyncio.sleep(EVERY)

    def _all(self) -> list[psutil.Process]:
        found: dict[int, psutil.Process] = {}
        for root in self._roots:
            for process in (root, *root.children(recursive=True)):
                found[process.pid] = process
        return list(found.values())


def cpu_s(root: psutil.Process) -> float:
    """CPU seconds of a process and its children; one that ends meanwhile is left out."""
    total = 0.0
    for process in (root, *root.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def waited_s(pid: int) -> float:
    """Seconds that a process's main thread has waited on a run queue (Linux, `/proc/<pid>/schedstat`); elsewhere 0."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


def mib(size: int) -> float:
    """Bytes as MiB, to one decimal."""
    return round(size / MIB, 1)


def as_dict(usage: Usage) -> dict[str, Any]:
    """For the JSON report."""
    return {"rss_mib": mib(usage.rss), "redis_rss_mib": mib(usage.redis_rss)}
