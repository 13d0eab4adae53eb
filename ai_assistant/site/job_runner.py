"""RQ as the worker's job sees it from within: its own RQ worker, that one's queues, and who waits in them.

RQ's keys and states are those of 1.15.1 (Frappe v15), reached through RQ's own classes.
"""

from __future__ import annotations

import os
import time
from functools import cached_property
from typing import Any

from rq import Queue, Worker, get_current_job

from ai_assistant.site import wake

LOOK_AT = 20
"""Jobs at the head of a queue that are looked at."""
IDLE_TAKES_S = 12.0
"""An RQ worker that is listed as idle is believed for so long: one that was killed is listed for minutes."""


class RqRunner:
    """`worker.tenure.JobRunner` over RQ. To be made inside the job."""

    def __init__(self) -> None:
        job: Any = get_current_job()
        self._connection = job.connection
        self._name = str(job.worker_name)
        self._parent = os.getppid()
        self._since: dict[str, float] = {}
        self._told = False

    def end(self) -> None:
        """The job itself was told to end."""
        self._told = True

    def enqueue(self, token: str) -> None:
        """Asks for another job."""
        wake.enqueue(token)

    def enqueue_behind(self, token: str) -> None:
        """Asks for another job, in the last of this RQ worker's queues where somebody waits: RQ empties its queues in
        their order, and a job in an earlier one would overtake."""
        names = [queue.name.rpartition(":")[2] for queue in self._queues]
        waiting = [name for name, queue in zip(names, self._queues, strict=True) if others(queue)]
        later = [name for name in waiting if wake.QUEUE in names and names.index(name) > names.index(wake.QUEUE)]
        wake.enqueue(token, queue=later[-1] if later else wake.QUEUE, is_brief=True)

    def is_queued(self, token: str) -> bool:
        """Whether that job waits to begin."""
        return wake.is_queued(token)

    def shuts_down(self) -> bool:
        """Whether the RQ worker was told to stop, or is gone. It waits for its job and does not tell it."""
        if self._told or os.getppid() != self._parent:
            return True
        worker = self._worker()
        return worker is not None and worker.shutdown_requested_date is not None

    def is_wanted(self, room_s: float) -> bool:
        """Whether another job has waited for longer than `room_s` in a queue of this RQ worker, and no other one that
        serves the queue is idle."""
        now = time.monotonic()
        waiting = {job: queue for queue in self._queues for job in others(queue)}
        self._since = {job: self._since.get(job, now) for job in waiting}
        for job, since in self._since.items():
            waited = now - since
            if waited > room_s + IDLE_TAKES_S or (waited > room_s and not self._is_served(waiting[job])):
                return True
        return False

    def _is_served(self, queue: Queue) -> bool:
        return any(each.name != self._name and each.get_state() == "idle" for each in Worker.all(queue=queue))

    @cached_property
    def _queues(self) -> list[Queue]:
        worker = self._worker()
        return list(worker.queues) if worker is not None else []

    def _worker(self) -> Worker | None:
        key = Worker.redis_worker_namespace_prefix + self._name
        return Worker.find_by_key(key, connection=self._connection)


def others(queue: Queue) -> list[str]:
    """The first jobs that wait in a queue, without ours."""
    return [job for job in queue.get_job_ids(0, LOOK_AT) if wake.JOB_ID not in job]
