"""Traced chats through the embedded host: does its memory stay where it is, and is every chat's trace whole?

    python -m benchmarks.tracing_parts.steady [--chats N] [--warm-up N] [--at-once N]

A provider in this process plays the same answer again and again. Chats come one after the other; the resident memory of
the serving process, without its Redis, is read after the warm-up and after the last one. Then `--at-once` more come
together. At the end each chat must have one trace, complete, with its model's observation, and nothing may be left in
the stream or among the dead letters.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import httpx
import psutil
import redis

from ai_assistant.core.trace_keys import ObservabilityKeys
from benchmarks.tracing_parts.host import MODEL, SITE, caller, host, waited
from tests.servers import Delta, Finish, RedisServer, Step, Upstream

PATIENCE_S = 120.0
WORDS = 40
LOOKS = 20
"""Readings of the memory, of which the median counts: a batch of traces may just be under way."""
API = "/api/method/ai_assistant.api."


def script() -> list[Step]:
    """What the provider plays: some reasoning, then text."""
    return [*(Delta(reasoning="so ") for _ in range(5)), *(Delta(text="quite ") for _ in range(WORDS)), Finish()]


def chat(client: httpx.Client) -> str:
    """One chat to its end; gives its task's id."""
    said = {"messages": [{"role": "user", "content": "hello"}], "model": MODEL}
    answer = client.post(f"{API}chat_completion", json=said).raise_for_status().json()["message"]
    assert answer["status"] == "completed", answer
    return answer["task_id"]


def rss(pid: int, url: str) -> int:
    """Resident bytes of a process when its traces are stored."""
    nothing_waits(url)
    process, found = psutil.Process(pid), []
    for _ in range(LOOKS):
        time.sleep(0.05)
        found.append(process.memory_info().rss)
    return int(statistics.median(found))


def nothing_waits(url: str) -> None:
    """Returns when the stream is empty and no program has anything to send. Raises PartError after PATIENCE_S."""
    keys = ObservabilityKeys(SITE)
    with redis.Redis.from_url(url) as client:
        time.sleep(0.5)  # what has been made now is on its way within a tenth of a second
        waited("storing the traces", lambda: None if client.xlen(keys.events) else True, PATIENCE_S)


def traces_of(client: httpx.Client) -> dict[str, dict[str, Any]]:
    """Every trace that is stored, by its task."""
    found: dict[str, dict[str, Any]] = {}
    cursor, count = None, 0
    while True:
        arguments = {"limit": 200, **({"cursor": cursor} if cursor else {})}
        page = client.get(f"{API}get_traces", params=arguments).raise_for_status().json()["message"]
        found |= {row["task_id"]: row for row in page["traces"]}
        count += len(page["traces"])
        cursor = page["cursor"]
        if not cursor:
            assert len(found) == count, f"{count} traces of {len(found)} tasks"
            return found


def lost(client: httpx.Client, tasks: list[str], url: str) -> dict[str, int]:
    """How many chats have no trace, or none that is whole; and dead letters."""
    found = traces_of(client)
    rows = [found[task] for task in tasks if task in found]
    whole = [row for row in rows if row["is_complete"] and row["status"] == "completed" and row["model"] == MODEL]
    with redis.Redis.from_url(url) as connection:
        dead = cast(int, connection.xlen(ObservabilityKeys(SITE).dead))
    return {
        "chats": len(tasks),
        "without_trace": len(tasks) - len(rows),
        "not_whole": len(rows) - len(whole),
        "dead_letters": dead,
        "foreign": len(found) - len(rows),
    }


def measure(chats: int, warm_up: int, at_once: int) -> dict[str, Any]:
    """Runs it all."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as temporary,
        RedisServer() as server,
        Upstream() as upstream,
        host(Path(temporary), server.url, upstream.base) as running,
        caller(running) as client,
    ):
        upstream.play("hello", *script())
        tasks, memory = [], {}
        began = time.perf_counter()
        for number in range(1, chats + 1):
            tasks.append(chat(client))
            if number in (warm_up, chats):
                memory[number] = rss(running.pid, server.url)
        took = time.perf_counter() - began
        with ThreadPoolExecutor(at_once) as pool:
            clients = [caller(running) for _ in range(at_once)]
            tasks += pool.map(chat, clients)
            for each in clients:
                each.close()
        memory["at once"] = rss(running.pid, server.url)
        found = lost(client, tasks, server.url)
    first, last = memory[warm_up], memory[chats]
    return {
        "rss_mib": {str(when): round(size / 2**20, 1) for when, size in memory.items()},
        "grown": round(last / first - 1, 4),
        "ms_per_chat": round(took / chats * 1000, 1),
        **found,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--chats", type=int, default=1000)
    parser.add_argument("--warm-up", type=int, default=200)
    parser.add_argument("--at-once", type=int, default=100)
    given = parser.parse_args()
    print(json.dumps(measure(given.chats, given.warm_up, given.at_once)), flush=True)
