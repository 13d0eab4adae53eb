"""How a site's traces stand, as `status`, the scheduler and the command show it."""

from __future__ import annotations

import json
import time

import pytest
import redis
from click.testing import CliRunner

from ai_assistant.cli import main
from ai_assistant.streams.connection import request_client
from ai_assistant.streams.lease import Lease
from ai_assistant.streams.tasks import Tasks
from ai_assistant.traces.deadletters import DeadLetters
from ai_assistant.traces.health import trace_health, unattended
from tests.servers import Proxy
from tests.trace_kit import SITE, Maker, TraceSites, consuming, until


def alarms(client: redis.Redis) -> list[str]:
    """Of the site."""
    return trace_health(client, SITE)["traces"]["alarms"]


def test_of_a_site_without_traces(client: redis.Redis) -> None:
    found = trace_health(client, SITE)
    assert found["trace_consumers"] == []
    nothing = ("backlog", "backlog_bytes", "oldest_ms", "producers", "dead_letters", "missing_events", "dropped_events")
    assert {name: found["traces"][name] for name in nothing} == dict.fromkeys(nothing, 0)
    assert found["traces"]["alarms"] == []


async def test_what_waits_and_who_stores_it(
    redis_url: str, client: redis.Redis, sites: TraceSites, maker: Maker
) -> None:
    maker.send(*(maker.whole(input="x" * 1000) for _ in range(100)))
    maker.beat()
    found = trace_health(client, SITE)["traces"]
    assert (found["backlog"], found["producers"], found["alarms"]) == (2, 1, ["no_consumer"])
    assert found["backlog_bytes"] > 100_000
    assert unattended(client, [SITE, "other.test"]) == [SITE]
    with sites.locked():
        async with consuming(redis_url, sites):
            await until(lambda: alarms(client) == ["failing"])
            (consumer,) = trace_health(client, SITE)["trace_consumers"]
            assert consumer["age_ms"] < 15_000
            assert consumer["lag"] == 2
            assert unattended(client, [SITE]) == [], "a worker that is woken could not store it either"
    async with consuming(redis_url, sites):
        await until(lambda: trace_health(client, SITE)["traces"]["backlog"] == 0)
        await until(lambda: alarms(client) == [])


def test_a_late_backlog_and_dead_letters_are_alarms(client: redis.Redis, maker: Maker) -> None:
    long_ago = int((time.time() - 120) * 1000)
    client.xadd(maker.keys.events, {"p": "x"}, id=f"{long_ago}-1")
    client.xadd(maker.keys.dead, {"p": "x"})
    assert alarms(client) == ["no_consumer", "late", "dead_letters"]
    assert trace_health(client, SITE)["traces"]["oldest_ms"] >= 119_000


def test_that_redis_is_away_is_part_of_the_answer(proxy: Proxy) -> None:
    proxy.cut()
    with request_client(proxy.url) as client:
        found = trace_health(client, SITE)
    assert found["trace_consumers"] == []
    assert found["traces"]["alarms"] == ["redis_away"]
    assert found["traces"]["backlog"] is None


def test_a_worker_is_woken_for_what_else_waits(tasks: Tasks) -> None:
    asked: list[str] = []
    lease = Lease(tasks)
    assert not lease.wake(asked.append, lambda token: False)
    assert lease.wake(asked.append, lambda token: False, is_wanted=True)
    assert not lease.wake(asked.append, lambda token: False, is_wanted=True), "once is enough"
    assert len(asked) == 1


@pytest.fixture
def run(redis_url: str, tmp_path: object):
    """`ai-assistant traces` on this Redis; gives what it printed."""

    def go(*arguments: str, code: int = 0) -> str:
        base = ["traces", "--data-dir", str(tmp_path), "--site", SITE, "--redis-url", redis_url]
        found = CliRunner().invoke(main, [*base, *arguments], env={"COLUMNS": "250"}, catch_exceptions=False)
        assert found.exit_code == code, found.output
        return found.output

    return go


def test_the_command_shows_how_traces_stand(run, maker: Maker) -> None:
    maker.send(maker.whole())
    maker.beat(service="receipts [bold]\x1b[2J", buffered=3)
    shown = run("status")
    assert "Traces wait and no consumer runs" in shown
    assert "receipts [bold]\N{REPLACEMENT CHARACTER}[2J" in shown
    found = json.loads(run("status", "--json"))
    assert (found["site"], found["traces"]["backlog"], found["producers"][0]["buffered"]) == (SITE, 1, 3)


async def test_the_command_shows_retries_and_deletes_dead_letters(
    redis_url: str, run, sites: TraceSites, maker: Maker
) -> None:
    maker.send(*(maker.whole(cost="dear") for _ in range(5)))
    async with consuming(redis_url, sites):
        await until(lambda: maker.client.xlen(maker.keys.dead) == 5)
    assert "cost: must be a number" in run("dead-letters")
    assert "The newest 2 of 5" in run("dead-letters", "--limit", "2")
    found = json.loads(run("dead-letters", "--json"))
    assert (found["total"], len(found["dead_letters"]), found["dead_letters"][0]["number"]) == (5, 5, 5)
    assert "choose one" in run("dead-letters", "--retry", "--delete", code=2)
    assert "1 dead letters deleted" in run("dead-letters", "--delete", found["dead_letters"][0]["id"])
    assert "2 dead letters retried" in run("dead-letters", "--retry", "--limit", "2")
    assert json.loads(run("dead-letters", "--retry", "--json")) == {"retried": 2}
    assert DeadLetters(maker.client, SITE).count() == 0
    assert maker.client.xlen(maker.keys.events) == 4


def test_the_command_says_in_a_line_that_redis_is_away(tmp_path, proxy: Proxy) -> None:
    proxy.cut()
    base = ["traces", "--data-dir", str(tmp_path), "--redis-url", proxy.url]
    found = CliRunner().invoke(main, [*base, "dead-letters"])
    assert found.exit_code == 1
    assert found.output.startswith("Error: the Redis of the traces:")
    assert "no host runs" in CliRunner().invoke(main, ["traces", "--data-dir", str(tmp_path), "status"]).output
