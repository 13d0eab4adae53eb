"""How many events per second one producer process brings into a Redis Stream, in events of about 600 bytes.

    python -m benchmarks.tracing_parts.into_stream REDIS_URL [--events N]

- `publisher`: the SDK's, from events that wait in its queue to the last acknowledgement by Redis: masking, encoding and
  sending.
- `whole`: the same with the program that makes the events, in the same process: what one traced program can do.
- `single`: one XADD per event, pipelined, without any of that. `entries`: events of 600 bytes that are encoded already,
  fifty in an entry: what Redis takes.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from typing import Any

import redis

from ai_assistant import tracing
from ai_assistant.core.trace_event import body_of, encode_event, unpack
from ai_assistant.core.trace_keys import ObservabilityKeys
from ai_assistant.tracing.client import Client

SITE = "benchmark"
INPUT = "Lunch at the station, two soups and a coffee, paid in cash. " * 3
OUTPUT = "It is a receipt of a restaurant: two soups and one coffee. " * 3
BATCH = 20


def make(count: int) -> None:
    """Observations with an input and an output, each one event of about 600 bytes where it is delivered at its end."""
    start = tracing.start_span
    with tracing.span("root"):
        for _ in range(count):
            start("read the receipt", "tool", input=INPUT, model="m-large", metadata={"page": 1}).end(output=OUTPUT)


def publisher(url: str, count: int) -> dict[str, Any]:
    """Events per second of the publisher alone."""
    client = begun(url, flush_interval=30.0)
    make(count)
    queue = len(client.pipeline.queue.items)  # type: ignore[union-attr]
    began, cpu = time.perf_counter(), time.process_time()
    assert tracing.flush(120)
    return figures(url, queue, began, cpu)


def whole(url: str, count: int) -> dict[str, Any]:
    """Events per second of program and publisher together."""
    begun(url)
    began, cpu = time.perf_counter(), time.process_time()
    make(count)
    assert tracing.flush(120)
    return figures(url, count, began, cpu)


def begun(url: str, **given: Any) -> Client:
    """A client over an empty stream."""
    tracing.shutdown(10)
    with redis.Redis.from_url(url) as connection:
        connection.flushall()
    bounds = {"max_stream_entries": 10**7, "max_stream_bytes": 2**40, "buffer_bytes": 2**34}
    return tracing.init(redis_url=url, site=SITE, verify=False, **bounds, **given)


def figures(url: str, count: int, began: float, cpu: float) -> dict[str, Any]:
    """Of what has arrived: nothing may be missing."""
    took, used = time.perf_counter() - began, time.process_time() - cpu
    status = tracing.status()
    assert status["dropped"] == 0, status
    size, events = arrived(url)
    assert events == status["delivered"], (events, status)
    return {"per_s": round(count / took), "cpu_us": round(used / count * 1e6, 2), "bytes": round(size / events)}


def arrived(url: str) -> tuple[int, int]:
    """Bytes and number of the events in the stream."""
    with redis.Redis.from_url(url) as connection:
        entries: list[Any] = connection.xrange(ObservabilityKeys(SITE).events)  # type: ignore[assignment]
    events = sum(int(fields[b"n"]) for _, fields in entries)
    first = entries[0][1]
    assert unpack(first[b"b"], first.get(b"z") == b"1")
    return sum(len(fields[b"b"]) for _, fields in entries), events


def raw(url: str, count: int, per_entry: int) -> dict[str, Any]:
    """What Redis takes of events that are encoded already."""
    fields = {"type": "tool", "title": "read", "parent": "0" * 16, "input": INPUT, "output": OUTPUT, "model": "m-large"}
    event = encode_event((1, "whole", 1, "0" * 32, 1, 1, "0" * 16, fields | {"metadata": "x" * 90}))
    body: Any = {"p": "p", **body_of([event] * per_entry)}
    with redis.Redis.from_url(url) as connection:
        connection.flushall()
        began, cpu = time.perf_counter(), time.process_time()
        for _ in range(count // per_entry // BATCH):
            with connection.pipeline(transaction=False) as pipe:
                for _ in range(BATCH):
                    pipe.xadd("benchmark", body, maxlen=10**7, approximate=True)
                pipe.execute()
        done = count // per_entry // BATCH * BATCH * per_entry
        took, used = time.perf_counter() - began, time.process_time() - cpu
    return {"per_s": round(done / took), "cpu_us": round(used / done * 1e6, 2), "bytes": len(event)}


def measure(url: str, events: int, rounds: int = 9) -> dict[str, Any]:
    """The medians by speed."""

    def median(run: Any) -> dict[str, Any]:
        runs = sorted((run() for _ in range(rounds)), key=lambda each: each["per_s"])
        best = runs[-1]["per_s"]
        return {**runs[len(runs) // 2], "best_per_s": best}

    return {
        "publisher": median(lambda: publisher(url, events)),
        "whole": median(lambda: whole(url, events)),
        "single": median(lambda: raw(url, events, 1)),
        "entries": median(lambda: raw(url, events, 50)),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--events", type=int, default=40_000)
    given = parser.parse_args()
    print(json.dumps(measure(given.url, given.events)), flush=True)
    os._exit(0)
