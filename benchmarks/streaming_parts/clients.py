"""The clients, in a process of their own: `python -m streaming_parts.clients`.

Reads a Job as one JSON line from standard input, connects, prints `ready`, waits for a line, runs the load and prints
its Result.
"""

from __future__ import annotations

import asyncio
import sys
import time

import msgspec

from .chats import Chats
from .job import Job, Line, Result
from .loop import run_fast
from .sse_reader import SseChats
from .stats import latency_of
from .task_watch import TaskWatch

_encode = msgspec.json.Encoder().encode


def say(line: Line) -> None:
    """One line to the parent."""
    print(_encode(line).decode(), flush=True)


async def main() -> None:
    """Runs one job."""
    job = msgspec.json.decode(await asyncio.to_thread(sys.stdin.readline), type=Job)
    load = Chats(job, lambda mark: say(Line(mark=mark))) if job.kind == "chats" else SseChats(job)
    async with load:
        say(Line(ready=True))
        await asyncio.to_thread(sys.stdin.readline)
        cpu, wall = time.process_time(), time.monotonic()
        watches = await load.run()
        cpu, wall = time.process_time() - cpu, time.monotonic() - wall
        say(Line(result=result_of(load, watches, cpu, wall)))


def result_of(load: Chats | SseChats, watches: list[TaskWatch], cpu_s: float, wall_s: float) -> Result:
    """The sums and distributions of a load."""
    latencies = [latency for watch in watches for latency in watch.latencies]
    first = [
        watch.first_ns - watch.reader.first_stamp for watch in watches if watch.first_ns and watch.reader.first_stamp
    ]
    asked = [watch.first_ns - watch.asked_ns for watch in watches if watch.first_ns and watch.asked_ns]
    return Result(
        tally=load.tally(watches),
        latency=latency_of(latencies),
        first_event=latency_of(first),
        ask_to_first=latency_of(asked),
        cpu_s=round(cpu_s, 4),
        wall_s=round(wall_s, 4),
    )


if __name__ == "__main__":
    run_fast(main())
