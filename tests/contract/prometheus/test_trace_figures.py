"""What the traces' pipeline shows of itself, from what producers, consumers and checks leave in a real Redis."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import redis

from ai_assistant.core.metrics import render
from ai_assistant.core.trace_keys import SITES, ObservabilityKeys
from ai_assistant.streams.connection import request_client
from ai_assistant.traces.anomalies import Anomaly
from ai_assistant.traces.anomaly_check import Checked
from ai_assistant.traces.metrics import Bounds, trace_families
from tests.prometheus import Page
from tests.servers import free_port

ONE, TWO = ObservabilityKeys("one.test"), ObservabilityKeys("two.test")
SITE_NAMES = ("one.test", "two.test")


def page_of(client: redis.Redis, sites: tuple[str, ...] | None = SITE_NAMES) -> Page:
    """The figures as they stand."""
    return Page(render(trace_families(client, sites)))


def beat(client: redis.Redis, key: str, id_: str, age_s: float = 0.0, **said: Any) -> None:
    """A heartbeat that is so old."""
    client.hset(key, id_, msgspec.json.encode({"beat": int((time.time() - age_s) * 1000), **said}))


def test_nothing_was_ever_traced(client: redis.Redis) -> None:
    page = page_of(client, None)
    assert page["trace_redis_up"] == 1
    assert page["trace_stream_entries"] == page["trace_dead_letters"] == page["trace_consumers"] == 0
    assert page.get("trace_events_total", outcome="stored") == 0, "growth of a line that was not there is not seen"
    assert page["anomalies"] == 0
    assert page.get("trace_consumer_heartbeat_age_seconds") is None


def test_sites_are_added_up(client: redis.Redis) -> None:
    for keys, site, entries in ((ONE, "one.test", 2), (TWO, "two.test", 3)):
        client.sadd(SITES, site)
        for _ in range(entries):
            client.xadd(keys.events, {"p": "x", "b": b"0" * 1000, "n": 1})
        client.xadd(keys.dead, {"b": b"?"})
        client.hset(keys.counts, mapping={"stored": 10, "duplicates": 1, "dead": 2, "dropped": 3, "missing_events": 4})
    time.sleep(0.05)
    page = page_of(client, None)
    assert page["trace_stream_entries"] == 5
    assert 5000 < page["trace_stream_bytes"] < 50_000
    assert page["trace_stream_oldest_seconds"] >= 0.05
    assert page["trace_dead_letters"] == 2
    outcomes = {name: page.get("trace_events_total", outcome=name) for name in ("stored", "duplicate", "dropped")}
    assert outcomes == {"stored": 20, "duplicate": 2, "dropped": 6}
    assert page.get("trace_events_total", outcome="dead_letter") == 4
    assert page["trace_missing_events"] == 8
    assert page["trace_stream_fill_ratio"] >= 3 / Bounds().entries
    small = Page(render(trace_families(client, None, Bounds(entries=6, bytes=10**9))))
    assert small["trace_stream_fill_ratio"] == 0.5, "of the fullest one"
    assert page["trace_unattended_sites"] == 2


def test_who_stores(client: redis.Redis) -> None:
    client.xadd(ONE.events, {"p": "x", "b": b"0", "n": 1})
    beat(client, ONE.consumers, "dead", 40)
    page = page_of(client)
    assert (page["trace_consumers"], page["trace_unattended_sites"]) == (0, 1)
    assert 40 <= page["trace_consumer_heartbeat_age_seconds"] < 60
    beat(client, ONE.consumers, "a", batch_ms=250, error="")
    beat(client, TWO.consumers, "a", batch_ms=20, error="the database is away")
    client.hset(TWO.consumers, "broken", b"{")
    page = page_of(client)
    assert (page["trace_consumers"], page["trace_unattended_sites"], page["trace_consumers_failing"]) == (2, 0, 1)
    assert page["trace_batch_seconds"] == 0.25
    assert page["trace_consumer_heartbeat_age_seconds"] < 15


def test_who_sends(client: redis.Redis) -> None:
    beat(client, ONE.producers, "p1", made=10, buffered=4, dropped=1, open=2)
    beat(client, TWO.producers, "p2", 100, made=10, buffered=0, dropped=5, open=1)
    beat(client, TWO.producers, "liar", made="x", buffered=-5, dropped=None, open=True)
    page = page_of(client)
    assert page.get("trace_producers", state="living") == 2
    assert page.get("trace_producers", state="silent") == 1
    assert page["trace_producer_buffered_events"] == 4
    assert page["trace_producer_dropped_events"] == 6
    assert page["trace_open_observations"] == 3


def test_anomalies(client: redis.Redis) -> None:
    for keys in (ONE, TWO):
        anomaly = Anomaly(model='we"ird', kind="errors", since=1, value=1, usual=0, calls=9)
        client.hset(keys.anomalies, "x", msgspec.json.encode(anomaly))
        checked = Checked(at=1000.0, models=1, calls=9, hours=2, incomplete=3, took_ms=12.0)
        client.set(keys.checked, msgspec.json.encode(checked))
    page = page_of(client)
    assert page["anomalies"] == 1, "the same of two sites is one line"
    assert page.get("anomaly", model='we"ird', kind="errors") == 1
    assert page["trace_incomplete"] == 6
    assert (page["anomaly_check_timestamp_seconds"], page["anomaly_check_seconds"]) == (1000, 0.012)


def test_a_redis_that_is_away_is_a_figure() -> None:
    page = page_of(request_client(f"redis://127.0.0.1:{free_port()}"))
    assert page.names == {"ai_assistant_trace_redis_up"}
    assert page["trace_redis_up"] == 0
