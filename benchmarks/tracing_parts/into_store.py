"""How many observations per second a consumer brings into its database.

    python -m benchmarks.tracing_parts.into_store REDIS_URL SITE [--observations N] [--per-trace N]

Fills the site's stream by the SDK and watches it become empty: whoever consumes it is measured, the process that
`benchmarks/tracing.py` starts over SQLite, or `bench ai-worker` over a site's MariaDB. Each observation has an input and
an output of 1 KB together.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from typing import Any

import redis

from ai_assistant import tracing
from ai_assistant.core.trace_keys import ObservabilityKeys

INPUT = "Lunch at the station, two soups and a coffee, paid in cash. " * 10
OUTPUT = {"total": 14.0, "text": "It is a receipt of a restaurant: two soups and one coffee. " * 6}
LIMIT_S = 600.0


def fill(url: str, site: str, observations: int, per_trace: int) -> None:
    """So many finished observations, waiting in the stream."""
    bounds = {"max_stream_entries": 10**7, "max_stream_bytes": 2**40, "buffer_bytes": 2**34}
    tracing.init(redis_url=url, site=site, verify=False, service="benchmark", **bounds)
    for _ in range(observations // per_trace):
        with tracing.span("receipt", "agent"):
            for step in range(per_trace - 1):
                with tracing.span(f"step {step % 7}", "generation", input=INPUT, model="m-large") as span:
                    span.update(output=OUTPUT, usage={"prompt_tokens": 120, "completion_tokens": 40}, cost=0.0003)
    assert tracing.flush(300)
    assert tracing.status()["dropped"] == 0


def drained(url: str, site: str) -> float:
    """Seconds from now until nothing waits. Raises TimeoutError."""
    began = time.perf_counter()
    with redis.Redis.from_url(url) as client:
        while client.xlen(ObservabilityKeys(site).events):  # type: ignore[operator]
            if time.perf_counter() - began > LIMIT_S:
                raise TimeoutError(f"the stream of {site} is not empty after {LIMIT_S:g} s: does a consumer run?")
            time.sleep(0.01)
    return time.perf_counter() - began


def measure(url: str, site: str, observations: int, per_trace: int) -> dict[str, Any]:
    """Observations per second of a consumer that is at work already: while the stream is filled, too."""
    began = time.perf_counter()
    fill(url, site, observations, per_trace)
    filled = time.perf_counter() - began
    took = filled + drained(url, site)
    return {"per_s": round(observations / took), "seconds": round(took, 2), "filling_s": round(filled, 2)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("site")
    parser.add_argument("--observations", type=int, default=50_000)
    parser.add_argument("--per-trace", type=int, default=10)
    parser.add_argument("--fill-only", action="store_true", help="fill the stream, and do not wait")
    given = parser.parse_args()
    if given.fill_only:
        fill(given.url, given.site, given.observations, given.per_trace)
    else:
        print(json.dumps(measure(given.url, given.site, given.observations, given.per_trace)), flush=True)
    os._exit(0)
