"""A worker's time as the one background job of a bench: it holds the lease, and gives the job's place back.

It ends when it is idle, when a daemon came, when the host's job runner shuts down, when other jobs wait for the place,
and after a while in favour of a successor, so that no process of the job runner is occupied for ever.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Literal, Protocol, TypeVar

from redis.exceptions import RedisError

from ai_assistant.streams.lease import Lease, new_token
from ai_assistant.worker.limits import Limits
from ai_assistant.worker.worker import Worker

log = logging.getLogger("ai_assistant.tenure")

Result = TypeVar("Result")
Ending = Literal["refused", "idle", "daemon", "lost", "shutdown", "room", "hand-over", "last", "failed"]
"""Why a tenure ended; `refused`: it did not begin, `lost`: another job has the lease, `failed`: the worker did."""
UNSAVED_TIMES = 10
"""A conversation or a trace that cannot be written keeps the job for so many times its idle time; later ones try
again."""
APPOINT_AGAIN_S = 15.0
"""A successor that begins is neither queued nor the holder for a moment; one that vanished is asked for again."""
BRIEF_S = 2.0
"""The idle time of a job that nobody may need, until it has taken its first task."""


class JobRunner(Protocol):
    """What runs the job. Called in threads; may raise RedisError and OSError."""

    def enqueue(self, token: str) -> None:
        """Asks for another job."""
        ...

    def enqueue_behind(self, token: str) -> None:
        """Asks for another job, which begins after those that wait for this one's place now."""
        ...

    def is_queued(self, token: str) -> bool:
        """Whether that job waits to begin."""
        ...

    def shuts_down(self) -> bool:
        """Whether this job is to end soon."""
        ...

    def is_wanted(self, room_s: float) -> bool:
        """Whether another job has waited for this one's place for longer than `room_s`. Asked at each beat."""
        ...


class Tenure:
    """One background job's work, from the lease to its end."""

    def __init__(
        self,
        worker: Worker,
        lease: Lease,
        runner: JobRunner,
        token: str,
        *,
        limits: Limits = Limits(),  # noqa: B008  # frozen
        is_brief: bool = False,
    ):
        """`token`: the name under which the job was asked for. `is_brief`: it was asked for without a task that
        waited, and ends soon when there is none."""
        self.limits = limits
        self._worker = worker
        self._lease = lease
        self._runner = runner
        self._token = token
        self._is_brief = is_brief
        self._successor: str | None = None
        self._appointed = 0.0
        self._began = time.monotonic()

    async def run(self) -> Ending:
        """Works until the tenure is over and everything that ran has ended; gives the reason."""
        claim = await in_thread(self._lease.hold, self._token, begin=True)
        if claim != "mine":
            log.info("job %s has nothing to do: %s", self._token, "a daemon lives" if claim == "served" else claim)
            return "refused"
        log.info("job %s takes tasks as worker %s", self._token, self._worker.id)
        working = asyncio.create_task(self._worker.run())
        watching = asyncio.create_task(self._watch())
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        ending: Ending = watching.result() if watching.done() else "failed"
        watching.cancel()
        log.info("job %s takes no more tasks: %s; %d run", self._token, ending, self._worker.running)
        await self._until_done(working, ending)
        if ending != "failed":  # a worker that fails at once must not be followed at once: the lease runs out first
            await self._leave_behind()
        return ending

    async def _watch(self) -> Ending:
        """Returns when the lease is given up and the worker has been told to stop."""
        while True:
            ending: Ending | None = None
            try:
                ending = await self._beat()
            except (RedisError, OSError) as error:
                log.warning("job %s: Redis is away, trying again: %s", self._token, error)
            except Exception:
                ending = "failed"
                log.exception("job %s cannot see how it stands, and ends", self._token)
            if ending:
                self._worker.stop(self.limits.grace_s if ending == "shutdown" else self.limits.finish_s)
                return ending
            await asyncio.sleep(self.limits.beat_s)

    async def _beat(self) -> Ending | None:
        if await in_thread(self._runner.shuts_down):
            await in_thread(self._lease.release, self._token, self._runner.enqueue)
            return "shutdown"
        claim = await in_thread(self._lease.hold, self._token)
        if claim != "mine":
            return "daemon" if claim == "served" else "lost"
        if await in_thread(self._runner.is_wanted, self.limits.room_s):
            await in_thread(self._lease.release, self._token, self._runner.enqueue_behind, always=True)
            return "room"
        return await self._by_age() or await self._by_idleness()

    async def _by_age(self) -> Ending | None:
        age = time.monotonic() - self._began
        if age < self.limits.hand_over_s:
            return None
        if self._successor is None and not self._worker.running and await in_thread(self._lease.leave, self._token):
            return "hand-over"  # nobody needs a successor now
        if await self._needs_successor():
            self._successor, self._appointed = new_token(), time.monotonic()
            await in_thread(self._lease.appoint, self._token, self._successor, self._runner.enqueue)
            return None
        if self._worker.running and age < self.limits.last_s:
            return None
        await in_thread(self._lease.release, self._token, self._runner.enqueue)
        return "last" if age >= self.limits.last_s else "hand-over"

    async def _needs_successor(self) -> bool:
        if self._successor is None:
            return True
        is_due = time.monotonic() - self._appointed > APPOINT_AGAIN_S
        return is_due and not await in_thread(self._runner.is_queued, self._successor)

    async def _by_idleness(self) -> Ending | None:
        limit = self.limits.idle_s
        if self._is_brief and not self._worker.taken:
            limit = min(limit, BRIEF_S)
        idle = self._worker.idle_s
        is_patient = idle < limit * UNSAVED_TIMES
        if idle < limit or (is_patient and self._worker.has_traces):
            return None
        left = await in_thread(self._lease.leave, self._token, mind_unsaved=is_patient)
        return "idle" if left else None

    async def _until_done(self, working: asyncio.Task[None], ending: Ending) -> None:
        """Waits for running streams; when the job runner shuts down meanwhile, not for long."""
        while not working.done():
            await asyncio.wait({working}, timeout=self.limits.beat_s)
            try:
                if ending != "shutdown" and await in_thread(self._runner.shuts_down):
                    ending = "shutdown"
                    self._worker.stop(self.limits.grace_s)
            except (RedisError, OSError) as error:
                log.warning("job %s: whether it is to end cannot be seen: %s", self._token, error)
        await working

    async def _leave_behind(self) -> None:
        """What waits now (tasks that this worker has put back, too) gets the next job."""
        try:
            await in_thread(self._lease.release, self._token, self._runner.enqueue)
            await in_thread(self._lease.wake, self._runner.enqueue, self._runner.is_queued)
        except (RedisError, OSError) as error:
            log.warning("job %s: whether tasks wait cannot be seen; readers wake the next: %s", self._token, error)


async def in_thread(function: Callable[..., Result], *args: Any, **kwargs: Any) -> Result:
    """A call that blocks, in a thread."""
    return await asyncio.to_thread(function, *args, **kwargs)
