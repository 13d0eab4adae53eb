"""The worker: takes tasks, runs them side by side, beats, sweeps, and stops in order."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from redis.exceptions import RedisError

import ai_assistant
from ai_assistant.core.errors import DoesNotExistError, ServiceUnavailableError
from ai_assistant.core.metrics import Family
from ai_assistant.core.ports import SiteOpener
from ai_assistant.core.settings import Settings
from ai_assistant.core.task import Task, TaskRef
from ai_assistant.gateway.gateway import Gateway
from ai_assistant.streams import keys as names
from ai_assistant.streams import scripts
from ai_assistant.streams.connection import end_tasks, publishing_client, request_client, worker_client
from ai_assistant.streams.publisher import Publisher
from ai_assistant.streams.queue import Entry, TaskQueue
from ai_assistant.streams.settle import Settler
from ai_assistant.streams.tasks import Tasks
from ai_assistant.worker.chat_traces import ChatTraces
from ai_assistant.worker.meters import Ledger, Meters
from ai_assistant.worker.metrics_server import worker_families
from ai_assistant.worker.options import WorkerOptions
from ai_assistant.worker.recovery import recover_all, site_names
from ai_assistant.worker.runner import Runner, Tools
from ai_assistant.worker.site_thread import SiteThreads
from ai_assistant.worker.supervisor import RETRY_S, Supervisor, first_of
from ai_assistant.worker.traces import TraceConsumers
from ai_assistant.worker.turns import request_of, writing
from ai_assistant.worker.window import Window

log = logging.getLogger("ai_assistant.worker")

END_S = 4.0
"""How long streams may take to end once they were stopped."""
NO_REQUEST = b"{}"
"""The request of a task whose turn is written: the END script has removed it."""
AT_A_TIME = 20
"""Abandoned entries, and conversations to be written, that one sweep takes."""
LOOK_S = 0.5
"""How often the end of running tasks is compared with the grace that is left."""


class Worker:
    """Runs tasks of one scope until stopped. Several of them share the load by Redis' consumer group."""

    def __init__(
        self,
        redis_url: str,
        scope: str,
        opener: SiteOpener,
        *,
        sites: Iterable[str] | Callable[[], Iterable[str]] = (),
        options: WorkerOptions = WorkerOptions(),  # noqa: B008  # frozen
        gateway: Gateway | None = None,
    ):
        """`sites`: those whose unfinished messages are looked after at the start; where it is a function, that is
        called in a thread of its own."""
        self.id = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self.options = options
        self._sites = sites
        self._client = worker_client(redis_url)
        self._publishing = publishing_client(redis_url)
        self._blocking = worker_client(redis_url)
        self._control = worker_client(redis_url)
        self._sync = request_client(redis_url)
        self._queue = TaskQueue(self._client, self._blocking, scope, self.id)
        self._tasks = Tasks(self._sync, scope, dead_after_ms=options.dead_after_ms)
        publisher = Publisher(self._publishing)
        self._tools = Tools(
            gateway=gateway or Gateway(),
            publisher=publisher,
            window=Window(publisher),
            sites=SiteThreads(opener),
            redis=self._client,
            keys=names.ScopeKeys(scope),
            meters=Meters(),
            traces=ChatTraces((options.trace_redis_urls or (redis_url,))[0], options.trace_bounds),
        )
        self._running: dict[TaskRef, Runner] = {}
        self._traces = TraceConsumers(
            options.trace_redis_urls or (redis_url,), opener, options.traces, is_busy=lambda: bool(self._running)
        )
        self._jobs: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._free = asyncio.Event()
        self._free.set()
        self._taken = 0
        self._supervisor = Supervisor()
        self._ledger = Ledger(self._tools.meters, publisher, self._supervisor, self._tools.gateway)
        self._beat_at = 0.0
        self._grace_until: float | None = None
        self._busy_at = time.monotonic()
        self._started = time.time()
        self.ready = asyncio.Event()
        """Set after the first heartbeat: from then on tasks are taken."""

    async def run(self) -> None:
        """Works until `stop` was called and everything running has ended or was handed over."""
        publishing = self._service("publisher", self._tools.publisher.run)
        storing = self._service("traces", self._traces.run)
        services = [
            self._service("heartbeat", self._beat_loop),
            self._service("control", self._control_loop),
            self._service("sweep", self._sweep_loop),
            self._service("count", self._count_loop),
            self._service("recovery", self._recover),
        ]
        try:
            await self._supervisor.keep("queue", self._take_loop, until=self._stopping)
            await self._wind_up()
        finally:
            await end_tasks(services)
            await end_tasks([publishing])
            await self._tools.traces.close()
            self._traces.stop()
            await asyncio.wait({storing})
            await self._close()

    def _service(self, name: str, loop: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        return asyncio.create_task(self._supervisor.keep(name, loop), name=name)

    def stop(self, grace_s: float | None = None) -> None:
        """Asks the worker to end: it takes no more tasks, and gives those it has `grace_s` to finish (by default
        the options' one). A second call can only shorten that."""
        until = time.monotonic() + (self.options.grace_s if grace_s is None else grace_s)
        self._grace_until = min(until, self._grace_until or until)
        self._stopping.set()
        self._free.set()

    @property
    def is_stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping.is_set()

    @property
    def running(self) -> int:
        """Tasks that run now."""
        return len(self._running)

    @property
    def taken(self) -> int:
        """Tasks that it has run or runs."""
        return self._taken

    @property
    def idle_s(self) -> float:
        """How long nothing has run and no conversation was being written; 0 while something is."""
        return 0.0 if self._running or self._jobs else time.monotonic() - self._busy_at

    @property
    def has_traces(self) -> bool:
        """Whether traces wait to be stored; as of the last heartbeat."""
        return self._traces.waiting > 0

    async def _take_loop(self) -> None:
        await self._queue.prepare()
        await first_of(self.ready, self._stopping)
        while not self._stopping.is_set():
            free = self.options.max_tasks - len(self._running)
            if free <= 0:
                self._free.clear()
                await self._free.wait()
                continue
            for entry in await self._queue.take(free, self.options.block_ms):
                if self._stopping.is_set():
                    await self._queue.put_back(entry)
                else:
                    await self._accept(entry)

    async def _accept(self, entry: Entry) -> None:
        while True:
            try:
                task = await self._queue.claim(entry)
                break
            except (RedisError, OSError) as error:
                # the claim may have happened: leaving now would leave a task that nobody runs
                self._supervisor.redis_failed("claim", error)
                if self._stopping.is_set():
                    return  # nobody beats for it, so that any reader settles it
                await asyncio.sleep(RETRY_S)
            except Exception:
                self._supervisor.failures += 1
                log.exception("task %s cannot be read and is not run", entry.ref.id)
                return
        if task is None:
            return
        runner = Runner(task, self._tools)
        self._running[task.ref] = runner
        self._taken += 1
        self._spawn(self._run(runner))

    async def _run(self, runner: Runner) -> None:
        try:
            await runner.run()
        finally:
            if self._running.get(runner.task.ref) is runner:
                del self._running[runner.task.ref]
            self._free.set()

    def _spawn(self, work: Any) -> None:
        job = asyncio.create_task(work)
        self._jobs.add(job)
        job.add_done_callback(self._ended)

    def _ended(self, job: asyncio.Task[None]) -> None:
        self._jobs.discard(job)
        self._busy_at = time.monotonic()
        if not job.cancelled() and job.exception():
            self._supervisor.failures += 1
            log.error("a task's job failed", exc_info=job.exception())

    async def _save(self, ref: TaskRef) -> None:
        """Writes the conversation of a task that ended without its worker being able to."""
        task = await self._queue.read(ref)
        if task and task.outcome:
            request = request_of(task) if task.request != NO_REQUEST else None
            write = writing(task, task.outcome, request)
            try:
                if write:
                    await self._tools.sites.run(ref.site, write)
            except DoesNotExistError:
                log.info("task %s: its conversation was deleted meanwhile", ref.id)
            except Exception as error:  # noqa: BLE001  # whatever a host's database raises
                log.error("task %s: its message cannot be written yet: %r", ref.id, error)
                return
        await self._queue.saved(ref)

    async def _beat_loop(self) -> None:
        while True:
            runners = list(self._running.values())
            answers = await self._queue.beat(self.info(), [runner.task for runner in runners])
            self._beat_at = time.time()
            for runner, answer in zip(runners, answers, strict=True):
                if answer in ("lost", "gone"):
                    runner.stop(answer)
                elif answer:
                    runner.stop("cancelled", answer.removeprefix("by:"))
            self.ready.set()
            await asyncio.sleep(self.options.beat_s)

    async def _count_loop(self) -> None:
        while True:
            await asyncio.sleep(self.options.beat_s)
            await self._ledger.book(self._queue)

    async def _control_loop(self) -> None:
        """Hears of cancellations at once; one that is missed is found by the next heartbeat."""
        async with self._control.pubsub() as pubsub:
            await pubsub.subscribe(self._queue.keys.control)
            while True:
                message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=2.0)
                if message:
                    ref = names.decode_ref(message["data"])
                    runner = self._running.get(ref)
                    if runner:
                        runner.stop("cancelled", ref.user)

    async def _recover(self) -> None:
        await self._queue.prepare()
        await self._queue.forget_consumers()
        names = await site_names(self._sites)
        self._traces.serve(names)
        await recover_all(self._tools.sites, names, self._tasks)

    async def _sweep_loop(self) -> None:
        while True:
            await asyncio.sleep(self.options.sweep_s)
            # after standing still (a laptop that slept), our own tasks look dead until the next heartbeat
            if time.time() - self._beat_at < self.options.dead_after_ms / 2000:
                await asyncio.to_thread(self._tasks.sweep, Settings())
            if self._stopping.is_set():
                continue
            free = self.options.max_tasks - len(self._running)
            if free > 0:
                for entry in await self._queue.take_abandoned(min(free, AT_A_TIME)):
                    await self._accept(entry)
            for ref in await self._queue.take_unsaved(AT_A_TIME):
                self._spawn(self._save(ref))

    async def _wind_up(self) -> None:
        """After `stop`: lets tasks finish within the grace, hands over those that showed nothing, ends the rest."""
        if self._running:
            left = (self._grace_until or 0.0) - time.monotonic()
            log.info("stopping: %d tasks have %.0f s to finish", len(self._running), max(0.0, left))
            await self._jobs_ended(lambda: self._grace_until or 0.0)
        if self._running:
            others = self.options.hands_over or await self._others_alive()
            handed = [runner for runner in self._running.values() if others and not runner.shown]
            for runner in list(self._running.values()):
                runner.stop("handed" if runner in handed else "shutdown")
            deadline = time.monotonic() + END_S
            await self._jobs_ended(lambda: deadline)
            await self._hand_over(handed)
        await end_tasks(self._jobs, END_S / 2)

    async def _jobs_ended(self, deadline: Callable[[], float]) -> None:
        """Returns when every job has ended, new ones too, or the deadline has passed, which may come nearer."""
        while self._jobs and (left := deadline() - time.monotonic()) > 0:
            await asyncio.wait(self._jobs, timeout=min(left, LOOK_S))

    async def _hand_over(self, runners: list[Runner]) -> None:
        """Queues tasks again that showed nothing. What fails here is settled by any reader: this worker is gone."""
        results = await asyncio.gather(
            *(asyncio.wait_for(self._let_go(runner.task), END_S) for runner in runners), return_exceptions=True
        )
        for runner, result in zip(runners, results, strict=True):
            if isinstance(result, BaseException):
                log.warning("task %s could not be handed over: %r", runner.task.ref.id, result)

    async def _let_go(self, mine: Task) -> None:
        # behind all events of the task, so that its number is the last one's
        await self._tools.publisher.command(scripts.OWN, [names.TaskKeys(mine.ref).task], [mine.gen])
        task = await self._queue.read(mine.ref)
        if task and task.gen == mine.gen:
            await asyncio.to_thread(Settler(self._tasks).restart, task, "", "the worker is stopping")

    async def _others_alive(self) -> bool:
        try:
            workers = await asyncio.to_thread(self._tasks.workers)
        except ServiceUnavailableError as error:
            log.warning("stopping while Redis is away: %s", error)
            return False
        return any(worker["worker"] != self.id and not worker.get("stopping") for worker in workers)

    async def _close(self) -> None:
        try:
            await self._ledger.book(self._queue)
            await self._queue.leave()
        except (RedisError, OSError) as error:
            log.warning("the worker could not sign off: %s", error)
        await self._tools.gateway.aclose()
        self._tools.sites.close()
        for client in (self._client, self._publishing, self._blocking, self._control):
            await client.aclose() if hasattr(client, "aclose") else await client.close()
        self._sync.close()
        log.info("worker %s has stopped after %d tasks", self.id, self._taken)

    def families(self) -> list[Family]:
        """The figures of this worker alone (`metrics_server`)."""
        counted = worker_families(self.info(), {**self._ledger.totals(), **self._tools.meters.ends})
        return [*counted, *self._traces.sender.families()]

    def info(self) -> dict[str, Any]:
        """What the heartbeat says: shown by `status`."""
        return {
            "kind": self.options.kind,
            "version": ai_assistant.__version__,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "started": int(self._started * 1000),
            "running": len(self._running),
            "taken": self._taken,
            "stopping": self._stopping.is_set(),
            "window_ms": round(self._tools.window.seconds() * 1000, 1),
            "redis_errors": self._supervisor.redis_errors,
            "failures": self._supervisor.failures,
            **self._tools.publisher.stats(),
            "gateway": self._tools.gateway.stats(),
            "chat_traces": self._tools.traces.stats(),
        }
