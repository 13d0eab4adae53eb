"""What reading takes where much is stored: the first page of a list by every filter, and the tree of a large trace.

    python -m benchmarks.tracing_parts.stored [--traces N] [--tree N] [--rounds N]

Each question is asked of the store in this process, and of an embedded host over HTTP with one connection: median and
worst of the rounds, in milliseconds. The first asking of each, which finds the caches cold, is `first`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx

from ai_assistant.core.trace import TraceFilter
from ai_assistant.core.trace_filters import trace_filter
from ai_assistant.host import accounts  # noqa: F401 - declares the tables that Database.open makes
from ai_assistant.host.database import Database
from ai_assistant.host.traces import SqlTraces
from benchmarks.tracing_parts.filling import DAYS, LARGE_TRACE, NEWEST_US, RARE, fill, fill_one
from benchmarks.tracing_parts.host import caller, host
from tests.servers import RedisServer

LIMIT = 50
HOUR_MS = 3_600_000
NEWEST_MS = NEWEST_US // 1000
MIDDLE_MS = NEWEST_MS - DAYS * 12 * HOUR_MS

FILTERS: dict[str, dict[str, Any]] = {
    "no filter": {},
    "user with many": {"user": "user0@bench.localhost"},
    "user with few": {"user": "user45@bench.localhost"},
    "model": {"model": "m-small"},
    "status failed": {"status": "failed"},
    "status running, none": {"status": "running"},
    "an hour long ago": {"since": MIDDLE_MS, "until": MIDDLE_MS + HOUR_MS},
    "until the middle": {"until": MIDDLE_MS},
    "conversation": {"conversation": "conversation-17"},
    "session": {"session": "session-4711"},
    "tag on all": {"tag": "receipts"},
    "tag on few": {"tag": "batch-42"},
    "tag on none": {"tag": "nowhere"},
    "cost, common": {"min_cost": 0.001, "max_cost": 0.002},
    "cost, none": {"min_cost": 5},
    "duration, common": {"min_duration_ms": 1000},
    "duration, rare": {"min_duration_ms": 9500},
    "duration, none": {"min_duration_ms": 3_600_000},
    "document": {"reference_doctype": "Receipt", "reference_name": "R-40"},
    "document's type": {"reference_doctype": "Receipt"},
    "document's type, none": {"reference_doctype": "Invoice"},
    "environment, common": {"environment": "production"},
    "environment, rare": {"environment": "laboratory"},
    "environment, none": {"environment": "nowhere"},
    "service": {"service": "service-3"},
    "service, none": {"service": "nowhere"},
    "source": {"source": "chat"},
    "complete": {"complete": True},
    "incomplete, none": {"complete": False},
    "search, common": {"search": "receipt"},
    "search, two words": {"search": "receipt refused"},
    "search, rare": {"search": RARE},
    "search, none": {"search": "nothingatall"},
    "search and model": {"search": RARE, "model": "m-large"},
    "user and cost, none": {"user": "user0@bench.localhost", "min_cost": 5},
    "model and environment, none": {"model": "m-large", "environment": "nowhere"},
    "tag and service, none": {"tag": "receipts", "service": "nowhere"},
}
"""What a reviewer may ask, by name; as arguments of `get_traces`."""


def times(ask: Callable[[], Any], rounds: int) -> dict[str, float]:
    """Milliseconds of one question."""
    found = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        ask()
        found.append((time.perf_counter() - began) * 1000)
    first, *rest = found
    return {
        "first": round(first, 1),
        "median": round(statistics.median(rest), 1),
        "worst": round(max(rest), 1),
    }


def listed(database: Database, wanted: TraceFilter, owner: str | None) -> int:
    """A first page from the store; gives how many rows it has."""
    with database.unit() as work:
        return len(SqlTraces(work).list(wanted, owner=owner, limit=LIMIT, cursor=None).rows)


def from_store(database: Database, rounds: int) -> dict[str, dict[str, float]]:
    """Every filter, for one who sees all, and without a filter for one who sees their own."""
    found = {}
    for name, arguments in FILTERS.items():
        wanted = trace_filter(arguments)
        found[name] = times(lambda wanted=wanted: listed(database, wanted, None), rounds)
        found[name]["rows"] = listed(database, wanted, None)
    for name, wanted in {"own": TraceFilter(), "own, search, none": TraceFilter(search="nothingatall")}.items():
        found[name] = times(lambda wanted=wanted: listed(database, wanted, "user3@bench.localhost"), rounds)
    return found


def get(client: httpx.Client, method: str, arguments: Mapping[str, Any], encoding: str = "gzip") -> httpx.Response:
    """The answer of an endpoint. Raises httpx's error for a refusal."""
    path = f"/api/method/ai_assistant.api.{method}"
    return client.get(path, params=arguments, headers={"Accept-Encoding": encoding}).raise_for_status()


def over_http(client: httpx.Client, rounds: int) -> dict[str, dict[str, float]]:
    """Every filter."""
    asks = {name: {**arguments, "limit": LIMIT} for name, arguments in FILTERS.items()}
    return {name: times(lambda said=said: get(client, "get_traces", said), rounds) for name, said in asks.items()}


def tree(client: httpx.Client, trace: str, observations: int, rounds: int) -> dict[str, Any]:
    """The whole tree, as it is and compressed."""
    found: dict[str, Any] = {}
    for name, encoding in (("plain", "identity"), ("gzip", "gzip")):
        answer = get(client, "get_trace", {"trace": trace}, encoding)
        assert len(answer.json()["message"]["observations"]) == observations
        found[name] = times(lambda encoding=encoding: get(client, "get_trace", {"trace": trace}, encoding), rounds)
        found[name]["bytes"] = int(answer.headers["content-length"])
    return found


def measure(traces: int, observations: int, rounds: int, keep: Path | None) -> dict[str, Any]:
    """Fills a store and asks it."""
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary, RedisServer() as redis:
        folder = keep or Path(temporary)
        path = folder / "data" / "assistant.db"
        is_filled, began = path.exists(), time.perf_counter()
        database = Database.open(path)
        if not is_filled:
            fill(database, traces, lambda line: print(line, file=sys.stderr, flush=True))
            fill_one(database, observations)
        filled = time.perf_counter() - began
        stored = from_store(database, rounds)
        database.close()
        with host(folder, redis.url) as running, caller(running) as client:
            lists, one = over_http(client, rounds), tree(client, LARGE_TRACE, observations, rounds + 4)
        return {
            "traces": traces,
            "tree_size": observations,
            "filling_s": round(filled, 1),
            "database_mib": round(path.stat().st_size / 2**20),
            "store": stored,
            "http": lists,
            "tree": one,
        }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--traces", type=int, default=100_000)
    parser.add_argument("--tree", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the store there, and take one that is there")
    given = parser.parse_args()
    print(json.dumps(measure(given.traces, given.tree, given.rounds, given.keep)), flush=True)
