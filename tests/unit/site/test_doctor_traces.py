"""The doctor's look at traces."""

from __future__ import annotations

import json
import time
from pathlib import Path

import redis
from examined import by_id, subject_at

from ai_assistant.core.trace_keys import ObservabilityKeys
from ai_assistant.site.doctor import traces
from ai_assistant.site.doctor.finding import Subject
from tests.servers import free_port

KEYS = ObservabilityKeys("s.localhost")


def beat(client: redis.Redis, **said: object) -> None:
    """A consumer's heartbeat."""
    client.hset(KEYS.consumers, "c", json.dumps({"beat": int(time.time() * 1000), "host": "h", "pid": 1, **said}))


def test_without_a_worker_and_without_traces(subject: Subject) -> None:
    found = by_id(traces.check(subject))
    assert [(each.id, each.state) for each in found.values()] == [("traces.consumer", "note")]


def test_with_a_consumer(subject: Subject, client: redis.Redis) -> None:
    beat(client, error="")
    found = by_id(traces.check(subject))
    assert found["traces.consumer"].state == "ok"


def test_with_one_that_cannot_store(subject: Subject, client: redis.Redis) -> None:
    beat(client, error="no such table")
    found = by_id(traces.check(subject))
    assert found["traces.store"].state == "failure"
    assert "no such table" in found["traces.store"].text


def test_what_waits_for_long(subject: Subject, client: redis.Redis) -> None:
    client.xadd(KEYS.events, {"p": "x"}, id=f"{int((time.time() - 300) * 1000)}-1")
    found = by_id(traces.check(subject))["traces.consumer"]
    assert (found.state, found.data["backlog"]) == ("warning", 1)
    assert "No worker runs" in found.text
    beat(client)
    found = by_id(traces.check(subject))["traces.consumer"]
    assert (found.state, found.fix[0][:30]) == ("warning", "bench ai-worker --only-traces ")


def test_what_was_lost(subject: Subject, client: redis.Redis) -> None:
    client.xadd(KEYS.dead, {"p": "x"})
    client.hset(KEYS.counts, mapping={"missing_events": 3, "dropped_events": 4})
    found = by_id(traces.check(subject))
    assert found["traces.dead_letters"].data == {"dead_letters": 1}
    assert found["traces.missing"].data == {"missing_events": 3, "dropped_events": 4}


def test_a_redis_of_its_own_that_is_away(redis_url: str, tmp_path: Path) -> None:
    away = f"redis://:secret@127.0.0.1:{free_port()}"
    subject = subject_at(redis_url, tmp_path, conf={"ai_assistant_trace_redis_url": away})
    found = by_id(traces.check(subject))["traces.redis"]
    assert found.state == "failure"
    assert "secret" not in found.text
