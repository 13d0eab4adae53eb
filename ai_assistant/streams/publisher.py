"""Publishes events: one pipeline for all tasks of a worker, so that a busy worker makes fewer, larger round trips.

Events are handed over in order and sent in order. While Redis is away they wait, up to a limit of time; because every
event has its number, sending one again whose answer was lost does no harm.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Any

import msgspec
import redis.asyncio
from redis.exceptions import NoScriptError, RedisError

from ai_assistant.streams import keys as names
from ai_assistant.streams import scripts

log = logging.getLogger("ai_assistant.publisher")

MAX_BATCH = 128
OUTAGE_S = 30.0
"""How long events wait for Redis before their task is given up."""
UNKNOWN, STALE = -1, -2


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
        self._idle = asyncio.Event()
        self._idle.set()
        self.round_trip_s = 0.0
        """How long a batch takes, smoothed: the measure of load that widens the coalescing."""
        self.events = 0
        self.batches = 0
        self.errors = 0
        self.dropped = 0

    def submit(self, item: Emission | Command) -> None:
        """Hands over an event; never blocks."""
        self._queue.append(item)
        self._idle.clear()
        self._wake.set()

    async def drained(self) -> None:
        """Returns when everything submitted has been sent or given up."""
        await self._idle.wait()

    async def run(self) -> None:
        """Sends until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                batch, self._queue = self._queue[:MAX_BATCH], self._queue[MAX_BATCH:]
                await self._send(batch)
            if not self._queue:
                self._idle.set()

    async def _send(self, batch: list[Emission | Command]) -> None:
        started = time.monotonic()
        answers = await self._answers(batch, started + self._outage_s)
        took = time.monotonic() - started
        self.round_trip_s += (took - self.round_trip_s) * 0.2
        self.batches += 1
        for item, answer in zip(batch, answers, strict=True):
            if isinstance(item, Emission):
                self.events += answer == 1
            self.dropped += answer is None
            if item.done:
                item.done(answer)

    async def _answers(self, batch: list[Emission | Command], deadline: float) -> list[int | None]:
        delay = 0.05
        while True:
            try:
                return await self._attempt(batch)
            except NoScriptError:
                await self._load()
            except (RedisError, OSError) as error:
                self.errors += 1
                if time.monotonic() > deadline:
                    log.error("Redis stayed away for %g s; %d events are lost: %s", self._outage_s, len(batch), error)
                    return [None] * len(batch)
                if delay == 0.05:
                    log.warning("ai_progress cannot be published, trying again: %s", error)
                await asyncio.sleep(delay)
                delay = min(1.0, delay * 2)

    async def _attempt(self, batch: list[Emission | Command]) -> list[int]:
        """One round trip: runs of events as one script call each, other commands between them."""
        calls, sizes = calls_of(batch)
        if len(calls) == 1:
            replies = [await self._client.evalsha(*calls[0])]
        else:
            async with self._client.pipeline(transaction=False) as pipe:
                for call in calls:
                    pipe.evalsha(*call)
                replies = await pipe.execute()
        answers: list[int] = []
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
            "events": self.events,
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
