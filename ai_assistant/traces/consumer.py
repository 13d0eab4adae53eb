"""The consumer: stores the traces of all sites that this process can open.

Any number of them share the load by Redis' consumer group. What one has read and not settled when it dies is taken over
by another; what was stored twice that way is skipped, for producers number their events.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, Protocol

import msgspec
import redis.asyncio
from redis.exceptions import RedisError, ResponseError

import ai_assistant
from ai_assistant.core.trace_keys import SITES
from ai_assistant.streams.connection import end_tasks, worker_client
from ai_assistant.traces.consumer_batch import Units
from ai_assistant.traces.consumer_options import ConsumerOptions
from ai_assistant.traces.consumer_site import OnEnded, SiteConsumer
from ai_assistant.traces.heartbeat import gone
from ai_assistant.traces.intake import Intake
from ai_assistant.traces.keeper import ProducerKeeper

log = logging.getLogger("ai_assistant.traces")

STOP_S: Final = 5.0
"""How long batches may take to end after the stop; what is not settled then stays in Redis."""


class Keeper(Protocol):
    """What keeps loops going, and counts their failures (`worker.supervisor`)."""

    async def keep(self, name: str, loop: Callable[[], Awaitable[None]], until: asyncio.Event | None = None) -> None:
        """Runs `loop` until it returns, again after each failure."""
        ...


class Consumer:
    """One consumer. `run` works until `stop`."""

    def __init__(
        self,
        redis_url: str,
        units: Units,
        keeper: Keeper,
        *,
        options: ConsumerOptions = ConsumerOptions(),  # noqa: B008  # frozen
        is_busy: Callable[[], bool] = lambda: False,
        on_ended: OnEnded | None = None,
    ):
        """`units`: opens units of work, each site's in a thread of its own, which nothing else must wait for.
        `is_busy`: whether the process has more urgent things to do. `on_ended`: who wants to know what has ended."""
        self.id = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self.options = options
        self.ready = asyncio.Event()
        """Set after the first look at the sites."""
        self._client: redis.asyncio.Redis = worker_client(redis_url)
        self._units = units
        self._keeper = keeper
        self._is_busy = is_busy
        self._on_ended = on_ended
        self._stopping = asyncio.Event()
        self._known: set[str] = set()
        self._look = asyncio.Event()
        """Set when there may be another site."""
        self._news = asyncio.Event()
        """Set when a heartbeat has something new to say."""
        self._sites: dict[str, SiteConsumer] = {}
        self._loops: dict[str, asyncio.Task[None]] = {}
        self._refused: dict[str, float] = {}
        self._producers = ProducerKeeper(self._client, units, self.id, options)

    def serve(self, sites: Iterable[str]) -> None:
        """Serves these, too, from the next look on: before the first trace of a site, it is known that it has a
        consumer."""
        self._known.update(sites)
        self._look.set()

    def stop(self) -> None:
        """Asks it to end after the batches that it has."""
        self._stopping.set()

    @property
    def is_stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping.is_set()

    @property
    def waiting(self) -> int:
        """Entries that waited when it was looked last, on all sites that it serves; 1 before it was looked."""
        return sum(site.waiting for site in self._sites.values()) if self.ready.is_set() else 1

    @property
    def sites(self) -> list[str]:
        """The sites that it serves."""
        return list(self._sites)

    async def run(self) -> None:
        """Works until `stop`."""
        services = [
            asyncio.create_task(self._keeper.keep(f"trace {name}", loop), name=f"trace {name}")
            for name, loop in (("sites", self._site_loop), ("heartbeat", self._beat_loop), ("producers", self._tend))
        ]
        try:
            await self._stopping.wait()
            await self._batches_ended()
        finally:
            self._stopping.set()
            await end_tasks([*services, *self._loops.values()])
            await self._close()

    async def _batches_ended(self) -> None:
        if self._loops:
            await asyncio.wait(self._loops.values(), timeout=STOP_S)

    async def _site_loop(self) -> None:
        while not self._stopping.is_set():
            members: Any = await self._client.smembers(SITES)  # type: ignore[misc]
            for site in sorted(self._known | {member.decode(errors="replace") for member in members}):
                self._serve(site)
            self.ready.set()
            await set_within(self._look, self.options.sites_s)

    def _serve(self, site: str) -> None:
        """Begins with a site that is not served yet; one that was refused is asked again after a while."""
        if site in self._sites or time.monotonic() < self._refused.get(site, 0.0):
            return
        intake = Intake(self._client, site, self.id, self.options)
        one = SiteConsumer(
            site,
            intake,
            self._units,
            self.options,
            stopping=self._stopping,
            news=self._news,
            is_busy=self._is_busy,
            on_ended=self._on_ended,
        )
        self._sites[site] = one
        self._loops[site] = asyncio.create_task(self._keep(one), name=f"traces of {site}")

    async def _keep(self, one: SiteConsumer) -> None:
        await self._keeper.keep(f"traces of {one.site}", one.run, until=self._stopping)
        if one.is_refused:
            self._refused[one.site] = time.monotonic() + self.options.refused_s
            del self._sites[one.site], self._loops[one.site]
            await self._left(one)

    async def _beat_loop(self) -> None:
        while True:
            for one in [site for site in self._sites.values() if site.is_open or site.served.error]:
                try:
                    await self._beat(one)
                except ResponseError as error:  # a key of one site that is no stream must not stop the others
                    log.error("traces of %s: the heartbeat failed: %s", one.site, error)
            await set_within(self._news, self.options.beat_s)

    async def _beat(self, one: SiteConsumer) -> None:
        keys, backlog = one.intake.keys, await one.look()
        if one.is_refused:
            return
        said = {**self._about(), "beat": backlog.now_ms, **one.beat(backlog)}
        await self._client.hset(keys.consumers, self.id, msgspec.json.encode(said))  # type: ignore[misc, arg-type]
        dead = gone(await self._client.hgetall(keys.consumers), now=backlog.now_ms)  # type: ignore[misc, arg-type]
        if dead:
            await self._client.hdel(keys.consumers, *dead)  # type: ignore[misc]

    def _about(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "version": ai_assistant.__version__,
            "host": socket.gethostname(),
            "pid": os.getpid(),
        }

    async def _tend(self) -> None:
        while True:
            await asyncio.sleep(self.options.producers_s)
            for one in list(self._sites.values()):
                if one.is_open:
                    await self._producers.tend(one.site)

    async def _left(self, one: SiteConsumer) -> bool:
        """Takes this consumer off the site's lists, if Redis is there."""
        try:
            await one.intake.leave()
        except (RedisError, OSError) as error:
            log.warning("the consumer of traces could not sign off from %s: %s", one.site, error)
            return False
        return True

    async def _close(self) -> None:
        for one in self._sites.values():
            if not await self._left(one):
                break
        self._units.close()
        await self._client.aclose() if hasattr(self._client, "aclose") else await self._client.close()
        log.info("trace consumer %s has stopped", self.id)


async def set_within(event: asyncio.Event, limit_s: float) -> None:
    """Returns when the event is set, which it is no longer then, or when the time is over."""
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(event.wait(), limit_s)
    event.clear()
