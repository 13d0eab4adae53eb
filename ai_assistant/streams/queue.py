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
FORGOTTEN_MS = 3_600_000
"""The consumer group forgets a worker that left nothing behind after this."""
MAX_TAKE = 32
"""Entries that one read takes: a worker that comes first must not take what others could run."""
UNSAVED_AGAIN_MS = 10_000
"""Between two attempts to write a conversation's message."""


class Entry(msgspec.Struct, frozen=True):
    """An entry of the queue: a task to run."""

    id: str
    ref: TaskRef
    gen: int


class TaskQueue:
    """The queue of one scope, as one worker sees it."""

    def __init__(self, client: redis.asyncio.Redis, blocking: redis.asyncio.Redis, scope: str, worker: str):
        self._client = client
        self._blocking = blocking
        self.keys = names.ScopeKeys(scope)
        self.worker = worker
        self._cursor: Any = "0-0"

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
                names.GROUP, self.worker, {self.keys.queue: ">"}, count=min(count, MAX_TAKE), block=block_ms
            )
        except ResponseError as error:
            if "NOGROUP" not in str(error):
                raise
            await self.prepare()  # Redis came back empty
            return []
        rows = reply.values() if isinstance(reply, dict) else [stream[1] for stream in reply or ()]
        return [entry for row in rows for entry in await self._entries(row)]

    async def take_abandoned(self, count: int) -> list[Entry]:
        """Entries that some worker read and never claimed, since it died or lost its connection in between."""
        reply = await self._client.xautoclaim(
            self.keys.queue, names.GROUP, self.worker, min_idle_time=ABANDONED_MS, start_id=self._cursor, count=count
        )
        self._cursor = reply[0]
        return await self._entries(reply[1])

    async def _entries(self, rows: Any) -> list[Entry]:
        if rows and isinstance(rows[0], list) and rows[0] and isinstance(rows[0][0], (list, tuple)):
            rows = [row for group in rows for row in group]  # RESP3 nests once more
        entries = []
        for id_, fields in rows:
            if not fields:
                continue
            try:
                entries.append(Entry(id_.decode(), names.decode_ref(fields[b"task"]), int(fields[b"gen"])))
            except (KeyError, ValueError) as error:  # msgspec's errors are ValueErrors
                log.error("an entry of the queue that names no task is dropped: %s %r", id_, error)
                await self.drop(id_.decode())
        return entries

    async def claim(self, entry: Entry) -> Task | None:
        """Makes the task this worker's own and takes its entry off the queue; `None` when it is not to be run."""
        reply = await self.run(
            scripts.CLAIM,
            [names.TaskKeys(entry.ref).task, self.keys.queue, names.TaskKeys(entry.ref).log, self.keys.workers],
            [entry.gen, self.worker, entry.id, names.GROUP],
        )
        return task_of(pairs(reply)) if reply else None

    async def put_back(self, entry: Entry) -> None:
        """Leaves an entry that was read to another worker."""
        await self.run(
            scripts.PUT_BACK,
            [names.TaskKeys(entry.ref).task, self.keys.queue],
            [entry.gen, names.encode_ref(entry.ref), entry.id, names.GROUP],
        )

    async def drop(self, entry: str) -> None:
        """Takes the entry of that id off the queue."""
        await self._client.xack(self.keys.queue, names.GROUP, entry)
        await self._client.xdel(self.keys.queue, entry)

    async def take_unsaved(self, count: int) -> list[TaskRef]:
        """Up to `count` tasks that ended without their conversation being written; each is given out again after
        a while unless `saved` is told of it."""
        members = await self.run(scripts.TAKE_UNSAVED, [self.keys.unsaved], [count, UNSAVED_AGAIN_MS])
        return [names.decode_ref(member) for member in members]

    async def saved(self, ref: TaskRef) -> None:
        """The task's conversation is written."""
        await self.run(scripts.SAVED, [self.keys.unsaved, names.TaskKeys(ref).task], [names.encode_ref(ref)])

    async def forget_consumers(self) -> None:
        """Removes workers from the group that have long been gone and left no entry behind."""
        for consumer in await self._client.xinfo_consumers(self.keys.queue, names.GROUP):
            if not consumer["pending"] and consumer["idle"] > FORGOTTEN_MS:
                await self._client.xgroup_delconsumer(self.keys.queue, names.GROUP, consumer["name"])

    async def read(self, ref: TaskRef) -> Task | None:
        """The task as it stands."""
        fields: dict[bytes, bytes] = await self._client.hgetall(names.TaskKeys(ref).task)  # type: ignore[misc,assignment]
        return task_of({k.decode(): v for k, v in fields.items()}) if fields else None

    async def beat(self, info: dict[str, Any], running: list[Task]) -> list[str]:
        """Says that the worker lives and has these tasks. Per task: `''`, `'lost'` to another worker or ended,
        `'gone'` from Redis, or `'by:<user>'` who cancelled it."""
        tasks = [names.TaskKeys(task.ref) for task in running]
        reply = await self.run(
            scripts.BEAT,
            [self.keys.workers, self.keys.worker_info, *(key for each in tasks for key in (each.task, each.log))],
            [self.worker, msgspec.json.encode(info), GONE_AFTER_MS, *(task.gen for task in running)],
        )
        return [item.decode() for item in reply]

    async def count(self, grown: dict[str, int]) -> None:
        """Adds to the scope's totals (`totals.py`)."""
        await self.run(scripts.COUNT, [self.keys.totals], [item for pair in grown.items() for item in pair])

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
