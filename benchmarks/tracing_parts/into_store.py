"""How many observations per second a consumer brings into its database.

    python -m benchmarks.tracing_parts.into_store [--observations N] [--per-trace N] [--rounds N]
    python -m benchmarks.tracing_parts.into_store --redis URL --site NAME [--pid PID]

The first form measures a consumer of our own over SQLite in a temporary folder, the second whoever consumes that site's
stream, such as `bench ai-worker` over MariaDB, with everything going through Redis. Each observation has an input and
an output of 1 KB together.

The stream is filled by the SDK, in a process of its own, while the consumer is stopped (SIGSTOP); then its clock runs
from the signal that lets it go on until the stream is empty. Without `--pid` a site's consumer works meanwhile, and the
clock runs from the begin of the filling.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
import redis

from ai_assistant import tracing
from ai_assistant.core.trace_keys import ObservabilityKeys
from benchmarks.tracing_parts.host import SITE, PartError, consumer
from tests.servers import RedisServer

INPUT = "Lunch at the station, two soups and a coffee, paid in cash. " * 10
OUTPUT = {"total": 14.0, "text": "It is a receipt of a restaurant: two soups and one coffee. " * 6}
LIMIT_S = 600.0
ROOM: dict[str, Any] = {"max_stream_entries": 10**7, "max_stream_bytes": 2**40, "buffer_bytes": 2**34}


def fill(url: str, site: str, observations: int, per_trace: int) -> None:
    """So many finished observations, waiting in the stream."""
    tracing.init(redis_url=url, site=site, verify=False, service="benchmark", **ROOM)
    for _ in range(observations // per_trace):
        with tracing.span("receipt", "agent"):
            for step in range(per_trace - 1):
                with tracing.span(f"step {step % 7}", "generation", input=INPUT, model="m-large") as span:
                    span.update(output=OUTPUT, usage={"prompt_tokens": 120, "completion_tokens": 40}, cost=0.0003)
    assert tracing.flush(300)
    assert tracing.status()["dropped"] == 0


def filled(url: str, site: str, observations: int, per_trace: int) -> None:
    """`fill` in a process of its own, which is gone when this returns. Raises CalledProcessError."""
    command = [sys.executable, "-m", "benchmarks.tracing_parts.into_store", "--redis", url, "--site", site, "--fill"]
    numbers = ["--observations", str(observations), "--per-trace", str(per_trace)]
    subprocess.run([*command, *numbers], check=True, timeout=LIMIT_S)


def drained(url: str, site: str) -> None:
    """Returns when nothing waits. Raises PartError."""
    began = time.perf_counter()
    with redis.Redis.from_url(url) as client:
        while client.xlen(ObservabilityKeys(site).events):
            if time.perf_counter() - began > LIMIT_S:
                raise PartError(f"the stream of {site} is not empty after {LIMIT_S:g} s: does a consumer run?")
            time.sleep(0.01)


def measure(url: str, site: str, observations: int, per_trace: int, pid: int | None) -> dict[str, Any]:
    """One round: observations per second by the clock, and microseconds of the consumer's CPU for each."""
    process = psutil.Process(pid) if pid else None
    if process:
        process.send_signal(signal.SIGSTOP)
    try:
        began, cpu = time.perf_counter(), cpu_s(process)
        filled(url, site, observations, per_trace)
        if process:
            began = time.perf_counter()
    finally:
        if process:
            process.send_signal(signal.SIGCONT)
    drained(url, site)
    took, used = time.perf_counter() - began, cpu_s(process) - cpu
    found = {"per_s": round(observations / took), "seconds": round(took, 2)}
    return {**found, "cpu_us": round(used / observations * 1e6, 1)} if process else found


def cpu_s(process: psutil.Process | None) -> float:
    """CPU seconds, user and system, of a process so far."""
    if process is None:
        return 0.0
    times = process.cpu_times()
    return times.user + times.system


def median(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """The round in the middle by speed, with the best one's speed."""
    ordered = sorted(rounds, key=lambda each: each["per_s"])
    found = {**ordered[len(ordered) // 2], "best_per_s": ordered[-1]["per_s"]}
    if "cpu_us" in found:
        found["cpu_us"] = round(statistics.median(each["cpu_us"] for each in rounds), 1)
    return found


def over_sqlite(observations: int, per_trace: int, rounds: int) -> dict[str, Any]:
    """A consumer of our own; the first round is for its imports, connections and caches."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as temporary,
        RedisServer() as server,
        consumer(Path(temporary), server.url) as pid,
    ):
        measure(server.url, SITE, max(per_trace, observations // 10), per_trace, pid)
        return median([measure(server.url, SITE, observations, per_trace, pid) for _ in range(rounds)])


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--observations", type=int, default=30_000)
    parser.add_argument("--per-trace", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--redis", metavar="URL")
    parser.add_argument("--site", metavar="NAME")
    parser.add_argument("--pid", type=int, help="the process that consumes: stopped while the stream is filled")
    parser.add_argument("--fill", action="store_true", help="fill the stream of that site, and no more")
    given = parser.parse_args()
    if bool(given.redis) != bool(given.site):
        parser.error("--redis and --site go together")
    if given.fill:
        fill(given.redis, given.site, given.observations, given.per_trace)
    elif given.redis:
        rounds = (given.redis, given.site, given.observations, given.per_trace, given.pid)
        print(json.dumps(median([measure(*rounds) for _ in range(given.rounds)])), flush=True)
    else:
        print(json.dumps(over_sqlite(given.observations, given.per_trace, given.rounds)), flush=True)


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)
