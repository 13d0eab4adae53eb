"""Measures one load: the generator around it, CPU and memory of what serves it."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from .generator import Upstream, UpstreamStats, clients
from .host import Target
from .job import Job, Result
from .loads import Load
from .row import Row, checks_of
from .usage import Processes, Serving, Usage, as_dict, mib

#: Beyond the length of a stream, how long one may take, in seconds.
PATIENCE_S = 60.0


def job_of(load: Load, target: Target | None, base: str, api_key: str = "", model: str = "") -> Job:
    """What the clients are told. `base` and `model` are of an OpenAI-compatible endpoint, where there is no host."""
    seconds = float(load.pace.split("-")[2]) if load.pace.count("-") >= 2 else 1.0
    job = Job(
        kind="chats" if target else "sse",
        url=target.url if target else base,
        model=load.model if target else model or load.pace,
        tokens=load.tokens,
        streams=load.streams,
        rounds=load.rounds,
        spread_s=min(2.0, 0.04 * load.streams),
        timeout_s=seconds + PATIENCE_S,
        conversation=load.conversation,
        marks=list(load.marks),
        api_key=api_key,
    )
    if target:
        job.site, job.socket_url = target.site, target.socket_url
        job.users, job.idle_users, job.idle_sockets = target.users, target.idle_users, load.idle_sockets
    return job


async def warm_up(folder: Path, job: Job) -> None:
    """One chat of the same model: connections, imports and caches belong to no load."""
    single = Job(**{name: getattr(job, name) for name in job.__struct_fields__})
    single.streams = single.rounds = 1
    single.marks, single.idle_sockets, single.spread_s = [], 0, 0.0
    async with clients(folder, single) as one:
        await one.run()


async def measure(folder: Path, load: Load, job: Job, upstream: Upstream, serving: list[Serving]) -> Row:
    """Runs a load and makes its row. Raises ChildError when a part of the generator fails."""
    processes = Processes(serving)
    marks: dict[str, Usage] = {}

    async def mark(number: int) -> None:
        await asyncio.sleep(0.5)
        marks[str(number)] = processes.look()

    async with clients(folder, job) as ready:
        watching = asyncio.create_task(processes.watch())
        told, before = await upstream.stats(), processes.look()
        result = await ready.run(mark)
        after, then = processes.look(), await upstream.stats()
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
    row = row_of(load, result, told, then)
    row.marks = {name: as_dict(usage) for name, usage in marks.items()}
    if serving:
        add_serving(row, before, after, processes.peak)
    row.checks = checks_of(row)
    return row


def row_of(load: Load, result: Result, told: UpstreamStats, then: UpstreamStats) -> Row:
    """The row of a load, of the generator's side."""
    then.cpu_s = round(then.cpu_s - told.cpu_s, 4)
    then.tokens -= told.tokens
    then.requests -= told.requests
    wall = max(result.wall_s, 0.001)
    upstream_core, client_core = round(then.cpu_s / wall, 3), round(result.cpu_s / wall, 3)
    return Row(load=load, result=result, upstream=then, upstream_core=upstream_core, client_core=client_core)


def add_serving(row: Row, before: Usage, after: Usage, peak: Usage) -> None:
    """What the serving processes used."""
    tokens = max(1, row.result.tally.delivered)
    row.cpu_us_per_token = round((after.cpu_s - before.cpu_s) / tokens * 1e6, 1)
    row.redis_us_per_token = round((after.redis_cpu_s - before.redis_cpu_s) / tokens * 1e6, 1)
    row.cpu_parts = {
        name: round((cpu_s - before.parts.get(name, 0.0)) / tokens * 1e6, 1) for name, cpu_s in after.parts.items()
    }
    row.serving_core = round((after.cpu_s - before.cpu_s) / max(row.result.wall_s, 0.001), 3)
    row.waited_core = round((after.waited_s - before.waited_s) / max(row.result.wall_s, 0.001), 3)
    row.peak_rss_mib = mib(peak.rss + peak.redis_rss)
