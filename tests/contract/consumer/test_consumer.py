"""A consumer stores what lies on the stream, and takes it off only when it is stored."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import msgspec
import pytest
import redis

from ai_assistant.core.trace_keys import GROUP, SITES, ObservabilityKeys
from tests.servers import Proxy, RedisServer
from tests.trace_kit import QUICK, SITE, Maker, TraceSites, consuming, until


def waiting(maker: Maker) -> int:
    """Entries on the stream."""
    return int(maker.client.xlen(maker.keys.events))  # type: ignore[arg-type]


def counts(maker: Maker) -> dict[str, int]:
    """The totals."""
    found: dict[bytes, bytes] = maker.client.hgetall(maker.keys.counts)  # type: ignore[assignment]
    return {name.decode(): int(value) for name, value in found.items()}


def beats(maker: Maker) -> list[dict[str, object]]:
    """The consumers' heartbeats."""
    return [json.loads(said) for said in maker.client.hvals(maker.keys.consumers)]  # type: ignore[union-attr]


async def drained(maker: Maker) -> None:
    """Returns when nothing waits."""
    await until(lambda: not waiting(maker), "entries are left on the stream")


async def test_what_is_stored_is_taken_off(redis_url: str, sites: TraceSites, maker: Maker) -> None:
    async with consuming(redis_url, sites):
        maker.send(*(maker.whole(input=f"call {i}") for i in range(120)))
        await drained(maker)
        assert sites.observations() == 120
        assert sites.rows("SELECT stored, missing_count FROM ai_trace_producer") == [("1-120", 0)]
        found = counts(maker)
        assert (found["stored"], found.get("duplicates", 0), found.get("dead", 0)) == (120, 0, 0)
        assert found["batches"] >= 1
        assert found["store_us"] > 0
    assert maker.client.xinfo_consumers(maker.keys.events, GROUP) == []
    assert beats(maker) == []


async def test_what_came_twice_is_stored_once(redis_url: str, sites: TraceSites, maker: Maker) -> None:
    events = [maker.whole() for _ in range(10)]
    maker.send(*events)
    maker.send(*events, per_entry=3)
    async with consuming(redis_url, sites):
        await drained(maker)
        assert sites.observations() == 10
        assert counts(maker)["duplicates"] == 10


async def test_while_the_database_refuses_nothing_is_taken_off(redis_url: str, sites: TraceSites, maker: Maker) -> None:
    maker.send(*(maker.whole() for _ in range(100)))
    with sites.locked():
        async with consuming(redis_url, sites):
            said = await until(lambda: [beat for beat in beats(maker) if beat["error"]])
            assert (said[0]["lag"], said[0]["processed"]) == (2, 0)
            assert said[0]["oldest_ms"] > 0
            assert waiting(maker) == 2
    async with consuming(redis_url, sites):
        await drained(maker)
        assert sites.observations() == 100
        assert maker.client.xlen(maker.keys.dead) == 0


async def test_it_goes_on_when_the_database_is_back(redis_url: str, sites: TraceSites, maker: Maker) -> None:
    async with consuming(redis_url, sites):
        with sites.locked():
            maker.send(*(maker.whole() for _ in range(100)))
            await until(lambda: counts(maker).get("failures"))
        await drained(maker)
        assert sites.observations() == 100
        await until(lambda: [beat for beat in beats(maker) if not beat["error"] and beat["processed"] == 100])


async def test_a_database_that_takes_nothing_is_away_whatever_it_says(
    redis_url: str, sites: TraceSites, maker: Maker
) -> None:
    sites.change("CREATE TRIGGER no BEFORE INSERT ON ai_observation BEGIN SELECT RAISE(ABORT, 'the disk is full'); END")
    maker.send(*(maker.whole() for _ in range(100)))
    async with consuming(redis_url, sites):
        said = await until(lambda: [beat for beat in beats(maker) if beat["error"]])
        assert "the disk is full" in said[0]["error"]
        assert maker.client.xlen(maker.keys.dead) == 0
        sites.change("DROP TRIGGER no")
        await drained(maker)
        assert sites.observations() == 100
        assert maker.client.xlen(maker.keys.dead) == 0


async def test_what_a_dead_consumer_had_is_taken_over(redis_url: str, sites: TraceSites, maker: Maker) -> None:
    maker.send(*(maker.whole() for _ in range(100)), per_entry=10)
    maker.client.xgroup_create(maker.keys.events, GROUP, id="0")
    maker.client.xreadgroup(GROUP, "killed", {maker.keys.events: ">"}, count=4)
    async with consuming(redis_url, sites):
        await drained(maker)
        assert sites.observations() == 100
        assert counts(maker)["claimed"] == 4


async def test_two_share_and_store_nothing_twice(redis_url: str, maker: Maker, tmp_path: Path) -> None:
    sites, other = (TraceSites(tmp_path, busy_timeout=10.0) for _ in range(2))
    options = msgspec.structs.replace(QUICK, batch_events=40, claim_idle_ms=30_000)
    async with consuming(redis_url, sites, options), consuming(redis_url, other, options):
        while len([beat for beat in beats(maker) if beat["processed"]]) < 2:
            maker.send(*(maker.whole() for _ in range(400)), per_entry=10)
            await asyncio.sleep(0.1)
        await drained(maker)
        await until(lambda: sum(int(str(beat["processed"])) for beat in beats(maker)) == maker.made)
        assert sites.observations() == maker.made
        assert sites.rows("SELECT stored FROM ai_trace_producer") == [(f"1-{maker.made}",)]
        assert counts(maker).get("duplicates", 0) == 0
    for each in (sites, other):
        each.close()


async def test_sites_are_found_as_they_come_and_do_not_hold_each_other_up(
    redis_url: str, client: redis.Redis, tmp_path: Path
) -> None:
    sites = TraceSites(tmp_path, "good.test", "locked.test", "late.test")
    names = ("good.test", "locked.test", "late.test", "elsewhere.test")
    good, locked, late, elsewhere = (Maker(client, name) for name in names)
    locked.send(locked.whole())
    elsewhere.send(elsewhere.whole())
    with sites.locked("locked.test"):
        async with consuming(redis_url, sites) as consumer:
            good.send(good.whole())
            await until(lambda: sites.observations("good.test"))
            late.send(late.whole())
            await until(lambda: sites.observations("late.test"))
            assert waiting(elsewhere) == waiting(locked) == 1
            assert "elsewhere.test" not in consumer.sites or beats(elsewhere) == []
    sites.close()


async def test_a_site_with_a_key_that_is_no_stream_does_not_hold_the_others_up(
    redis_url: str, client: redis.Redis, tmp_path: Path
) -> None:
    sites = TraceSites(tmp_path, "broken.test", "good.test")
    good = Maker(client, "good.test")
    client.sadd(SITES, "broken.test")
    client.set(ObservabilityKeys("broken.test").events, "no stream")
    async with consuming(redis_url, sites):
        good.send(good.whole())
        await until(lambda: sites.observations("good.test"))
        await until(lambda: beats(good))
        client.delete(ObservabilityKeys("broken.test").events)
        mended = Maker(client, "broken.test")
        mended.send(mended.whole())
        await until(lambda: sites.observations("broken.test"))
    sites.close()


async def test_a_site_that_is_known_has_a_consumer_before_its_first_trace(
    redis_url: str, sites: TraceSites, maker: Maker
) -> None:
    async with consuming(redis_url, sites) as consumer:
        consumer.serve([SITE, "elsewhere.test"])
        await until(lambda: beats(maker))
        maker.send(maker.whole())
        await until(lambda: sites.observations() == 1)
    assert maker.client.keys("*elsewhere*") == []


async def test_a_site_that_is_removed_leaves_nothing_behind(redis_url: str, sites: TraceSites, maker: Maker) -> None:
    async with consuming(redis_url, sites):
        maker.send(maker.whole())
        await drained(maker)
        sites.remove(SITE)
        maker.client.delete(*maker.client.keys(f"*{SITE}*"))
        await until(lambda: not maker.client.keys(f"*{SITE}*"))


async def test_an_empty_redis_is_made_ready_again(redis_url: str, sites: TraceSites, maker: Maker) -> None:
    async with consuming(redis_url, sites):
        maker.send(maker.whole())
        await drained(maker)
        maker.client.flushall()
        maker.send(maker.whole())
        await until(lambda: sites.observations() == 2)


async def test_it_comes_back_with_redis(redis_url: str, sites: TraceSites, maker: Maker, proxy: Proxy) -> None:
    async with consuming(proxy.url, sites):
        maker.send(maker.whole())
        await drained(maker)
        proxy.cut()
        maker.send(maker.whole())
        proxy.heal()
        await until(lambda: sites.observations() == 2)


@pytest.mark.parametrize("lost", [b"XACK", b"XREADGROUP"])
async def test_an_answer_that_is_lost_does_no_harm(
    lost: bytes, redis_url: str, sites: TraceSites, maker: Maker, proxy: Proxy
) -> None:
    async with consuming(proxy.url, sites):
        maker.client.sadd(SITES, SITE)
        await until(lambda: maker.client.exists(maker.keys.events))
        proxy.lose_answer(lost)
        maker.send(*(maker.whole() for _ in range(20)))
        await until(lambda: sites.observations() == 20)
        await drained(maker)
        assert sites.rows("SELECT stored FROM ai_trace_producer") == [("1-20",)]


async def test_redis_that_was_stopped_with_its_file_has_lost_nothing(sites: TraceSites, tmp_path: Path) -> None:
    with RedisServer(tmp_path / "redis") as server:
        maker = Maker(server.client())
        with sites.locked():
            async with consuming(server.url, sites):
                maker.send(*(maker.whole() for _ in range(100)))
                await until(lambda: beats(maker))
                server.restart()
                await until(lambda: waiting(maker) == 2)
        async with consuming(server.url, sites):
            await drained(maker)
            assert sites.observations() == 100


async def test_heartbeats_of_the_dead_are_removed(redis_url: str, sites: TraceSites, maker: Maker) -> None:
    maker.client.hset(maker.keys.consumers, "killed", json.dumps({"beat": 1}))
    maker.client.hset(maker.keys.consumers, "odd", b"\xff")
    maker.send(maker.whole())
    async with consuming(redis_url, sites) as consumer:
        await until(lambda: maker.client.hkeys(maker.keys.consumers) == [consumer.id.encode()])
        (said,) = beats(maker)
        assert said["id"] == consumer.id
        assert {"beat", "version", "host", "pid", "processed", "lag", "oldest_ms", "dead_letters", "failures"} < set(
            said
        )


async def test_a_busy_process_rests_between_batches(redis_url: str, sites: TraceSites, maker: Maker) -> None:
    async with consuming(redis_url, sites, is_busy=lambda: True):
        maker.send(*(maker.whole() for _ in range(500)))
        await drained(maker)
        assert sites.observations() == 500
