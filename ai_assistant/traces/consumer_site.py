"""What a consumer does for one site: reads its stream, stores what it finds, settles that, and again."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from ai_assistant.core.errors import DoesNotExistError, ServiceUnavailableError
from ai_assistant.traces.consumer_batch import BatchStore, Units
from ai_assistant.traces.consumer_entry import words
from ai_assistant.traces.consumer_options import ConsumerOptions
from ai_assistant.traces.heartbeat import Served
from ai_assistant.traces.intake import Backlog, Entry, Intake

log = logging.getLogger("ai_assistant.traces")

OnEnded = Callable[[str, Sequence[str]], None]
"""Takes a site and names of observations, each a trace id and a span id; must not block."""
SUSPICIOUS: Final = 10
"""After so many failures of the database, one after the other, it is looked whether an event is behind them."""
LOG_EVERY: Final = 20
"""One of so many failures of the database, one after the other, is logged."""


class SiteConsumer:
    """One site's loop. What fails here stays here: other sites have loops of their own."""

    def __init__(
        self,
        site: str,
        intake: Intake,
        units: Units,
        options: ConsumerOptions,
        *,
        stopping: asyncio.Event,
        news: asyncio.Event,
        is_busy: Callable[[], bool],
        on_ended: OnEnded | None = None,
    ):
        """`stopping`: set when it is to end. `news`: it sets that when its heartbeat should not wait. `is_busy`:
        whether the process has something to do that must not wait for traces. `on_ended`: who wants to know what has
        ended, once it is stored."""
        self.site = site
        self.intake = intake
        self.served = Served()
        self.is_refused = False
        """Whether the site is none that this process can open."""
        self.waiting = 1
        """Entries that waited when it was looked last; before that there may be some."""
        self._units = units
        self._options = options
        self._stopping = stopping
        self._news = news
        self._is_busy = is_busy
        self._on_ended = on_ended
        self.is_open = False
        """Whether a unit of work on the site has succeeded."""
        self._has_own = True  # what an earlier run of the loop has read and not settled
        self._claim_at = 0.0
        self._failed = 0

    async def run(self) -> None:
        """Works until the stop, or until the site turns out to be none of ours. Raises redis-py's errors; it can be
        called again then."""
        self._has_own = True
        try:
            while not self._stopping.is_set():
                if not self.is_open:
                    await self._open()
                elif not self.intake.is_ready:
                    await self.intake.prepare()
                elif entries := await self._next():
                    await self._store(entries)
                else:
                    # a stream that vanished may be that of a site which was removed: it must not come back by this
                    self.is_open = self.intake.is_ready
        except DoesNotExistError as error:
            log.info("traces of %s are left to others: %s", self.site, error)
            self.is_refused = True

    async def _open(self) -> None:
        try:
            await self._units.run(self.site, lambda access: None)
            self.is_open = True
            self._news.set()
        except DoesNotExistError:
            raise
        except Exception as error:  # noqa: BLE001  # whatever keeps a site from opening: it is tried again
            await self._away(error)

    async def _next(self) -> list[Entry]:
        """What to store now: first what was read before, then what the dead left, then what is new."""
        if self._has_own:
            entries = await self.intake.own()
            self._has_own = bool(entries)
            if entries:
                return entries
        if time.monotonic() >= self._claim_at:
            entries = await self.intake.claim()
            if entries:
                log.info("%d entries of %s are taken over from a consumer that is gone", len(entries), self.site)
                await self.intake.settle([], [], {"claimed": len(entries)})
                return entries
            self._claim_at = time.monotonic() + self._options.claim_s
        return await self.intake.take(self._options.block_ms)

    async def _store(self, entries: list[Entry]) -> None:
        self.waiting = max(self.waiting, len(entries))
        began = time.monotonic()
        batch = BatchStore(self._units, self.site, self._options.batch_events, is_patient=self._failed < SUSPICIOUS)
        try:
            result = await batch.store(entries)
        except ServiceUnavailableError as error:
            self._has_own = True
            await self.intake.settle([], [], {"failures": 1})
            await self._away(error)
            return
        took = time.monotonic() - began
        counts = result.counts(int(took * 1e6))
        await self.intake.settle(entries, result.letters, counts)
        self._note(counts, result.letters, took)
        if self._on_ended and result.ended:
            self._on_ended(self.site, result.ended)
        if self._is_busy():
            await asyncio.sleep(min(took, self._options.busy_pause_s))

    def _note(self, counts: dict[str, int], letters: Sequence[Mapping[str, Any]], took: float) -> None:
        if letters:
            why = letters[-1]["error"][:300]
            log.error(
                "%d events of %s cannot be stored and are dead letters; the last: %s", len(letters), self.site, why
            )
        served = self.served
        served.processed += counts["stored"]
        served.duplicates += counts["duplicates"]
        served.dead_letters += len(letters)
        served.failures += counts["failures"]
        served.batch_ms = round(took * 1000, 1)
        served.error = ""
        self._failed = 0

    async def _away(self, error: Exception) -> None:
        """Waits before the database is tried again; longer each time."""
        if not self.served.error:
            self._news.set()
        self.served.failures += 1
        self.served.error = words(error)[:200]
        if self._failed % LOG_EVERY == 0:
            log.warning("traces of %s cannot be stored now, they wait in Redis: %s", self.site, words(error))
        pause = min(self._options.longest_pause_s, self._options.pause_s * 2 ** min(self._failed, 10))
        self._failed += 1
        try:
            await asyncio.wait_for(self._stopping.wait(), pause)
        except asyncio.TimeoutError:
            return

    async def look(self) -> Backlog:
        """What waits; remembered."""
        found = await self.intake.backlog()
        self.waiting = found.entries
        return found

    def beat(self, backlog: Backlog) -> dict[str, Any]:
        """What its heartbeat says of the site."""
        served = self.served
        return {
            "processed": served.processed,
            "duplicates": served.duplicates,
            "dead_letters": served.dead_letters,
            "failures": served.failures,
            "batch_ms": served.batch_ms,
            "error": served.error,
            "lag": backlog.entries,
            "oldest_ms": backlog.oldest_ms,
        }
