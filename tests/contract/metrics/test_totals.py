"""What workers and readers count, as Prometheus gets it: through a real Redis and a provider that plays scripts."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
import redis
from redis.exceptions import ConnectionError as RedisConnectionError

from ai_assistant.core.metrics import render
from ai_assistant.core.settings import Settings
from ai_assistant.core.task import Task, TaskRef
from ai_assistant.gateway.gateway import Gateway
from ai_assistant.streams import keys as names
from ai_assistant.streams import scripts
from ai_assistant.streams.lease import Lease
from ai_assistant.streams.metrics import collect
from ai_assistant.streams.publisher import Publisher
from ai_assistant.streams.queue import TaskQueue
from ai_assistant.streams.tasks import Tasks
from ai_assistant.worker.meters import Ledger, Meters
from ai_assistant.worker.supervisor import Supervisor
from tests.kit import (
    MODEL,
    QUICK,
    SCOPE,
    Hands,
    Site,
    events_of,
    model,
    start,
    stop_beating,
    tasks_at,
    wait_final,
    wait_until,
    working,
)
from tests.prometheus import Page
from tests.servers import Delta, Finish, Gate, Proxy, RedisServer, Refusal, Upstream

THINKING = (Delta(reasoning="Hm. "), Delta(reasoning="Yes."), Delta(text="Because."), Finish())


def page_of(tasks: Tasks) -> Page:
    """The figures as they stand."""
    return Page(render(collect(tasks)))


def site(upstream: Upstream) -> Site:
    """A site with one model."""
    return Site({MODEL: model(upstream.base, retries=0)})


async def final(tasks: Tasks, ref: TaskRef) -> Task:
    """The ended task, waited for beside the loop."""
    return await asyncio.to_thread(wait_final, tasks, ref)


async def test_tasks_events_and_first_events(tasks: Tasks, redis_url: str, upstream: Upstream) -> None:
    """Nothing is left out, though the worker ends at once, as a background job does."""
    upstream.play("think", *THINKING)
    upstream.play("refuse", Refusal(401, "no"))
    gate = Gate()
    upstream.play("hang", Delta(text="first"), gate, Finish())
    async with working(redis_url, site(upstream)):
        refs = [start(tasks, "think"), start(tasks, "refuse"), start(tasks, "hang")]
        for ref in refs[:2]:
            await final(tasks, ref)
        await asyncio.to_thread(wait_until, lambda: page_of(tasks).get("running_tasks", kind="embedded") == 1)
        await asyncio.to_thread(tasks.cancel, refs[2], "u")
        await final(tasks, refs[2])
        gate.open()
    page = page_of(tasks)
    assert page["tasks_accepted_total"] == 3
    assert page.get("tasks_ended_total", status="completed", code="") == 1
    assert page.get("tasks_ended_total", status="failed", code="provider_auth") == 1
    assert page.get("tasks_ended_total", status="cancelled", code="") == 1
    types = Counter(event["type"] for ref in refs for event in events_of(tasks, ref))
    for type_ in ("start", "status", "reasoning", "text", "tool_call"):
        assert page.get("events_total", type=type_) == types[type_], type_
    assert page.get("events_total", type="end") == types["completion"] + types["error"] + types["cancelled"] == 3
    assert page["first_reasoning_seconds_count"] == 1
    assert page["first_text_seconds_count"] == 2
    assert page["queue_wait_seconds_count"] == 3
    assert 0 < page["publish_seconds_count"] <= page["publish_batches_total"]
    assert page["publish_seconds_sum"] > 0
    assert page["provider_failures_total"] == 1
    assert page["publish_errors_total"] == page["events_dropped_total"] == 0
    assert page.get("workers", kind="embedded") == 0, "it has signed off"


async def test_time_to_the_first_reasoning_counts_from_acceptance(
    tasks: Tasks, redis_url: str, upstream: Upstream
) -> None:
    upstream.play("think", *THINKING)
    ref = start(tasks, "think")
    await asyncio.sleep(0.6)  # nobody takes it
    async with working(redis_url, site(upstream)):
        await final(tasks, ref)
    page = page_of(tasks)
    for name in ("first_reasoning", "first_text", "queue_wait"):
        assert page.get(f"{name}_seconds_bucket", le="0.5") == 0, name
        assert page.get(f"{name}_seconds_bucket", le="30") == 1, name
        assert page[f"{name}_seconds_sum"] >= 0.6


async def test_workers_that_come_and_go_add_up(tasks: Tasks, redis_url: str, upstream: Upstream) -> None:
    upstream.play("think", *THINKING)
    for count in (1, 2):
        async with working(redis_url, site(upstream)):
            await final(tasks, start(tasks, "think"))
        assert page_of(tasks)["first_reasoning_seconds_count"] == count
    assert page_of(tasks)["provider_answers_total"] == 2


async def test_living_workers_the_queue_and_the_lease(tasks: Tasks, redis_url: str, client: redis.Redis) -> None:
    page = page_of(tasks)
    assert (page["queued_tasks"], page["queued_oldest_seconds"], page["open_tasks"]) == (0, 0, 0)
    assert page.get("heartbeat_age_seconds") is None
    start(tasks)
    await asyncio.sleep(0.05)
    async with Hands(redis_url) as hands:
        await hands.queue.beat({"kind": "job", "running": 2, "window_ms": 120, "stopping": True}, [])
        Lease(tasks, pending_ms=1).wake(lambda token: None, lambda token: False)
        await asyncio.sleep(0.05)
        page = page_of(tasks)
    assert page.get("workers", kind="job") == page["workers_stopping"] == 1
    assert page.get("running_tasks", kind="job") == 2
    assert page["window_seconds"] == 0.12
    assert 0.05 <= page["heartbeat_age_seconds"] < 8
    assert (page["queued_tasks"], page["open_tasks"]) == (1, 1)
    assert page["queued_oldest_seconds"] >= 0.05
    assert page.get("job_lease", state="pending") == 1
    assert page["job_late_seconds"] > 0
    client.zadd(tasks.keys.workers, {"dead": 1.0, hands.queue.worker: 1.0})
    page = page_of(tasks)
    assert page.get("workers", kind="job") == 0
    assert page["heartbeat_age_seconds"] > 1000, "nobody lives, and the last beat is long ago"


async def test_redis_memory_and_eviction(tasks: Tasks, client: redis.Redis) -> None:
    page = page_of(tasks)
    assert page["redis_up"] == 1
    assert page["redis_memory_bytes"] > 0
    assert page.get("redis_evicts", policy="noeviction") == 0
    before = client.config_get("maxmemory")["maxmemory"]
    client.config_set("maxmemory", "1gb")
    client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        page = page_of(tasks)
        assert page.get("redis_evicts", policy="allkeys-lru") == 1
        assert page["redis_memory_limit_bytes"] == 1024**3
    finally:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", before)


async def test_a_redis_that_is_away_is_a_figure(tasks: Tasks, proxy: Proxy) -> None:
    through = tasks_at(proxy.url)
    assert page_of(through)["redis_up"] == 1
    await asyncio.to_thread(proxy.cut)
    page = page_of(through)
    assert page.names == {"ai_assistant_redis_up"}
    assert page["redis_up"] == 0
    await asyncio.to_thread(proxy.heal)
    assert page_of(through)["redis_up"] == 1


async def test_a_user_of_redis_who_may_not_ask_for_its_memory(
    redis_url: str, tasks: Tasks, client: redis.Redis
) -> None:
    client.acl_setuser("limited", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-info"])
    try:
        limited = tasks_at(redis_url.replace("://", "://limited:any@"))
        page = page_of(limited)
        assert page["redis_up"] == 1
        assert page.get("redis_memory_bytes") is None
    finally:
        client.acl_deluser("limited")


async def test_emission_errors(tasks: Tasks, proxy: Proxy) -> None:
    """Events that wait for Redis, and events that it forgot."""
    ref = start(tasks)
    async with Hands(proxy.url, outage_s=1.0) as hands:
        ledger = Ledger(Meters(), hands.publisher, Supervisor(), Gateway())
        task = await hands.claim()
        emitter = hands.emitter(task)
        await asyncio.to_thread(proxy.cut)
        emitter.text("some")
        await asyncio.sleep(0.5)
        await asyncio.to_thread(proxy.heal)
        assert await hands.owns(task) == 1
        await asyncio.to_thread(proxy.cut)
        emitter.text("more")
        emitter.flush()
        await asyncio.to_thread(wait_until, lambda: hands.publisher.dropped)
        await asyncio.to_thread(proxy.heal)
        tasks.client.delete(names.TaskKeys(ref).task)
        again = hands.emitter(task)
        again.text("gone")
        assert await hands.owns(task) == -1
        queue = TaskQueue(tasks_client(tasks), tasks_client(tasks), SCOPE, "w")
        await ledger.book(queue)
    page = page_of(tasks)
    assert page["publish_errors_total"] >= 2
    assert page["events_dropped_total"] == 1
    assert page.get("events_rejected_total", reason="unknown") == 1
    assert page.get("events_total", type="text") == 1


def tasks_client(tasks: Tasks) -> Any:
    """An asynchronous client of the same Redis."""
    options = tasks.client.connection_pool.connection_kwargs
    return redis.asyncio.Redis(host=options["host"], port=options["port"])


async def test_what_could_not_be_added_is_added_later(redis_url: str, tasks: Tasks) -> None:
    class Broken:
        """A queue that fails first."""

        def __init__(self) -> None:
            self.added: list[dict[str, int]] = []

        async def count(self, grown: dict[str, int]) -> None:
            """Fails once, then remembers."""
            if not self.added:
                self.added.append({})
                raise RedisConnectionError("away")
            self.added.append(grown)

    meters, queue = Meters(), Broken()
    ledger = Ledger(meters, Publisher(tasks_client(tasks)), Supervisor(), Gateway())
    meters.first_text.observe(0.3)
    with pytest.raises(RedisConnectionError):
        await ledger.book(queue)  # type: ignore[arg-type]
    meters.first_text.observe(0.3)
    await ledger.book(queue)  # type: ignore[arg-type]
    await ledger.book(queue)  # type: ignore[arg-type]
    assert queue.added == [{}, {"first_text|0.5": 2, "first_text|sum": 600_000}], "once, and nothing for nothing"


async def test_an_end_whose_answer_was_lost_counts_once(tasks: Tasks, proxy: Proxy) -> None:
    start(tasks)
    async with Hands(proxy.url) as hands:
        task = await hands.claim()
        emitter = hands.emitter(task)
        emitter.text("all")
        assert await hands.owns(task) == 1
        proxy.lose_answer(scripts.END.sha.encode(), times=2)
        assert await hands.complete(emitter, task) == 0, "it was sent again"
    assert page_of(tasks).get("tasks_ended_total", status="completed", code="") == 1


async def test_ends_that_no_worker_tells(tasks: Tasks, redis_url: str) -> None:
    """A reader ends a task that nobody took, and one whose worker died."""
    start(tasks, settings=Settings(no_worker_after_s=0.1))
    await asyncio.sleep(0.15)
    assert tasks.sweep(Settings(no_worker_after_s=0.1)) == 1
    assert page_of(tasks).get("tasks_ended_total", status="failed", code="no_worker") == 1
    start(tasks)
    async with Hands(redis_url) as hands:
        task = await hands.claim()
        emitter = hands.emitter(task)
        emitter.text("half")
        assert await hands.owns(task) == 1
        await stop_beating(hands.client, task)
        tasks.sweep(Settings())
    assert page_of(tasks).get("tasks_ended_total", status="failed", code="worker_lost") == 1


async def test_totals_that_cannot_be_counted_harm_no_task(
    tasks: Tasks, redis_url: str, upstream: Upstream, client: redis.Redis
) -> None:
    client.set(tasks.keys.totals, "no hash")
    upstream.play("think", *THINKING)
    async with working(redis_url, site(upstream), QUICK) as worker:
        ref = start(tasks, "think")
        assert (await final(tasks, ref)).status == "completed"
        assert [found["worker"] for found in tasks.workers()] == [worker.id], "it beats"


async def test_totals_expire(tasks: Tasks, client: redis.Redis) -> None:
    start(tasks)
    assert 0 < client.ttl(tasks.keys.totals) <= 7 * 86400


async def test_redis_that_came_back_empty_counts_from_zero(upstream: Upstream) -> None:
    upstream.play("think", *THINKING)
    with RedisServer() as own:
        tasks = tasks_at(own.url)
        async with working(own.url, site(upstream)):
            await final(tasks, start(tasks, "think"))
            await asyncio.to_thread(wait_until, lambda: page_of(tasks)["first_text_seconds_count"] == 1)
            await asyncio.to_thread(own.restart)
            await asyncio.to_thread(wait_until, lambda: page_of(tasks).get("redis_up") == 1)
            assert page_of(tasks)["first_text_seconds_count"] == 0
            await asyncio.to_thread(wait_until, lambda: page_of(tasks).get("workers", kind="embedded") == 1)
            await final(tasks, start(tasks, "think"))
            await asyncio.to_thread(wait_until, lambda: page_of(tasks)["first_text_seconds_count"] == 1)
