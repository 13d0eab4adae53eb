"""Publishes events: one pipeline for all tasks of a worker, so that a busy worker makes fewer, larger round trips.

Events are handed over in order and sent in order. While Redis is away they wait, up to a limit of time; because every
event has its number, sending one again whose answer was lost does no harm.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
import redis.asyncio
from redis.exceptions import NoScriptError, RedisError, ResponseError

from ai_assistant.core.metrics import Histogram
from ai_assistant.streams import keys as names
from ai_assistant.streams import scripts
from ai_assistant.streams.totals import EVENT_TYPES, PUBLISH_S

log = logging.getLogger("ai_assistant.publisher")

MAX_BATCH = 128
OUTAGE_S = 30.0
"""How long events wait for Redis before their task is given up."""
UNKNOWN, STALE, SKIPPED, REFUSED = -1, -2, -3, -4
"""Answers to an emission: the task is not there; it is another worker's, or ended; an event before it is missing; Redis
refuses it for a reason that lies in the task itself."""
FOR_NOW = ("OOM", "LOADING", "READONLY", "BUSY", "MISCONF", "CLUSTERDOWN", "MASTERDOWN", "NOREPLICAS", "NOSCRIPT")
"""Refusals that say something of Redis' state, not of the command: worth another attempt."""


class Emission(msgspec.Struct):
    """An event on its way. `done` is told the script's answer, or `None` when Redis stayed away."""

    task: str
    log: str
    gen: int
    seq: int
    shown: bool
    message: bytes
    prefix: bytes
    suffix: bytes
    done: Callable[[int | None], None] | None = None
    type: str = "text"
    """What the metrics count it as: one of `totals.EVENT_TYPES`."""


class Command(msgspec.Struct):
    """Another script that must keep its place among the events."""

    script: scripts.Script
    keys: list[str]
    args: list[Any]
    done: Callable[[int | None], None] | None = None


class Publisher:
    """Sends emissions and commands through one connection. Run `run()` as a task; `submit` may be called at once."""

    def __init__(self, client: redis.asyncio.Redis, *, outage_s: float = OUTAGE_S):
        self._client = client
        self._outage_s = outage_s
        self._queue: list[Emission | Command] = []
        self._wake = asyncio.Event()
        self.round_trip_s = 0.0
        """How long a batch takes, smoothed: the measure of load that widens the coalescing."""
        self.round_trips = Histogram(PUBLISH_S)
        self.published: dict[str, int] = dict.fromkeys(EVENT_TYPES, 0)
        """Events that were taken, by type."""
        self.rejected: Counter[int] = Counter()
        """Events that were not, by the answer."""
        self.batches = 0
        self.errors = 0
        self.dropped = 0
        self._away_since: float | None = None

    def submit(self, item: Emission | Command) -> None:
        """Hands over an event; never blocks."""
        self._queue.append(item)
        self._wake.set()

    async def command(self, script: scripts.Script, keys: list[str], args: list[Any]) -> int | None:
        """Runs a script behind everything submitted so far; `None` when Redis stayed away."""
        answered: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

        def done(answer: int | None) -> None:
            if not answered.done():
                answered.set_result(answer)

        self.submit(Command(script, keys, args, done))
        return await answered

    async def run(self) -> None:
        """Sends until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                batch, self._queue = self._queue[:MAX_BATCH], self._queue[MAX_BATCH:]
                await self._send(batch)

    async def _send(self, batch: list[Emission | Command]) -> None:
        answers = await self._answers(batch)
        self.batches += 1
        for item, answer in zip(batch, answers, strict=True):
            if answer is None:
                self.dropped += 1
            elif isinstance(item, Emission):
                if answer == 1:
                    self.published[item.type] += 1
                elif answer < 0:
                    self.rejected[answer] += 1
            if item.done:
                self._tell(item.done, answer)

    def _tell(self, done: Callable[[int | None], None], answer: int | None) -> None:
        """One task's failure must not end the publishing of all the others."""
        try:
            done(answer)
        except Exception:
            self.errors += 1
            log.exception("a task could not take the answer to its event")

    async def _answers(self, batch: list[Emission | Command]) -> list[int | None]:
        delay, loaded = 0.05, False
        while True:
            try:
                answers = await self._attempt(batch)
                self._away_since = None
                return answers
            except NoScriptError as error:
                failure: Exception = error
                if not loaded:
                    loaded = True
                    await self._load()
                    continue
            except ResponseError as error:
                self.errors += 1
                if not any(word in str(error) for word in FOR_NOW):
                    return await self._refused(batch, error)
                failure = error
            except Exception as error:
                # redis-py lets errors of its own through when a connection breaks; publishing must outlive them
                self.errors += 1
                failure = error
                if not isinstance(error, (RedisError, OSError)):
                    log.exception("ai_progress: publishing failed")
            if self._gave_up(failure):
                log.error("Redis has been away for %g s; %d events are lost: %s", self._outage_s, len(batch), failure)
                return [None] * len(batch)
            await asyncio.sleep(delay)
            delay = min(1.0, delay * 2)

    def _gave_up(self, error: Exception) -> bool:
        """Whether Redis has been away for too long, counted from the first failure and over all batches."""
        now = time.monotonic()
        if self._away_since is None:
            self._away_since = now
            log.warning("ai_progress cannot be published, trying again: %s", error)
        return now - self._away_since > self._outage_s

    async def _refused(self, batch: list[Emission | Command], error: ResponseError) -> list[int | None]:
        """Each item by itself, so that one that Redis refuses harms no task but its own."""
        if len(batch) == 1:
            log.error("an event was refused: %s", error)
            return [REFUSED]
        return [answer for item in batch for answer in await self._answers([item])]

    async def _attempt(self, batch: list[Emission | Command]) -> list[int | None]:
        """One round trip: runs of events as one script call each, other commands between them."""
        started = time.monotonic()
        calls, sizes = calls_of(batch)
        if len(calls) == 1:
            replies = [await self._client.evalsha(*calls[0])]
        else:
            async with self._client.pipeline(transaction=False) as pipe:
                for call in calls:
                    pipe.evalsha(*call)
                replies = await pipe.execute()
        took = time.monotonic() - started
        self.round_trips.observe(took)
        self.round_trip_s += (took - self.round_trip_s) * 0.2
        answers: list[int | None] = []
        for reply, size in zip(replies, sizes, strict=True):
            answers.extend(reply if size else [reply])
        return answers

    async def _load(self) -> None:
        with contextlib.suppress(RedisError, OSError):  # the next attempt meets and reports the same failure
            for script in scripts.ALL:
                await self._client.script_load(script.source)

    def stats(self) -> dict[str, Any]:
        """Counters for `status` and the log."""
        return {
            "events": sum(self.published.values()),
            "batches": self.batches,
            "publish_errors": self.errors,
            "dropped": self.dropped,
            "round_trip_ms": round(self.round_trip_s * 1000, 2),
        }


def calls_of(batch: list[Emission | Command]) -> tuple[list[tuple[Any, ...]], list[int]]:
    """The EVALSHA calls of a batch, and for each how many events it carries (0: another command)."""
    calls: list[tuple[Any, ...]] = []
    sizes: list[int] = []
    run: list[Emission] = []

    def close() -> None:
        if run:
            calls.append(emit_call(run))
            sizes.append(len(run))
            run.clear()

    for item in batch:
        if isinstance(item, Emission):
            run.append(item)
        else:
            close()
            calls.append((item.script.sha, len(item.keys), *item.keys, *item.args))
            sizes.append(0)
    close()
    return calls, sizes


def emit_call(run: list[Emission]) -> tuple[Any, ...]:
    """The call of the EMIT script for a run of events."""
    keys: list[Any] = []
    args: list[Any] = [names.REALTIME_CHANNEL]
    for item in run:
        keys += (item.task, item.log)
        args += (item.gen, item.seq, 1 if item.shown else 0, item.message, item.prefix, item.suffix)
    return (scripts.EMIT.sha, len(keys), *keys, *args)
