"""Looks after the producers of a site: ends what the dead have left open, and counts what is missing."""

from __future__ import annotations

import functools
import logging
from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec
import redis.asyncio

from ai_assistant.core.errors import AssistantError
from ai_assistant.core.ports import SiteAccess
from ai_assistant.core.trace_keys import ObservabilityKeys
from ai_assistant.traces import writer
from ai_assistant.traces.consumer_batch import Units
from ai_assistant.traces.consumer_options import ConsumerOptions
from ai_assistant.traces.health import DROPPED, MISSING
from ai_assistant.traces.heartbeat import age_ms, beats_of
from ai_assistant.traces.intake import PEEK, backlog_of
from ai_assistant.traces.ranges import MAX_NUMBER
from ai_assistant.traces.values import MAX_WORD

log = logging.getLogger("ai_assistant.traces")

AT_A_TIME: Final = 500
"""Observations that one unit of work ends."""
ROUNDS: Final = 40
LOSSY: Final = 1000
"""Producers with losses that are looked at: each job of a queue may be a producer of its own."""
LATELY_US: Final = 24 * 3600 * 1_000_000
"""Losses of producers that were heard within a day are shown in `status`."""


class Losses(msgspec.Struct):
    """What a look at the producers' rows finds."""

    missing: dict[str, int]
    """Events that are missing, by producer."""
    dropped: int
    """Events that they have given up."""


class ProducerKeeper:
    """Looks after the producers of all sites that one consumer serves; one consumer of a site at a time does it."""

    def __init__(self, client: redis.asyncio.Redis, units: Units, consumer: str, options: ConsumerOptions):
        self._client = client
        self._units = units
        self._consumer = consumer
        self._options = options
        self._missing: dict[str, dict[str, int]] = {}

    async def tend(self, site: str) -> None:
        """One look, unless another consumer has had one just now. Raises redis-py's errors; a database that is away
        is left to the next look."""
        keys = ObservabilityKeys(site)
        lease_ms = int(self._options.producers_s * 900)
        if not await self._client.set(f"{keys.producers}:lease", self._consumer, nx=True, px=lease_ms):
            return
        try:
            await self._tend(site, keys)
        except AssistantError as error:
            log.info("producers of %s are not looked after now: %s", site, error)

    async def _tend(self, site: str, keys: ObservabilityKeys) -> None:
        backlog = backlog_of(await self._client.eval(PEEK, 2, keys.events, keys.dead))  # type: ignore[misc]
        beats = beats_of(await self._client.hgetall(keys.producers))  # type: ignore[misc, arg-type]
        ages = {id_: age_ms(beat, backlog.now_ms) for id_, beat in beats.items()}
        silent = [id_ for id_, age in ages.items() if age > self._limit_ms(beats[id_])]
        closed = await self._close(site, beats.keys() - set(silent))
        # what it had sent is stored by now: nothing in the stream is as old as its last heartbeat
        buried = [id_ for id_ in silent if not backlog.entries or backlog.oldest_ms < ages[id_]]
        if made := {id_: number for id_ in buried if (number := made_by(id_, beats[id_]))}:
            await self._units.run(site, functools.partial(note_made, made))
        losses = await self._units.run(site, functools.partial(look, since=backlog.now_ms * 1000 - LATELY_US))
        await self._tell(keys, closed, buried, self._lasting(site, losses), losses.dropped)

    def _limit_ms(self, beat: Mapping[str, Any]) -> float:
        return 1000 * (self._options.silent_http_s if beat.get("http") else self._options.silent_s)

    async def _close(self, site: str, alive: Collection[str]) -> int:
        """Ends what the dead have left open; how many observations that were."""
        closed = 0
        for _ in range(ROUNDS):
            found = await self._units.run(site, functools.partial(close, alive, self._options.silent_s))
            closed += found
            if found < AT_A_TIME:
                break
        if closed:
            log.info("%d observations of %s were left open by producers that are gone", closed, site)
        return closed

    def _lasting(self, site: str, losses: Losses) -> int:
        """Events that are missing now and were at the last look: others may be on their way."""
        before = self._missing.get(site)
        self._missing[site] = losses.missing
        return sum(min(count, (before or {}).get(name, 0)) for name, count in losses.missing.items())

    async def _tell(self, keys: ObservabilityKeys, closed: int, buried: list[str], missing: int, dropped: int) -> None:
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.hset(keys.counts, mapping={MISSING: missing, DROPPED: dropped})
            if closed:
                pipe.hincrby(keys.counts, "interrupted", closed)
            if buried:
                pipe.hdel(keys.producers, *buried)
            await pipe.execute()


def made_by(producer: str, beat: Mapping[str, Any]) -> int:
    """The highest number that a heartbeat says to have given; 0 where it says nothing that can be kept."""
    made = beat.get("made")
    is_number = isinstance(made, int) and not isinstance(made, bool) and 0 < made <= MAX_NUMBER
    return made if is_number and 1 <= len(producer) <= MAX_WORD else 0  # type: ignore[return-value]


def close(alive: Collection[str], silent_s: float, access: SiteAccess) -> int:
    """Ends some observations that nobody will end."""
    return writer.close_lost(access.traces, alive, silent_s=silent_s, limit=AT_A_TIME)


def note_made(made: Mapping[str, int], access: SiteAccess) -> None:
    """Notes what producers that are gone had made, so that it is seen what of it never came."""
    writer.note_made(access.traces, made)


def look(access: SiteAccess, *, since: int) -> Losses:
    """Losses of the producers that were heard since then, in epoch microseconds."""
    rows = access.traces.producers(LOSSY, lossy_since=since)
    return Losses(
        missing={row["name"]: row["missing_count"] for row in rows if row.get("missing_count")},
        dropped=sum(row.get("dropped_count") or 0 for row in rows),
    )
