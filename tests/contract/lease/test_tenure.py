"""A worker as a background job: when it ends, and that no task suffers from it."""

from __future__ import annotations

import asyncio
import random
import time

import msgspec
import pytest
from runner import LIMITS, Jobs, until

from ai_assistant.core.settings import Limits, Settings
from ai_assistant.core.task import Task, TaskRef
from ai_assistant.streams.tasks import Tasks
from tests.kit import MODEL, Site, check_promises, events_of, model, start, working
from tests.servers import Delta, Finish, Gate, Pause, Silence, Upstream

NO_LIMIT = Settings(limits=Limits(requests_per_minute=0, concurrent_tasks=0))


@pytest.fixture
def site(upstream: Upstream) -> Site:
    """A site whose model says `quick` at once, streams `slow` for a second, and never ends `endless`."""
    upstream.play("quick", Delta(text="done"), Finish())
    upstream.play("slow", *(step for _ in range(10) for step in (Delta(text="x "), Pause(0.1))), Finish())
    upstream.play("endless", Delta(text="some "), Silence())
    return Site({MODEL: model(upstream.base)}, NO_LIMIT)


async def chat(jobs: Jobs, text: str) -> TaskRef:
    """A task as a web request starts it."""
    ref = await asyncio.to_thread(start, jobs.tasks, text, NO_LIMIT)
    await asyncio.to_thread(jobs.wake)
    return ref


async def final(jobs: Jobs, ref: TaskRef, limit: float = 20) -> Task:
    """The ended task."""
    for _ in range(int(limit / 0.02)):
        task = await asyncio.to_thread(jobs.tasks.get, ref, NO_LIMIT)
        if task.is_final:
            return task
        await asyncio.sleep(0.02)
    raise AssertionError(f"task {ref.id} did not end")


async def test_a_chat_wakes_a_job_that_ends_when_idle(redis_url: str, tasks: Tasks, site: Site) -> None:
    async with Jobs(redis_url, tasks, site) as jobs:
        assert (await final(jobs, await chat(jobs, "quick"))).status == "completed"
        (worker,) = tasks.workers()
        assert worker["kind"] == "job"
        assert (await final(jobs, await chat(jobs, "quick"))).status == "completed"
        await jobs.ended()
        assert jobs.ends == ["idle"]
        assert jobs.lease.read() == {}
        assert (await final(jobs, await chat(jobs, "quick"))).status == "completed"
        assert len(jobs.tenures) == 2


async def test_an_idle_job_waits_for_its_long_stream(redis_url: str, tasks: Tasks, site: Site) -> None:
    async with Jobs(redis_url, tasks, site, limits=msgspec.structs.replace(LIMITS, idle_s=0.1)) as jobs:
        task = await final(jobs, await chat(jobs, "slow"))
        assert (task.status, task.gen) == ("completed", 1)
        await jobs.ended()
        assert jobs.ends == ["idle"]


async def test_a_successor_takes_over_while_streams_go_on(
    redis_url: str, tasks: Tasks, site: Site, upstream: Upstream
) -> None:
    gate = Gate()
    upstream.play("gated", Delta(text="a "), gate, Delta(text="b"), Finish())
    limits = msgspec.structs.replace(LIMITS, hand_over_s=0.5, idle_s=5.0)
    async with Jobs(redis_url, tasks, site, places=2, limits=limits) as jobs:
        long = await chat(jobs, "gated")
        await until(lambda: len(jobs.tenures) == 2)
        await until(lambda: jobs.tenures[0]._worker.is_stopping)
        began = time.monotonic()
        quick = await final(jobs, await chat(jobs, "quick"))
        assert quick.status == "completed"
        assert time.monotonic() - began < 5
        assert quick.worker != jobs.tenures[0]._worker.id
        gate.open()
        task = await final(jobs, long)
        assert (task.status, task.gen) == ("completed", 1)
        check_promises(events_of(tasks, long))
        await until(lambda: "lost" in jobs.ends)


async def test_where_no_place_is_free_the_hand_over_waits_for_a_moment_without_streams(
    redis_url: str, tasks: Tasks, site: Site
) -> None:
    limits = msgspec.structs.replace(LIMITS, hand_over_s=0.2, idle_s=5.0)
    async with Jobs(redis_url, tasks, site, places=1, limits=limits) as jobs:
        first = await chat(jobs, "slow")
        await asyncio.sleep(0.5)
        second = await chat(jobs, "quick")  # behind the time of the hand-over, and taken at once all the same
        assert (await final(jobs, second)).outcome.timings.queue_ms < 1000
        assert jobs.ends == []
        assert (await final(jobs, first)).status == "completed"
        await until(lambda: jobs.ends[:1] == ["hand-over"])
        assert (await final(jobs, await chat(jobs, "quick"))).status == "completed"


async def test_an_idle_job_ends_at_its_hand_over_without_a_successor(redis_url: str, tasks: Tasks, site: Site) -> None:
    limits = msgspec.structs.replace(LIMITS, hand_over_s=0.3, idle_s=30)
    async with Jobs(redis_url, tasks, site, places=1, limits=limits) as jobs:
        await final(jobs, await chat(jobs, "quick"))
        await jobs.ended(10)
        assert jobs.ends == ["hand-over"]
        assert jobs.lease.read() == {}


async def test_at_the_last_moment_no_more_tasks_are_taken(redis_url: str, tasks: Tasks, site: Site) -> None:
    limits = msgspec.structs.replace(LIMITS, hand_over_s=0.1, last_s=0.4)
    async with Jobs(redis_url, tasks, site, places=1, limits=limits) as jobs:
        first = await chat(jobs, "slow")
        await asyncio.sleep(0.6)
        second = await chat(jobs, "quick")
        ended, later = await final(jobs, first), await final(jobs, second)
        assert jobs.ends[0] == "last"
        assert (ended.status, later.status) == ("completed", "completed")
        assert ended.worker != later.worker


async def test_room_is_made_for_another_job(redis_url: str, tasks: Tasks, site: Site) -> None:
    async with Jobs(redis_url, tasks, site) as jobs:
        long = await chat(jobs, "slow")
        await until(lambda: tasks.workers() and tasks.workers()[0]["running"])
        jobs.wanted = True
        await until(lambda: jobs.behind)
        second = await chat(jobs, "quick")
        assert (await final(jobs, long)).status == "completed"
        assert (await final(jobs, second)).status == "completed"
        await jobs.ended()
        assert jobs.ends == ["room", "idle"]
        assert len(jobs.tenures) == 2, "the web request asked for a job beside the one behind"


async def test_room_is_made_also_where_nothing_waits(redis_url: str, tasks: Tasks, site: Site) -> None:
    async with Jobs(redis_url, tasks, site, limits=msgspec.structs.replace(LIMITS, idle_s=30)) as jobs:
        await final(jobs, await chat(jobs, "quick"))
        jobs.wanted = True
        await jobs.ended(10)  # the job behind finds nothing, and does not stay for its idle time
        assert jobs.ends == ["room", "idle"]


async def test_a_shutdown_ends_streams_and_hands_over_what_was_not_shown(
    redis_url: str, tasks: Tasks, site: Site, upstream: Upstream
) -> None:
    gate = Gate()
    upstream.play("unshown", gate, Delta(text="done"), Finish())
    async with Jobs(redis_url, tasks, site) as jobs:
        shown, unshown = await chat(jobs, "endless"), await chat(jobs, "unshown")
        await asyncio.to_thread(upstream.wait_call, "unshown")
        await until(lambda: any(event["partial"] for event in events_of(tasks, shown)))
        jobs.down = True
        await until(lambda: jobs.ends == ["shutdown"])
        ended = await final(jobs, shown)
        assert ended.outcome is not None
        assert ended.outcome.error is not None
        assert (ended.outcome.error["code"], ended.outcome.message.content) == ("worker_lost", "some ")
        assert tasks.get(unshown).status == "queued"
        jobs.down = False
        gate.open()
        jobs._begin()
        again = await final(jobs, unshown)
        assert (again.status, again.gen) == ("completed", 2)
        check_promises(events_of(tasks, unshown))


async def test_a_shutdown_also_ends_a_job_that_finishes_its_streams(redis_url: str, tasks: Tasks, site: Site) -> None:
    async with Jobs(redis_url, tasks, site) as jobs:
        ref = await chat(jobs, "endless")
        await until(lambda: tasks.get(ref).status == "running")
        jobs.wanted = True
        await until(lambda: jobs.behind)
        jobs.down = True
        assert (await final(jobs, ref)).status == "failed"
        await until(lambda: jobs.ends == ["room"])


async def test_a_job_gives_way_to_a_daemon(redis_url: str, tasks: Tasks, site: Site) -> None:
    async with Jobs(redis_url, tasks, site, limits=msgspec.structs.replace(LIMITS, idle_s=30)) as jobs:
        long = await chat(jobs, "slow")
        await until(lambda: tasks.workers())
        async with working(redis_url, site):
            second = await chat(jobs, "quick")
            assert (await final(jobs, second)).status == "completed"
            assert (await final(jobs, long)).status == "completed"
            await jobs.ended()
            assert jobs.ends == ["daemon"]
            assert jobs.lease.read() == {}
            assert jobs.wake() is False


async def test_the_lease_survives_an_empty_redis(redis_url: str, tasks: Tasks, site: Site) -> None:
    async with Jobs(redis_url, tasks, site, limits=msgspec.structs.replace(LIMITS, idle_s=30)) as jobs:
        await final(jobs, await chat(jobs, "quick"))
        tasks.client.flushall()
        await until(lambda: jobs.lease.read().get("state") == "held")
        assert (await final(jobs, await chat(jobs, "quick"))).status == "completed"
        assert len(jobs.tenures) == 1


async def test_tasks_at_any_moment_of_many_short_jobs(redis_url: str, tasks: Tasks, site: Site) -> None:
    """Jobs that end after 50 ms without a task, and hand over after 300 ms: every task is completed, first time."""
    limits = msgspec.structs.replace(LIMITS, idle_s=0.05, beat_s=0.02, hand_over_s=0.3)
    dice = random.Random(3)
    async with Jobs(redis_url, tasks, site, places=2, limits=limits) as jobs:
        refs = []
        for _ in range(60):
            refs += [await chat(jobs, "quick") for _ in range(dice.randint(1, 3))]
            await asyncio.sleep(dice.random() * 0.25)
        ended = [await final(jobs, ref) for ref in refs]
        await jobs.ended()
        assert [(task.status, task.gen) for task in ended] == [("completed", 1)] * len(refs)
        assert jobs.ends.count("idle") >= 5, jobs.ends
        assert jobs.lease.read() == {}
