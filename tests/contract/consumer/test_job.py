"""The one background job of a bench stores traces, too: it stays while some wait, but not for ever."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from ai_assistant.streams.lease import Lease, new_token
from ai_assistant.streams.tasks import Tasks
from ai_assistant.worker.limits import Limits
from ai_assistant.worker.options import WorkerOptions
from ai_assistant.worker.tenure import Tenure
from ai_assistant.worker.worker import Worker
from tests.kit import SCOPE
from tests.trace_kit import QUICK, Maker, TraceSites

OPTIONS = WorkerOptions(kind="job", hands_over=True, beat_s=0.1, sweep_s=0.2, block_ms=100, traces=QUICK)
LIMITS = Limits(idle_s=0.3, beat_s=0.05)


class NoQueue:
    """A job runner without other jobs."""

    def enqueue(self, token: str) -> None:
        """See `worker.tenure.JobRunner`."""

    enqueue_behind = enqueue

    def is_queued(self, token: str) -> bool:
        """See `worker.tenure.JobRunner`."""
        return False

    def shuts_down(self) -> bool:
        """See `worker.tenure.JobRunner`."""
        return False

    def is_wanted(self, room_s: float) -> bool:
        """See `worker.tenure.JobRunner`."""
        return False


async def job(redis_url: str, tasks: Tasks, sites: Any, options: WorkerOptions = OPTIONS) -> str:
    """Runs a job to its end; gives the reason."""
    worker = Worker(redis_url, SCOPE, sites, options=options)
    return await asyncio.wait_for(Tenure(worker, Lease(tasks), NoQueue(), new_token(), limits=LIMITS).run(), 60)


async def test_it_ends_when_all_is_stored(redis_url: str, tasks: Tasks, sites: TraceSites, maker: Maker) -> None:
    maker.send(*(maker.whole(input="x" * 500) for _ in range(5000)))
    assert await job(redis_url, tasks, sites) == "idle"
    assert sites.observations() == 5000
    assert maker.client.xlen(maker.keys.events) == 0


async def test_a_database_that_is_away_does_not_keep_it_for_ever(
    redis_url: str, tasks: Tasks, sites: TraceSites, maker: Maker
) -> None:
    maker.send(maker.whole())
    with sites.locked():
        assert await job(redis_url, tasks, sites) == "idle"
    assert maker.client.xlen(maker.keys.events) == 1


async def test_a_worker_may_leave_traces_to_others(
    redis_url: str, tasks: Tasks, sites: TraceSites, maker: Maker
) -> None:
    maker.send(maker.whole())
    assert await job(redis_url, tasks, sites, msgspec.structs.replace(OPTIONS, traces=None)) == "idle"
    assert maker.client.xlen(maker.keys.events) == 1
