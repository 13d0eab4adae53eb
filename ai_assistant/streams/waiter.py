"""Waits for the ends of tasks on an event loop: one subscription serves every waiting call of a process."""

from __future__ import annotations

import asyncio
import logging
import time

import redis.asyncio
from redis.exceptions import RedisError

from ai_assistant.core.settings import Settings
from ai_assistant.core.task import Task, TaskRef
from ai_assistant.streams import keys as names
from ai_assistant.streams.connection import was_cancelled
from ai_assistant.streams.tasks import Tasks

log = logging.getLogger("ai_assistant.waiter")

RETRY_S = 0.5
LOOK_S = 3.0
"""How often a waiting call looks by itself: settles an overdue task, and finds an end whose message was missed."""


class EndWaiter:
    """Run `run()` as a task; `wait` may be called from the same loop."""

    def __init__(self, client: redis.asyncio.Redis, tasks: Tasks):
        self._client = client
        self._tasks = tasks
        self._waiting: dict[str, set[asyncio.Event]] = {}

    async def run(self) -> None:
        """Listens until cancelled; comes back after each failure of Redis."""
        while True:
            try:
                await self._listen()
            except (RedisError, OSError) as error:
                log.warning("ends of tasks are not heard, trying again: %s", error)
            except Exception:
                log.exception("ends of tasks are not heard, trying again")
            if was_cancelled():
                raise asyncio.CancelledError
            await asyncio.sleep(RETRY_S)

    async def _listen(self) -> None:
        async with self._client.pubsub() as pubsub:
            await pubsub.subscribe(self._tasks.keys.ends)
            while True:
                message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=2.0)
                if message:
                    for event in self._waiting.get(message["data"].decode("utf-8", "replace"), ()):
                        event.set()

    async def wait(self, ref: TaskRef, timeout: float, settings: Settings) -> Task:
        """The task when it has ended, or as it stands after `timeout` seconds.

        Raises DoesNotExistError when it is gone and ServiceUnavailableError when Redis is.
        """
        member = names.encode_ref(ref)
        deadline = time.monotonic() + timeout
        event = asyncio.Event()
        self._waiting.setdefault(member, set()).add(event)
        try:
            while True:
                event.clear()
                task = await asyncio.to_thread(self._tasks.get, ref, settings)
                left = deadline - time.monotonic()
                if task.is_final or left <= 0:
                    return task
                await heard(event, min(left, LOOK_S))
        finally:
            self._waiting[member].discard(event)
            if not self._waiting[member]:
                del self._waiting[member]


async def heard(event: asyncio.Event, timeout: float) -> None:
    """Returns when the event is set or `timeout` seconds have passed."""
    try:
        await asyncio.wait_for(event.wait(), timeout)
    except (asyncio.TimeoutError, TimeoutError):
        return
