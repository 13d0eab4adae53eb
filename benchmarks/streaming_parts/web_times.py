"""How long a site's web server takes for a request: the endpoints by turns, one request at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from .api import Api
from .stats import percentile
from .usage import Processes, Serving

PING = "frappe.ping"
CHAT = "chat_completion, wait false"
#: What `chat_completion` with `wait: false` may take of the web server, in milliseconds.
MOST_MS = 15.0
#: Between two looks at a task that runs.
LOOK_S = 0.02
PATIENCE_S = 60.0

Call = Callable[[], Awaitable[Any]]


class Times(msgspec.Struct, kw_only=True):
    """The distribution of one request's times in milliseconds, and its CPU in the web server."""

    name: str
    count: int
    median_ms: float
    p90_ms: float
    least_ms: float
    cpu_ms: float | None = None


class Stopwatch:
    """Times calls by name; what the web server's processes use meanwhile is added up where they are known."""

    def __init__(self, serving: list[Serving]):
        self._processes = Processes(serving) if serving else None
        self._ms: dict[str, list[float]] = {}
        self._cpu_s: dict[str, float] = {}

    async def time(self, name: str, call: Call) -> Any:
        """The result of `call`."""
        before, start = self._cpu(), time.perf_counter()
        result = await call()
        self._ms.setdefault(name, []).append((time.perf_counter() - start) * 1000)
        await asyncio.sleep(0.005)  # what the server does after its answer belongs to the request
        self._cpu_s[name] = self._cpu_s.get(name, 0.0) + self._cpu() - before
        return result

    def _cpu(self) -> float:
        return self._processes.look().cpu_s if self._processes else 0.0

    def times(self) -> list[Times]:
        """The distributions, in the order of the first calls."""
        return [self._of(name, sorted(values)) for name, values in self._ms.items()]

    def _of(self, name: str, ordered: list[float]) -> Times:
        cpu_ms = self._cpu_s[name] / len(ordered) * 1000 if self._processes else None
        return Times(
            name=name,
            count=len(ordered),
            median_ms=percentile(ordered, 0.5),
            p90_ms=percentile(ordered, 0.9),
            least_ms=ordered[0],
            cpu_ms=cpu_ms,
        )


async def web_times(api: Api, model: str, rounds: int, serving: list[Serving]) -> list[Times]:
    """Each request `rounds` times by turns, after some rounds that are not counted. Raises ApiError, TimeoutError."""
    watch = Stopwatch([])
    for _ in range(min(20, rounds)):  # each of the server's processes has its caches
        await one_round(api, model, watch)
    watch = Stopwatch(serving)
    for _ in range(rounds):
        await one_round(api, model, watch)
    return watch.times()


async def one_round(api: Api, model: str, watch: Stopwatch) -> None:
    """One of each. The chat has ended before the others are timed: the worker runs on the same machine."""
    question = [{"role": "user", "content": "Say the tokens."}]
    await watch.time(PING, lambda: api.method(PING))
    chat = await watch.time(CHAT, lambda: api.call("chat_completion", messages=question, model=model, wait=False))
    task_id = chat["task_id"]
    await asyncio.wait_for(ended(api, task_id), PATIENCE_S)
    await watch.time("get_task", lambda: api.call("get_task", task_id=task_id))
    await watch.time("get_events", lambda: api.call("get_events", task_id=task_id))
    await watch.time("get_models", lambda: api.call("get_models"))
    await watch.time("get_conversations", lambda: api.call("get_conversations"))
    await watch.time("status", lambda: api.call("status"))


async def ended(api: Api, task_id: str) -> None:
    """Returns when the task has ended."""
    while (await api.call("get_task", task_id=task_id))["status"] in ("queued", "running"):  # noqa: ASYNC110
        await asyncio.sleep(LOOK_S)
