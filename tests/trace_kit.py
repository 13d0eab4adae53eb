"""What tests of the traces' pipeline share: producers without the SDK, sites over SQLite, a consumer on this loop."""

from __future__ import annotations

import asyncio
import json
import secrets
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

import redis

from ai_assistant.core.errors import DoesNotExistError
from ai_assistant.core.otel import OtelConfig
from ai_assistant.core.trace_event import TraceEvent, body_of, encode_event
from ai_assistant.core.trace_keys import SITES, ObservabilityKeys
from ai_assistant.host.database import Database
from ai_assistant.host.traces import SqlTraces
from ai_assistant.traces.consumer import Consumer
from ai_assistant.traces.consumer_options import ConsumerOptions
from ai_assistant.worker.traces import TraceConsumers

SITE = "traces.test"
QUICK = ConsumerOptions(
    block_ms=100,
    claim_idle_ms=300,
    claim_s=0.1,
    beat_s=0.1,
    sites_s=0.1,
    refused_s=0.2,
    producers_s=0.2,
    silent_s=1.0,
    silent_http_s=30.0,
    pause_s=0.05,
    longest_pause_s=0.2,
)
PATIENCE_S = 20.0


def now_us() -> int:
    """Epoch microseconds."""
    return time.time_ns() // 1000


class Maker:
    """A producer that does by hand what the SDK does: numbers its events, and puts them on the stream."""

    def __init__(self, client: redis.Redis, site: str = SITE, name: str | None = None):
        self.client = client
        self.site = site
        self.keys = ObservabilityKeys(site)
        self.name = name or f"maker:{secrets.token_hex(4)}"
        self.made = 0
        self._places: dict[str, int] = {}

    def event(self, kind: str, trace: str = "", span: str = "", **fields: Any) -> TraceEvent:
        """The next event."""
        self.made += 1
        place = 0
        if trace:
            place = self._places[trace] = self._places.get(trace, 0) + 1
        return TraceEvent(self.made, kind, now_us(), trace, int(bool(trace)), place, span, fields)

    def whole(self, trace: str | None = None, **fields: Any) -> TraceEvent:
        """An observation that began and ended, of a new trace unless one is named."""
        return self.event("whole", trace or secrets.token_hex(16), secrets.token_hex(8), **fields)

    def send(self, *events: TraceEvent, user: str | None = None, per_entry: int = 50) -> None:
        """Puts events on the stream."""
        self.client.sadd(SITES, self.site)
        for start in range(0, len(events), per_entry):
            fields: Any = {
                "p": self.name,
                **body_of([encode_event(each) for each in events[start : start + per_entry]]),
            }
            self.client.xadd(self.keys.events, fields | ({"u": user} if user else {}))

    def send_raw(self, **fields: Any) -> None:
        """Puts an entry on the stream that may be none."""
        self.client.sadd(SITES, self.site)
        self.client.xadd(self.keys.events, {"p": self.name, **fields})

    def beat(self, age_s: float = 0.0, **said: Any) -> None:
        """A heartbeat, which may be an old one."""
        beat = {"beat": int((time.time() - age_s) * 1000), "made": self.made, **said}
        self.client.hset(self.keys.producers, self.name, json.dumps(beat))


class TraceAccess:
    """As much of `core.ports.SiteAccess` as a consumer needs."""

    def __init__(self, traces: SqlTraces, otel: OtelConfig | None = None):
        self.traces = traces
        self.otel = otel


class TraceSites:
    """`core.ports.SiteOpener` over a SQLite file for each site."""

    def __init__(self, folder: Path, *sites: str, busy_timeout: float = 0.2):
        self.files = {site: folder / f"{site}.db" for site in sites or (SITE,)}
        self._busy_timeout = busy_timeout
        self.otel: OtelConfig | None = None
        """Where spans go, of every site."""
        self._databases = {site: Database.open(path, busy_timeout=busy_timeout) for site, path in self.files.items()}

    @contextmanager
    def open(self, site: str) -> Iterator[Any]:
        """A unit of work. Raises DoesNotExistError for a site that is none of these."""
        database = self._databases.get(site)
        if database is None:
            raise DoesNotExistError(f"site: there is no {site}")
        with database.unit() as work:
            yield TraceAccess(SqlTraces(work), self.otel)

    def close(self) -> None:
        """Closes the files."""
        for database in self._databases.values():
            database.close()

    def remove(self, site: str) -> None:
        """Takes the site away, as `drop-site` does."""
        self._databases.pop(site).close()

    def rows(self, query: str, *values: Any, site: str = SITE) -> list[tuple[Any, ...]]:
        """What a query of the test's own finds."""
        with closing(sqlite3.connect(self.files[site], timeout=20)) as connection:
            return connection.execute(query, values).fetchall()

    def one(self, query: str, *values: Any, site: str = SITE) -> Any:
        """The first value of the first row."""
        return self.rows(query, *values, site=site)[0][0]

    def change(self, statement: str, *values: Any, site: str = SITE) -> None:
        """Changes the database behind everybody's back: a trigger, say."""
        with closing(sqlite3.connect(self.files[site], timeout=20)) as connection, connection:
            connection.execute(statement, values)

    @contextmanager
    def locked(self, site: str = SITE) -> Iterator[None]:
        """Somebody else holds the write lock."""
        with closing(sqlite3.connect(self.files[site], timeout=20, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("ROLLBACK")

    def observations(self, site: str = SITE) -> int:
        """How many are stored."""
        return self.one("SELECT count(*) FROM ai_observation", site=site)


@asynccontextmanager
async def consuming(
    url: str, opener: Any, options: ConsumerOptions = QUICK, *, is_busy: Callable[[], bool] = lambda: False
) -> AsyncIterator[Consumer]:
    """A consumer on this loop, ready when the block begins."""
    consumers = TraceConsumers((url,), opener, options, is_busy=is_busy)
    running = asyncio.create_task(consumers.run())
    try:
        yield consumers.consumers[0]
    finally:
        consumers.stop()
        await asyncio.wait_for(running, 30)


async def until(look: Callable[[], Any], message: str = "it did not happen in time") -> Any:
    """What `look` gives, as soon as that is something."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := look()):
        assert time.monotonic() < deadline, message
        await asyncio.sleep(0.02)
    return found
