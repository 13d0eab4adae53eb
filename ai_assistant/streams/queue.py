"""The worker's end of the task queue: takes entries, claims tasks, beats, hears of cancellations."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
import redis.asyncio
from redis.exceptions import NoScriptError, ResponseError

from ai_assistant.core.task import Task, TaskRef
from ai_assistant.streams import keys as names
from ai_assistant.streams import scripts
from ai_assistant.streams.record import pairs, task_of

log = logging.getLogger("ai_assistant.queue")

ABANDONED_MS = 5000
"""An entry that a worker read and did not claim for so long is taken by another one."""
GONE_AFTER_MS = 60_000
"""A dead worker is listed no longer after this."""


class Entry(msgspec.Struct, frozen=True):
    """An entry of the queue: a task to run, or (`store`) one whose conversation is to be written."""

    id: str
    ref: TaskRef
    gen: int
    store: bool


class TaskQueue:
    """The queue of one scope, as one worker sees it."""

    def __init__(self, client: redis.asyncio.Redis, blocking: redis.asyncio.Redis, scope: str, worker: str):
        self._client = client
        self._blocking = blocking
        self.keys = names.ScopeKeys(scope)
        self.worker = worker

    async def run(self, script: scripts.Script, keys: list[str], args: list[Any]) -> Any:
        """Runs a script, loading it where Redis does not know it."""
        try:
            return await self._client.evalsha(script.sha, len(keys), *keys, *args)
        except NoScriptError:
            await self._client.script_load(script.source)
            return await self._client.evalsha(script.sha, len(keys), *keys, *args)

    async def prepare(self) -> None:
        """Makes the consumer group, which is there already in most cases."""
        try:
            await self._client.xgroup_create(self.keys.queue, names.GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    async def take(self, count: int, block_ms: int) -> list[Entry]:
        """Up to `count` entries, waiting up to `block_ms` for the first."""
        try:
            reply = await self._blocking.xreadgroup(
                names.GROUP, self.worker, {self.keys.queue: ">"}, count=count, block=block_ms
            )
        except ResponseError as error:
            if "NOGROUP" not in str(error):
                raise
            await self.prepare()  # Redis came back empty
            return []
        rows = reply.values() if isinstance(reply, dict) else [stream[1] for stream in reply or ()]
        return [entry for row in rows for entry in self._entries(row)]

    async def take_abandoned(self, count: int) -> list[Entry]:
        """Entries that some worker read and never claimed, since it died or lost its connection in between."""
        reply = await self._client.xautoclaim(
            self.keys.queue, names.GROUP, self.worker, min_idle_time=ABANDONED_MS, start_id="0-0", count=count
        )
        return self._entries(reply[1])

    def _entries(self, rows: Any) -> list[Entry]:
        if rows and isinstance(rows[0], list) and rows[0] and isinstance(rows[0][0], (list, tuple)):
            rows = [row for group in rows for row in group]  # RESP3 nests once more
        entries = []
        for id_, fields in rows:
            if not fields:
                continue
            ref = names.decode_ref(fields[b"task"])
            entries.append(Entry(id_.decode(), ref, int(fields.get(b"gen", 0)), b"store" in fields))
        return entries

    async def claim(self, entry: Entry) -> Task | None:
        """Makes the task this worker's own and takes its entry off the queue; `None` when it is not to be run."""
        reply = await self.run(
            scripts.CLAIM,
            [names.TaskKeys(entry.ref).task, self.keys.queue],
            [entry.gen, self.worker, entry.id, names.GROUP],
        )
        return task_of(pairs(reply)) if reply else None

    async def drop(self, entry: Entry) -> None:
        """Takes an entry off the queue."""
        await self._client.xack(self.keys.queue, names.GROUP, entry.id)
        await self._client.xdel(self.keys.queue, entry.id)

    async def read(self, ref: TaskRef) -> Task | None:
        """The task as it stands."""
        fields = await self._client.hgetall(names.TaskKeys(ref).task)  # type: ignore[misc]
        return task_of({k.decode(): v for k, v in fields.items()}) if fields else None

    async def beat(self, info: dict[str, Any], running: list[Task]) -> list[str]:
        """Says that the worker lives. Per running task: `''`, `'lost'`, or `'by:<user>'` who cancelled it."""
        reply = await self.run(
            scripts.BEAT,
            [self.keys.workers, self.keys.worker_info, *(names.TaskKeys(task.ref).task for task in running)],
            [self.worker, msgspec.json.encode(info), GONE_AFTER_MS, *(task.gen for task in running)],
        )
        return [item.decode() for item in reply]

    async def leave(self) -> None:
        """Takes the worker off the list."""
        await self._client.zrem(self.keys.workers, self.worker)
        await self._client.hdel(self.keys.worker_info, self.worker)  # type: ignore[misc]
        # a consumer with entries it read and did not claim must stay, so that these can be taken over
        pending = await self._client.xpending_range(
            self.keys.queue, names.GROUP, min="-", max="+", count=1, consumername=self.worker
        )
        if not pending:
            await self._client.xgroup_delconsumer(self.keys.queue, names.GROUP, self.worker)
