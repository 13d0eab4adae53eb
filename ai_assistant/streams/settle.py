"""Ends or restarts a task that nobody works on any more. Any reader may do it: each change is guarded by the task's
generation and number, so that of several who try one succeeds."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

import msgspec
import redis

from ai_assistant.core.errors import ChatError
from ai_assistant.core.events import EventWriter, envelope, user_room
from ai_assistant.core.settings import Settings
from ai_assistant.core.task import Message, Outcome, Task, TaskRef, Timings
from ai_assistant.streams import keys as names
from ai_assistant.streams import scripts
from ai_assistant.streams.log import assemble
from ai_assistant.streams.totals import end_field

if TYPE_CHECKING:
    from ai_assistant.streams.tasks import Tasks

log = logging.getLogger("ai_assistant.tasks")

MAX_GENERATIONS = 3
"""A task whose workers died so often is taken for their cause, and not started over again."""
WAIT_SLICE_S = 2.0
MAX_TOKENS = 10**12
"""What one task can add to its user's tokens of the day: Redis counts up to 2**63, and refuses more."""


class Settler:
    """Settles tasks through the scripts END and RESTART."""

    def __init__(self, tasks: Tasks):
        self._tasks = tasks

    def settle(self, task: Task, overdue: str, settings: Settings) -> bool:
        """Restarts or ends an overdue task; False when somebody else was quicker."""
        if overdue == "no_worker":
            return self._end_no_worker(task, settings)
        if task.cancel_by:
            return self._end_cancelled(task, task.cancel_by)
        if not task.shown and task.gen < MAX_GENERATIONS:
            return self.restart(task, self._tasks.dead_after_ms, "its worker died")
        return self._end_worker_lost(task)

    def restart(self, task: Task, dead_after_ms: int | str, why: str) -> bool:
        """Queues the task again with the next generation. `dead_after_ms=''`: its own worker lets go of it."""
        task_keys = names.TaskKeys(task.ref)
        writer = EventWriter(msgspec.structs.replace(task, gen=task.gen + 1))
        message = writer.write(
            "status",
            state="restarting",
            detail=f"Starting over: {why}",
            attempt=task.gen + 1,
            model=task.model,
        )
        prefix, suffix = envelope(task.ref.site, user_room(task.ref.user))
        done = self._tasks.run(
            scripts.RESTART,
            [task_keys.task, task_keys.log, self._tasks.keys.queue, self._tasks.keys.workers],
            [
                task.gen,
                writer.seq,
                message,
                prefix,
                suffix,
                names.REALTIME_CHANNEL,
                task_keys.member,
                dead_after_ms,
            ],
        )
        if done == 1:
            log.warning("task %s starts over as generation %d: %s", task.ref.id, task.gen + 1, why)
        return done == 1

    def cancel_queued(self, task: Task, by: str) -> bool:
        """Cancels a task that no worker has taken; False when one has meanwhile."""
        return self._end(
            task,
            condition="queued",
            outcome=Outcome(status="cancelled", message=Message()),
            type_="cancelled",
            by=by,
        )

    def _end_no_worker(self, task: Task, settings: Settings) -> bool:
        error = ChatError(
            "no_worker",
            f"No worker took the task within {settings.no_worker_after_s:g} s. Try again; if it stays so, "
            "the administrator must start a worker.",
        )
        return self._fail(task, "no_worker", int(settings.no_worker_after_s * 1000), error, Message())

    def _end_cancelled(self, task: Task, by: str) -> bool:
        """Ends a task whose worker died before it could follow the cancellation."""
        message, last = assemble(self._tasks, task.ref)
        return last <= task.seq and self._end(
            task,
            condition="dead",
            limit_ms=self._tasks.dead_after_ms,
            outcome=Outcome(status="cancelled", message=message),
            type_="cancelled",
            by=by,
            text=message.content,
        )

    def _end_worker_lost(self, task: Task) -> bool:
        message, last = assemble(self._tasks, task.ref)
        if last > task.seq:  # it goes on; a log that lost its end, though, must not keep the task from ending
            return False
        error = ChatError("worker_lost", "The worker that ran this task died. What had arrived is kept; try again.")
        return self._fail(task, "dead", self._tasks.dead_after_ms, error, message)

    def _fail(
        self,
        task: Task,
        condition: str,
        limit_ms: int,
        error: ChatError,
        message: Message,
    ) -> bool:
        outcome = Outcome(status="failed", message=message, error=error.as_dict())
        ended = self._end(
            task,
            condition=condition,
            limit_ms=limit_ms,
            outcome=outcome,
            type_="error",
            text=message.content,
            **error.as_dict(),
        )
        if ended:
            log.warning("task %s ended: %s", task.ref.id, error.code)
        return ended

    def _end(
        self,
        task: Task,
        *,
        condition: str,
        outcome: Outcome,
        type_: str,
        limit_ms: int = 0,
        **fields: Any,
    ) -> bool:
        writer = EventWriter(task)
        outcome.timings = Timings(total_ms=writer.elapsed_ms())
        event = writer.write(type_, **fields)
        script_keys, args = end_arguments(
            self._tasks.keys, task, writer.seq, condition, outcome, event, limit_ms=limit_ms
        )
        return self._tasks.run(scripts.END, script_keys, args) == 1


def end_arguments(
    scope: names.ScopeKeys,
    task: Task,
    seq: int,
    condition: str,
    outcome: Outcome,
    event: bytes,
    *,
    limit_ms: int = 0,
    tokens: int = 0,
    unsaved: int | None = None,
) -> tuple[list[str], list[Any]]:
    """Keys and arguments of the END script. `unsaved`: 0 there is no conversation, or it is written; 1 a worker
    is to write the answer; 2 the turn too, which nobody has written. The default is what a reader knows of it."""
    task_keys = names.TaskKeys(task.ref)
    prefix, suffix = envelope(task.ref.site, user_room(task.ref.user))
    if unsaved is None:
        unsaved = (1 if task.shown else 2) if task.conversation and task.message_id else 0
    script_keys = [
        task_keys.task,
        task_keys.log,
        task_keys.done,
        scope.open,
        task_keys.active,
        task_keys.tokens,
        scope.queue,
        scope.workers,
        scope.unsaved,
        scope.totals,
    ]
    args = [
        condition,
        task.gen,
        seq,
        outcome.status,
        msgspec.json.encode(outcome),
        event,
        prefix,
        suffix,
        names.REALTIME_CHANNEL,
        scope.ends,
        task_keys.member,
        names.GROUP,
        min(tokens, MAX_TOKENS),
        limit_ms,
        unsaved,
        end_field(outcome.status, str(outcome.error["code"]) if outcome.error else ""),
    ]
    return script_keys, args


def settling(tasks: Tasks, ref: TaskRef, timeout: float, settings: Settings, client: redis.Redis) -> Task:
    """Waits for a task's end in slices, settling it in between when it is overdue."""
    deadline = time.monotonic() + timeout
    done_key = names.TaskKeys(ref).done
    while True:
        task = tasks.get(ref, settings)
        left = deadline - time.monotonic()
        if task.is_final or left <= 0:
            return task
        # a list moved onto itself: nobody who waits takes the end away from the others, and it costs 100 bytes where
        # a stream of one entry costs 4 KiB
        client.blmove(done_key, done_key, min(left, WAIT_SLICE_S), "LEFT", "LEFT")  # type: ignore[arg-type]
