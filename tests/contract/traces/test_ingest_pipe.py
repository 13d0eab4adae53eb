"""The pipeline as the endpoints see it, on a real Redis."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import redis

from ai_assistant.core.errors import ServiceUnavailableError
from ai_assistant.core.trace_event import TraceEvent, encode_event, pack, unpack
from ai_assistant.core.trace_keys import SITES, ObservabilityKeys
from ai_assistant.core.trace_pipe import TraceEntry
from ai_assistant.streams.connection import request_client
from ai_assistant.traces import ingest
from ai_assistant.traces.ingest import RedisTracePipe
from tests.servers import Proxy

SITE = "pipe.localhost"
KEYS = ObservabilityKeys(SITE)
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "00f067aa0ba902b7"


def entry(number: int = 1, kind: str = "start", size: int = 10) -> TraceEntry:
    event = TraceEvent(number, kind, 5, TRACE, 1, number, SPAN, {"input": "x" * size})
    return TraceEntry(pack([encode_event(event)]), False, 1, ended=kind == "bye")


@pytest.fixture
def pipe(redis_url: str) -> Iterator[RedisTracePipe]:
    client = request_client(redis_url)
    yield RedisTracePipe(client, SITE)
    client.close()


def test_entries_arrive_in_order_with_their_user(pipe: RedisTracePipe, client: redis.Redis) -> None:
    pipe.send("h:p", [entry(1), entry(2), TraceEntry(b"packed", True, 7)], user="ann@example.com", beat=None)
    pipe.send("h:p", [entry(3)], user=None, beat=None)
    fields: list[dict[bytes, bytes]] = [fields for _, fields in client.xrange(KEYS.events)]  # type: ignore[union-attr]
    assert [each[b"n"] for each in fields] == [b"1", b"1", b"7", b"1"]
    assert {each[b"p"] for each in fields} == {b"h:p"}
    assert [each.get(b"u") for each in fields] == [b"ann@example.com"] * 3 + [None]
    assert [each.get(b"z") for each in fields] == [None, None, b"1", None]
    assert unpack(fields[1][b"b"], False)[0].number == 2
    assert client.smembers(SITES) == {SITE.encode()}


def test_a_heartbeat_is_told_by_the_clock_of_redis(pipe: RedisTracePipe, client: redis.Redis) -> None:
    before = time.time() * 1000 - 1
    pipe.send("h:p", [], user="ann@example.com", beat={"made": 5, "beat": 1})
    found: dict[str, Any] = msgspec.json.decode(client.hget(KEYS.producers, "h:p"))  # type: ignore[arg-type]
    assert found["made"] == 5
    assert before <= found["beat"] <= time.time() * 1000 + 1
    assert not client.exists(KEYS.events)
    pipe.send("h:p", [entry(6, "bye")], user="ann@example.com", beat={"made": 6})
    assert not client.hexists(KEYS.producers, "h:p"), "its last word takes it off the list"


def test_a_full_stream_takes_nothing(redis_url: str, client: redis.Redis) -> None:
    pipe = RedisTracePipe(request_client(redis_url), SITE, max_entries=20)
    pipe.send("h:p", [entry(i) for i in range(19)], user=None, beat=None)
    with pytest.raises(ServiceUnavailableError, match="keep the events") as caught:
        pipe.send("h:p", [entry(20)], user=None, beat={"made": 20})
    assert caught.value.retry_after
    assert client.xlen(KEYS.events) == 19
    pipe.send("h:p", [], user=None, beat={"made": 20})  # a sign of life needs no room
    client.delete(KEYS.events)
    pipe.send("h:p", [entry(20)], user=None, beat=None)


def test_a_stream_may_be_full_by_bytes(redis_url: str, client: redis.Redis) -> None:
    pipe = RedisTracePipe(request_client(redis_url), SITE, max_bytes=1_000_000)

    def fill() -> None:
        for number in range(100):
            pipe.send("h:p", [entry(number, size=50_000)], user=None, beat=None)

    with pytest.raises(ServiceUnavailableError, match="is full"):
        fill()
    assert 10 <= client.xlen(KEYS.events) <= 25  # type: ignore[operator]


def test_names_that_change_with_each_call(
    pipe: RedisTracePipe, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "MAX_PRODUCERS", 3)
    for i in range(3):
        pipe.send(f"h:{i}", [], user=None, beat={})
    with pytest.raises(ServiceUnavailableError, match="keep the same producer"):
        pipe.send("h:4", [entry()], user=None, beat={})
    pipe.send("h:2", [entry()], user=None, beat={})
    assert client.hlen(KEYS.producers) == 3
    assert client.xlen(KEYS.events) == 1


def test_the_producers_of_one_user_leave_room_for_those_of_others(
    pipe: RedisTracePipe, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "MAX_OWN_PRODUCERS", 3)
    for at in range(3):
        pipe.send(f"ann:{at}", [], user="ann@example.com", beat={"made": 1})
    with pytest.raises(ServiceUnavailableError, match="3 programs"):
        pipe.send("ann:3", [], user="ann@example.com", beat={"made": 1})
    pipe.send("ann:2", [], user="ann@example.com", beat={"made": 2})
    pipe.send("bob:0", [], user="bob@example.com", beat={"made": 1})
    assert client.hlen(KEYS.producers) == 4


def test_the_consumers_heartbeat(pipe: RedisTracePipe, client: redis.Redis) -> None:
    assert pipe.consumer() == {"alive": False, "age_ms": None}
    now = int(time.time() * 1000)
    client.hset(KEYS.consumers, "old", msgspec.json.encode({"beat": now - 60_000}))  # type: ignore[arg-type]
    client.hset(KEYS.consumers, "broken", b"{")
    silent = pipe.consumer()
    assert not silent["alive"]
    assert silent["age_ms"] >= 60_000
    client.hset(KEYS.consumers, "new", msgspec.json.encode({"beat": now}))  # type: ignore[arg-type]
    found = pipe.consumer()
    assert found["alive"]
    assert found["age_ms"] < 60_000


def test_receipts(pipe: RedisTracePipe, client: redis.Redis) -> None:
    pipe.receipt(TRACE, 7)
    [(_, fields)] = client.xrange(KEYS.events)  # type: ignore[misc]
    [event] = unpack(fields[b"b"], False)
    assert (event.number, event.kind, event.trace, event.place) == (0, "trace", TRACE, 0)
    assert event.fields == {"acknowledged_seq": 7}
    assert fields[b"p"] == b"server"


def test_a_receipt_is_the_first_to_go(redis_url: str, client: redis.Redis) -> None:
    pipe = RedisTracePipe(request_client(redis_url), SITE, max_entries=20)
    pipe.send("h:p", [entry(i) for i in range(19)], user=None, beat=None)
    pipe.receipt(TRACE, 7)
    assert client.xlen(KEYS.events) == 19
    assert client.hget(KEYS.counts, "receipts_dropped") == b"1"


def test_without_redis(redis_url: str, proxy: Proxy) -> None:
    pipe = RedisTracePipe(request_client(proxy.url), SITE)
    assert pipe.consumer()["age_ms"] is None
    proxy.cut()
    for call in (
        lambda: pipe.send("h:p", [entry()], user=None, beat=None),
        pipe.consumer,
        lambda: pipe.dead_letters(10, None),
        lambda: pipe.retry_dead_letters(None),
    ):
        with pytest.raises(ServiceUnavailableError):
            call()
    pipe.receipt(TRACE, 7)  # does not raise


def test_dead_letters_are_listed_and_tried_again(pipe: RedisTracePipe, client: redis.Redis) -> None:
    event = encode_event(TraceEvent(1, "start", 5, TRACE, 1, 1, SPAN, {"input": "a secret"}))
    for i in range(3):
        letter: Any = {"p": "h:p", "b": event, "u": "ann", "error": f"reason {i}", "at": 5, "tries": 1}
        client.xadd(KEYS.dead, letter)
    newest, middle, oldest = pipe.dead_letters(10, None)
    assert [each["error"] for each in (newest, middle, oldest)] == ["reason 2", "reason 1", "reason 0"]
    assert newest["trace"] == TRACE
    assert "a secret" not in str(newest)
    assert pipe.dead_letters(10, middle["id"]) == [oldest]
    assert pipe.retry_dead_letters([middle["id"], "1-1"]) == 1
    assert pipe.retry_dead_letters(None) == 2
    assert pipe.dead_letters(10, None) == []
    assert client.xlen(KEYS.events) == 3


def test_many_at_once(redis_url: str, client: redis.Redis) -> None:
    """Threads of one host share a pipe."""
    pipe = RedisTracePipe(request_client(redis_url), SITE)
    threads = [
        threading.Thread(
            target=lambda i=i: [pipe.send(f"h:{i}", [entry(n)], user=None, beat={"made": n}) for n in range(50)]
        )
        for i in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.xlen(KEYS.events) == 400
    assert client.hlen(KEYS.producers) == 8
