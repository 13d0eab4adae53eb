"""Tasks of a site in Redis, synchronously: what the endpoints, and the worker's sweep, do with them."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import redis
from redis.exceptions import NoScriptError

from ai_assistant.core.errors import (
    DoesNotExistError,
    ServiceUnavailableError,
    TooManyRequestsError,
    ValidationError,
)
from ai_assistant.core.events import EventWriter, envelope, user_room
from ai_assistant.core.settings import Settings
from ai_assistant.core.task import Task, TaskRef
from ai_assistant.streams import keys as names
from ai_assistant.streams import scripts
from ai_assistant.streams.connection import unavailable_as_503
from ai_assistant.streams.log import read_log
from ai_assistant.streams.record import fields_of, pairs, task_of
from ai_assistant.streams.settle import Settler, settling

DEAD_AFTER_MS = 8000
"""A worker whose last heartbeat is older is taken for dead."""
SWEEP_BATCH = 200
"""Tasks that one script call of the sweep looks at."""


class Tasks:
    """The tasks that one scope of workers runs. Thread-safe, as its client is."""

    def __init__(self, client: redis.Redis, scope: str, *, dead_after_ms: int = DEAD_AFTER_MS):
        self.client = client
        self.keys = names.ScopeKeys(scope)
        self.dead_after_ms = dead_after_ms
        self._settler = Settler(self)

    def run(self, script: scripts.Script, keys: list[str], args: list[Any]) -> Any:
        """Runs a script, loading it where Redis does not know it (any more)."""
        try:
            return self.client.evalsha(script.sha, len(keys), *keys, *args)
        except NoScriptError:
            self.client.script_load(script.source)
            return self.client.evalsha(script.sha, len(keys), *keys, *args)

    @unavailable_as_503()
    def start(self, task: Task, fingerprint: str, settings: Settings) -> Task:
        """Accepts a task, in one step with its `start` event, or gives the one of that id.

        Raises ValidationError when the id was used with another body, TooManyRequestsError at a limit of the user,
        ServiceUnavailableError when the backlog is full.
        """
        task_keys = names.TaskKeys(task.ref)
        task.gen, task.seq = 1, 0
        message = EventWriter(task).write("start", mode=task.mode, model=task.model)
        prefix, suffix = envelope(task.ref.site, user_room(task.ref.user))
        limits = settings.limits
        state, number = self.run(
            scripts.START,
            [
                task_keys.task,
                task_keys.log,
                self.keys.queue,
                self.keys.open,
                task_keys.active,
                task_keys.rate,
                task_keys.tokens,
                self.keys.totals,
            ],
            [
                task_keys.member,
                fingerprint,
                settings.max_backlog,
                limits.requests_per_minute,
                limits.concurrent_tasks,
                limits.tokens_per_day,
                settings.task_ttl_s,
                message,
                prefix,
                suffix,
                names.REALTIME_CHANNEL,
                settings.task_ttl_s,
                *fields_of(task),
            ],
        )
        if state == b"same":
            return self.get(task.ref, settings)
        if state != b"new":
            raise refusal(state.decode(), int(number), settings)
        task.seq = 1
        return task

    @unavailable_as_503()
    def get(self, ref: TaskRef, settings: Settings | None = None) -> Task:
        """The task, settled first when it is overdue. Raises DoesNotExistError."""
        task = self.find(ref, settings)
        if task is None:
            raise DoesNotExistError(f"task_id: there is no task {ref.id}; tasks are kept for a while after their end")
        return task

    @unavailable_as_503()
    def find(self, ref: TaskRef, settings: Settings | None = None) -> Task | None:
        """Like `get`, but `None` for an unknown task."""
        settings = settings or Settings()
        for _ in range(5):  # each further round means that somebody else changed the task meanwhile
            task, overdue = self.read(ref, settings)
            if task is None or not overdue:
                return task
            self._settler.settle(task, overdue, settings)
        return self.read(ref, settings)[0]

    def read(self, ref: TaskRef, settings: Settings) -> tuple[Task | None, str]:
        """The task as it stands, without its request, and why it is overdue: `''`, `no_worker` or `dead`."""
        reply = self.run(
            scripts.READ,
            [names.TaskKeys(ref).task, self.keys.workers],
            [int(settings.no_worker_after_s * 1000), self.dead_after_ms],
        )
        if not reply:
            return None, ""
        return task_of(pairs(reply[1:])), reply[0].decode()

    @unavailable_as_503()
    def events(self, ref: TaskRef, after_seq: int, limit: int, settings: Settings | None = None) -> dict[str, Any]:
        """The `get_events` answer; its events are raw JSON (`msgspec.Raw`)."""
        task = self.get(ref, settings)
        events, last, gap = read_log(self, ref, after_seq, limit)
        return {
            "events": [msgspec.Raw(event) for event in events],
            "last_seq": last,
            "complete": task.is_final and last >= task.seq,
            "gap": gap,
        }

    @unavailable_as_503()
    def cancel(self, ref: TaskRef, by: str, settings: Settings | None = None) -> Task:
        """Cancels a task: at once when it is queued, else by telling the worker that runs it."""
        settings = settings or Settings()
        task = self.get(ref, settings)
        for _ in range(5):
            if task.is_final:
                return task
            if task.status == "queued" and self._settler.cancel_queued(task, by):
                return self.get(ref, settings)
            member = names.encode_ref(ref)
            self.run(scripts.CANCEL, [names.TaskKeys(ref).task], [by, self.keys.control, member])
            task = self.get(ref, settings)
            if task.status == "running":
                return task
        return task

    @unavailable_as_503()
    def wait(self, ref: TaskRef, timeout: float, settings: Settings, client: redis.Redis) -> Task:
        """Blocks until the task has ended or `timeout` seconds have passed. `client` reads blockingly."""
        return settling(self, ref, timeout, settings, client)

    @unavailable_as_503()
    def announce_conversation(self, site: str, user: str, name: str, ttl_s: int = 600) -> None:
        """Makes a new conversation known until a worker has written it."""
        self.client.set(names.conversation_key(site, user, name), 1, ex=ttl_s)

    @unavailable_as_503()
    def announced(self, site: str, user: str, name: str) -> bool:
        """Whether a task that creates this conversation was accepted lately."""
        return bool(self.client.exists(names.conversation_key(site, user, name)))

    @unavailable_as_503()
    def forget_conversation(self, site: str, user: str, name: str) -> None:
        """Undoes `announce_conversation`: the conversation was deleted."""
        self.client.delete(names.conversation_key(site, user, name))

    def health(self) -> dict[str, Any]:
        """For `status`: Redis, living workers, backlog. Never raises: that Redis is away is part of the answer."""
        answer: dict[str, Any] = {"ok": False, "redis": {"ok": True}, "workers": [], "backlog": None}
        answer |= {"trace_consumers": [], "traces": None}  # told by `TracePipe.health`
        try:
            answer |= {"workers": self.workers(), "backlog": self.backlog()}
        except ServiceUnavailableError as error:
            return answer | {"redis": {"ok": False, "message": error.message}}
        return answer | {"ok": bool(answer["workers"])}

    @unavailable_as_503()
    def sweep(self, settings: Settings, limit: int = 2000) -> int:
        """Settles what is overdue in the whole scope; gives the number of tasks that were."""
        settled = 0
        members: list[bytes] = self.client.zrange(self.keys.open, 0, limit - 1)  # type: ignore[assignment]
        for start in range(0, len(members), SWEEP_BATCH):
            batch = members[start : start + SWEEP_BATCH]
            refs = [names.decode_ref(member) for member in batch]
            states = self.run(
                scripts.OVERDUE,
                [self.keys.workers, *(names.TaskKeys(ref).task for ref in refs)],
                [int(settings.no_worker_after_s * 1000), self.dead_after_ms],
            )
            for member, ref, state in zip(batch, refs, states, strict=True):
                if state in (b"gone", b"ended"):
                    self.client.zrem(self.keys.open, member)
                elif state:
                    settled += self._settle_now(ref, settings)
        return settled

    def _settle_now(self, ref: TaskRef, settings: Settings) -> bool:
        task, overdue = self.read(ref, settings)
        return task is not None and bool(overdue) and self._settler.settle(task, overdue, settings)

    @unavailable_as_503()
    def backlog(self) -> int:
        """Tasks that wait for a worker."""
        return int(self.client.xlen(self.keys.queue))  # type: ignore[arg-type]

    @unavailable_as_503()
    def workers(self) -> list[dict[str, Any]]:
        """What each living worker said of itself, with `age_ms` of its last heartbeat."""
        seconds, micros = self.client.time()  # type: ignore[misc]
        now = seconds * 1000 + micros // 1000
        beats: list[tuple[bytes, float]] = self.client.zrange(self.keys.workers, 0, -1, withscores=True)  # type: ignore[assignment]
        infos: dict[bytes, bytes] = self.client.hgetall(self.keys.worker_info)  # type: ignore[assignment]
        found = []
        for worker, beat in beats:
            age = max(0, int(now - beat))
            if age <= self.dead_after_ms:
                info = msgspec.json.decode(infos.get(worker, b"{}"))
                found.append({"worker": worker.decode(), "age_ms": age, **info})
        return found


def refusal(state: str, number: int, settings: Settings) -> Exception:
    """The error for a task that was not accepted."""
    limits = settings.limits
    if state == "conflict":
        return ValidationError(
            "task_id: this id was already used with another request; choose a new UUID, or send the same body again"
        )
    if state == "backlog":
        return ServiceUnavailableError(f"{number} tasks are waiting already; try again in a few seconds", retry_after=5)
    if state == "rate":
        seconds = max(1, -(-number // 1000))
        return TooManyRequestsError(
            f"requests per minute: all {limits.requests_per_minute} are used; the next is free in {seconds} s",
            retry_after=seconds,
        )
    if state == "concurrent":
        return TooManyRequestsError(
            f"concurrent tasks: {limits.concurrent_tasks} of yours are running; the limit ends when one of them "
            "does, or is cancelled",
            retry_after=1,
        )
    return tokens_refusal(number, limits.tokens_per_day)


def tokens_refusal(used: int, budget: int) -> TooManyRequestsError:
    """The error for a user whose tokens of the day are used up."""
    left = 86400 - int(time.time()) % 86400
    return TooManyRequestsError(
        f"tokens per day: {used} of {budget} are used; the limit ends at 00:00 UTC, in {left // 3600} h "
        f"{left % 3600 // 60} min",
        retry_after=left,
    )
