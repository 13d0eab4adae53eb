"""What goes when traces are too old or too many, on SQLite as the embedded host has it."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ai_assistant.core.trace import TraceFilter
from ai_assistant.core.trace_event import TraceEvent
from ai_assistant.host import accounts  # noqa: F401 - declares the tables
from ai_assistant.host.access import HostOpener
from ai_assistant.host.config import load_config
from ai_assistant.host.database import Database
from ai_assistant.host.retention import Retention
from ai_assistant.traces.retention import PRODUCER_DAYS, Policy, enforce
from ai_assistant.traces.writer import Batch, apply

NOW = 1_790_000_000.0
DAY_US = 86_400_000_000
TABLES = ("ai_trace", "ai_observation", "ai_trace_tag", "ai_trace_view", "ai_trace_search")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty one."""
    with closing(Database.open(tmp_path / "assistant.db")) as found:
        yield found


@pytest.fixture
def opener(database: Database, tmp_path: Path) -> HostOpener:
    """The host's."""
    return HostOpener(load_config(environ={}, overrides={"data_dir": str(tmp_path)}), database)


SITE = "assistant.localhost"


def write(opener: HostOpener, days: float, *, count: int = 1, size: int = 100) -> list[str]:
    """Traces that began so many days ago, each with two observations."""
    at = int(NOW * 1e6 - days * DAY_US)
    names = [secrets.token_hex(16) for _ in range(count)]
    events = []
    for i, name in enumerate(names):
        spans = [secrets.token_hex(8) for _ in range(2)]
        events.append(TraceEvent(0, "trace", at, name, 0, 0, "", {"tags": ["a"], "user": "ann"}))
        for span in spans:
            said: dict[str, Any] = {
                "parent": "" if span == spans[0] else spans[0],
                "title": "step",
                "started_at": at + i,
            }
            text = secrets.token_hex(size // 2)
            events.append(TraceEvent(0, "whole", at + i, name, 0, 0, span, {**said, "ended_at": at + i, "input": text}))
    with opener.open(SITE) as access:
        apply(access.traces, [Batch("p", None, events)])
    return names


def left(opener: HostOpener) -> set[str]:
    """The traces that are there."""
    found: set[str] = set()
    cursor = None
    while True:
        with opener.open(SITE) as access:
            page = access.traces.list(TraceFilter(), owner=None, limit=200, cursor=cursor)
        found |= {row["name"] for row in page.rows}
        cursor = page.cursor
        if cursor is None:
            return found


def rows_of(database: Database) -> int:
    """Rows of all tables of traces."""
    with database.read() as connection:
        return sum(connection.exec_driver_sql(f"select count(*) from {table}").scalar() or 0 for table in TABLES)


def clean_up(opener: HostOpener, **policy: int) -> int:
    return enforce(opener, SITE, Policy(**policy), piece=3, clock=lambda: NOW)


def test_by_age(opener: HostOpener, database: Database) -> None:
    old, young = write(opener, 31, count=8), write(opener, 29.9, count=2)
    assert clean_up(opener, days=30) == 8
    assert left(opener) == set(young)
    assert clean_up(opener, days=30) == 0
    assert clean_up(opener, days=1) == 2
    assert rows_of(database) == 0, f"something of {old + young} is left"


def test_by_size_the_oldest_go_first(opener: HostOpener) -> None:
    old = write(opener, 3, count=30, size=30_000)
    middle = write(opener, 2, count=30, size=30_000)
    young = write(opener, 1, count=30, size=30_000)
    with opener.open(SITE) as access:
        size = access.traces.size()
    assert clean_up(opener, days=0, max_bytes=size + 1) == 0
    assert clean_up(opener, days=0, max_bytes=size // 2) > 0
    with opener.open(SITE) as access:
        assert access.traces.size() <= size // 2
    kept = left(opener)
    assert not kept & set(old)
    assert kept >= set(young)
    assert 0 < len(kept & set(middle)) < 30


def test_without_bounds_all_stays(opener: HostOpener) -> None:
    names = write(opener, 5000, count=2)
    assert clean_up(opener, days=0, max_bytes=0) == 0
    assert left(opener) == set(names)


def test_both_bounds(opener: HostOpener) -> None:
    write(opener, 40, count=5)
    young = write(opener, 1, count=5)
    assert clean_up(opener, days=30, max_bytes=10**12) == 5
    assert left(opener) == set(young)


def test_it_stops_when_its_time_is_over(opener: HostOpener) -> None:
    write(opener, 40, count=5)
    assert enforce(opener, SITE, Policy(days=1), limit_s=-1, clock=lambda: NOW) == 0
    assert len(left(opener)) == 5


async def test_the_host_does_it_by_itself(opener: HostOpener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ai_assistant.host.retention.FIRST_S", 0.01)
    write(opener, 40, count=3)
    running = asyncio.create_task(Retention(opener, SITE, Policy(days=30)).run())
    while await asyncio.to_thread(left, opener):  # noqa: ASYNC110 - pytest's own time limit ends it
        await asyncio.sleep(0.05)
    running.cancel()


def test_producers_that_are_done_go_even_where_all_traces_stay(opener: HostOpener) -> None:
    at = int(NOW * 1e6)
    events = [TraceEvent(1, "hello", at, "", 0, 0, "", {}), TraceEvent(2, "bye", at, "", 0, 0, "", {"made": 2})]
    with opener.open(SITE) as access:
        apply(access.traces, [Batch("done", None, events), Batch("running", None, events[:1])])
    clean_up(opener, days=0)
    with opener.open(SITE) as access:
        assert len(access.traces.producers()) == 2
    later = time.time() + (PRODUCER_DAYS + 1) * DAY_US / 1e6
    enforce(opener, SITE, Policy(days=0), piece=1, clock=lambda: later)
    with opener.open(SITE) as access:
        assert [row["name"] for row in access.traces.producers()] == ["running"]
