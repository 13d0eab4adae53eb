"""A job queue in the test's process, with so many places; each job is a tenure over a worker of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from ai_assistant.streams.lease import Lease
from ai_assistant.streams.tasks import Tasks
from ai_assistant.worker.limits import Limits
from ai_assistant.worker.options import WorkerOptions
from ai_assistant.worker.tenure import Tenure
from ai_assistant.worker.worker import Worker
from tests.kit import SCOPE

OPTIONS = WorkerOptions(
    kind="job", hands_over=True, beat_s=0.1, sweep_s=0.2, block_ms=100, dead_after_ms=2000, traces=None
)
LIMITS = Limits(idle_s=0.5, beat_s=0.05, grace_s=0.5)


async def until(look: Callable[[], Any], limit: float = 15) -> None:
    """Returns when `look` is true."""
    for _ in range(int(limit / 0.01)):
        if look():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen in time")


class Jobs:
    """The job runner of a bench, as `worker.tenure.JobRunner` and as what a web request asks."""

    def __init__(self, url: str, tasks: Tasks, site: Any, *, places: int = 1, limits: Limits = LIMITS):
        self.url, self.tasks, self.site, self.limits = url, tasks, site, limits
        self.lease = Lease(tasks, held_ms=1500, pending_ms=1500)
        self.ends: list[str] = []
        self.tenures: list[Tenure] = []
        self.behind: list[str] = []
        self.down = self.wanted = False
        self._free = places
        self._waiting: list[str] = []
        self._lock = threading.Lock()
        self._loop = asyncio.get_running_loop()
        self._jobs: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Jobs:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.down = True
        await self.ended()

    async def ended(self, limit: float = 20) -> None:
        """Returns when no job runs or waits."""
        await until(lambda: not self._jobs and (self.down or not (self._waiting and self._free)), limit)

    def wake(self) -> bool:
        """As a web request does."""
        return self.lease.wake(self.enqueue, self.is_queued)

    def enqueue(self, token: str) -> None:
        """See `JobRunner`."""
        with self._lock:
            self._waiting.append(token)
        self._loop.call_soon_threadsafe(self._begin)

    def enqueue_behind(self, token: str) -> None:
        """See `JobRunner`."""
        self.behind.append(token)
        self.wanted = False
        self.enqueue(token)

    def is_queued(self, token: str) -> bool:
        """See `JobRunner`."""
        return token in self._waiting

    def shuts_down(self) -> bool:
        """See `JobRunner`."""
        return self.down

    def is_wanted(self, room_s: float) -> bool:
        """See `JobRunner`."""
        return self.wanted

    def _begin(self) -> None:
        with self._lock:
            while self._waiting and self._free and not self.down:
                self._free -= 1
                job = asyncio.create_task(self._run(self._waiting.pop(0)))
                self._jobs.add(job)
                job.add_done_callback(self._jobs.discard)

    async def _run(self, token: str) -> None:
        worker = Worker(self.url, SCOPE, self.site, options=OPTIONS)
        tenure = Tenure(worker, self.lease, self, token, limits=self.limits, is_brief=token in self.behind)
        self.tenures.append(tenure)
        try:
            self.ends.append(await tenure.run())
        finally:
            self._free += 1
            self._begin()
