"""Producers that died: what they left open is closed, what they had made and never came is counted."""

from __future__ import annotations

import secrets

import msgspec
import pytest
import redis

from ai_assistant.traces.health import trace_health
from tests.trace_kit import QUICK, SITE, Maker, TraceSites, consuming, until


def start(maker: Maker, trace: str) -> str:
    """An observation that is begun; its span."""
    span = secrets.token_hex(8)
    maker.send(maker.event("start", trace, span, title="open"))
    return span


def statuses(sites: TraceSites) -> list[str]:
    """Of all observations."""
    return sorted(row[0] for row in sites.rows("SELECT status FROM ai_observation"))


def missing(client: redis.Redis) -> int:
    """As `status` says."""
    return trace_health(client, SITE)["traces"]["missing_events"]


async def test_what_a_silent_producer_left_open_is_interrupted(
    redis_url: str, sites: TraceSites, maker: Maker, client: redis.Redis
) -> None:
    alive = Maker(client)
    for each in (maker, alive):
        start(each, secrets.token_hex(16))
    maker.beat(age_s=60)
    alive.beat(age_s=-20)
    async with consuming(redis_url, sites):
        await until(lambda: statuses(sites) == ["interrupted", "running"])
        assert client.hkeys(maker.keys.producers) == [alive.name.encode()]
        await until(lambda: client.hget(maker.keys.counts, "interrupted") == b"1")
    assert sites.rows("SELECT status FROM ai_trace ORDER BY status") == [("interrupted",), ("running",)]


async def test_what_a_producer_left_open_when_it_said_goodbye_is_interrupted(
    redis_url: str, sites: TraceSites, maker: Maker
) -> None:
    start(maker, secrets.token_hex(16))
    maker.send(maker.event("bye", made=2, dropped=0))
    async with consuming(redis_url, sites, msgspec.structs.replace(QUICK, silent_s=3600.0)):
        await until(lambda: statuses(sites) == ["interrupted"])


async def test_one_that_sends_over_http_may_be_silent_for_longer(
    redis_url: str, sites: TraceSites, maker: Maker, client: redis.Redis
) -> None:
    other = Maker(client)
    for each in (maker, other):
        start(each, secrets.token_hex(16))
    maker.beat(age_s=10, http=True)
    other.beat(age_s=10)
    async with consuming(redis_url, sites):
        await until(lambda: statuses(sites) == ["interrupted", "running"])
        assert client.hkeys(maker.keys.producers) == [maker.name.encode()]


async def test_an_end_that_comes_after_all_wins(redis_url: str, sites: TraceSites, maker: Maker) -> None:
    trace = secrets.token_hex(16)
    span = start(maker, trace)
    async with consuming(redis_url, sites):
        await until(lambda: statuses(sites) == ["interrupted"])
        maker.beat(age_s=-20)
        maker.send(maker.event("end", trace, span, output="done"))
        await until(lambda: statuses(sites) == ["completed"])
    assert sites.rows("SELECT status, missing_events FROM ai_trace") == [("completed", 0)]


async def test_what_a_dead_producer_had_made_and_never_came_is_missing(
    redis_url: str, sites: TraceSites, maker: Maker, client: redis.Redis
) -> None:
    maker.send(*(maker.whole() for _ in range(10)))
    maker.beat(age_s=60, made=13)
    async with consuming(redis_url, sites):
        await until(lambda: sites.rows("SELECT missing_count FROM ai_trace_producer") == [(3,)])
        await until(lambda: missing(client) == 3)
        assert "missing_events" in trace_health(client, SITE)["traces"]["alarms"]


async def test_events_that_come_late_are_missing_no_longer(
    redis_url: str, sites: TraceSites, maker: Maker, client: redis.Redis
) -> None:
    trace = secrets.token_hex(16)
    early, late = maker.whole(trace), maker.whole(trace)
    maker.send(maker.whole(trace))
    maker.send(early)
    maker.beat(age_s=-20)
    async with consuming(redis_url, sites):
        await until(lambda: missing(client) == 1)
        assert sites.rows("SELECT missing_events, is_complete FROM ai_trace") == [(1, 0)]
        maker.send(late)
        await until(lambda: missing(client) == 0)
        assert sites.rows("SELECT missing_events FROM ai_trace") == [(0,)]


async def test_what_was_given_up_is_told(redis_url: str, sites: TraceSites, maker: Maker, client: redis.Redis) -> None:
    trace = secrets.token_hex(16)
    kept, lost = maker.whole(trace), maker.whole(trace)
    ranges, traces = [[lost.number, lost.number]], [[trace, 1, lost.place, 1]]
    maker.send(kept, maker.event("drop", ranges=ranges, traces=traces, reason="no room", count=1))
    maker.beat(age_s=-20)
    async with consuming(redis_url, sites):
        await until(lambda: "dropped_events" in trace_health(client, SITE)["traces"]["alarms"])
        found = trace_health(client, SITE)["traces"]
        assert (found["dropped_events"], found["missing_events"]) == (1, 0)
        assert client.hget(maker.keys.counts, "dropped") == b"1"
    assert sites.rows("SELECT missing_events FROM ai_trace") == [(1,)]


@pytest.mark.parametrize("said", [b"no JSON", b'{"beat": "now", "made": []}', b"[]", b'{"made": 1e30, "beat": 1}'])
async def test_a_heartbeat_that_says_nonsense_harms_nobody(
    said: bytes, redis_url: str, sites: TraceSites, maker: Maker, client: redis.Redis
) -> None:
    client.hset(maker.keys.producers, "odd" * 100, said)  # type: ignore[arg-type]
    start(maker, secrets.token_hex(16))
    async with consuming(redis_url, sites):
        await until(lambda: statuses(sites) == ["interrupted"])
        await until(lambda: client.hlen(maker.keys.producers) == 0)
