"""The SDK over a real Redis: what arrives in the stream, and what happens while Redis is not well."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time

import pytest

from ai_assistant import tracing
from ai_assistant.core.trace_event import encode_event, unpack
from ai_assistant.core.trace_keys import SITES, ObservabilityKeys
from ai_assistant.tracing import state
from ai_assistant.tracing.sinks import SinkAway
from ai_assistant.tracing.sinks.redis import RedisSink
from tests.kit import wait_until
from tests.servers import RedisServer

SITE = "site.test"
KEYS = ObservabilityKeys(SITE)


@pytest.fixture
def begin(redis_url):
    """`init` over this Redis; what it made is ended behind the test."""
    before, made = state.client(), []

    def init(url=redis_url, **given):
        state.swap(None)
        client = tracing.init(**{"redis_url": url, "site": SITE, "flush_interval": 0.02, **given})
        made.append(client)
        return client

    yield init
    for client in made:
        client.shutdown(0.5)
    state.swap(before)


def events_in(redis, producer=None):
    """Every event of the stream, in order."""
    found = []
    for _, fields in redis.xrange(KEYS.events):
        if producer in (None, fields[b"p"].decode()):
            events = unpack(fields[b"b"], fields.get(b"z") == b"1")
            assert int(fields[b"n"]) == len(events)
            found += events
    return found


def work(count=10, size=100):
    for i in range(count):
        with tracing.span(f"s{i}", input="x" * size):
            pass


def test_what_arrives_in_the_stream(begin, client):
    begin(service="billing", environment="test")
    with tracing.span("root", "agent") as root, tracing.span("leaf", "tool"):
        tracing.set_trace(user="ann@example.com", tags=["a", "b"], reference=("Receipt", "R-1"))
    assert tracing.flush(5)
    events = events_in(client)
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    assert events[0].fields["service"] == "billing"
    said = next(event for event in events if event.kind == "trace").fields
    assert said == {
        "service": "billing", "environment": "test", "user": "ann@example.com", "tags": ["a", "b"],
        "reference_doctype": "Receipt", "reference_name": "R-1",
    }  # fmt: skip
    rows = {event.fields["title"]: event for event in events if event.kind == "whole"}
    assert rows["leaf"].fields["parent"] == root.id == rows["root"].span
    assert client.smembers(SITES) == {SITE.encode()}


def test_many_events_share_an_entry_and_large_ones_are_compressed(begin, client):
    begin(flush_interval=5)
    work(500)
    assert tracing.flush(10)
    assert client.xlen(KEYS.events) <= 12
    assert len(events_in(client)) == 501
    client.delete(KEYS.events)
    with tracing.span("large", input={"text": "word " * 20_000}):
        pass
    assert tracing.flush(5)
    ((_, fields),) = client.xrange(KEYS.events)
    assert fields[b"z"] == b"1"
    assert len(fields[b"b"]) < 20_000
    assert len(events_in(client)[0].fields["input"]) > 100_000


def test_a_living_producer_says_so_and_one_that_ends_takes_its_leave(begin, client):
    made = begin()
    work(1)
    assert tracing.flush(5)
    producer = made.pipeline.status()["producer"]
    beat = json.loads(client.hget(KEYS.producers, producer))
    assert beat["pid"] == os.getpid()
    assert beat["made"] == 2
    made.shutdown(5)
    assert client.hlen(KEYS.producers) == 0
    assert events_in(client)[-1].kind == "bye"


def test_redis_away_and_back(begin, client, proxy):
    made = begin(proxy.url)
    work(10)
    assert tracing.flush(5)
    proxy.cut()
    work(200)
    assert not tracing.flush(0.5)
    assert "Redis cannot be reached" in made.status()["problem"]
    proxy.heal()
    assert tracing.flush(10)
    assert sorted({event.number for event in events_in(client)}) == list(range(1, made.status()["made"] + 1))
    assert made.status()["dropped"] == 0


def test_an_answer_that_is_lost_makes_no_event_vanish(begin, client, proxy):
    made = begin(proxy.url)
    proxy.lose_answer(b"XADD", times=2)
    work(50)
    assert tracing.flush(15)
    assert {event.number for event in events_in(client)} == set(range(1, made.status()["made"] + 1))


def test_a_stream_at_its_bound_is_not_trimmed_but_held_back(begin, client):
    made = begin(max_stream_entries=100, flush_interval=0.005)
    for _ in range(300):
        work(1)
        tracing.flush(0.05)
        if made.status()["problem"]:
            break
    assert "is full" in made.status()["problem"]
    assert 95 <= client.xlen(KEYS.events) <= 100
    held = made.status()["made"]
    assert {event.number for event in events_in(client)} == set(range(1, held - made.status()["waiting"] + 1))
    for id_, _ in client.xrange(KEYS.events):  # a consumer comes
        client.xdel(KEYS.events, id_)
    assert tracing.flush(10)
    assert made.status()["dropped"] == 0


def test_a_stream_at_its_bound_in_bytes(begin, client):
    made = begin(max_stream_bytes=1024 * 1024, buffer_bytes=64 * 1024 * 1024)
    for _ in range(40):
        with tracing.span("noise", input=os.urandom(40_000).hex()):
            pass
        tracing.flush(1.2)
        if made.status()["problem"]:
            break
    assert "MiB" in made.status()["problem"]
    assert client.memory_usage(KEYS.events) < 4 * 1024 * 1024


def test_a_wrong_key_does_no_harm(begin, client, caplog):
    client.set(KEYS.events, "not a stream")
    made = begin()
    work(5)
    assert tracing.flush(5)
    assert made.status()["refused"] == 6
    assert "is no stream" in caplog.text
    client.delete(KEYS.events)
    work(1)
    assert tracing.flush(5)
    drop = next(event for event in events_in(client) if event.kind == "drop")
    assert drop.fields["count"] == 6


@pytest.mark.parametrize(
    ("beat_age_s", "words", "level"),
    [(1, "consumer healthy", "INFO"), (100, "silent for 10", "WARNING"), (None, "was never seen", "WARNING")],
)
def test_init_says_how_the_consumer_is(begin, client, caplog, beat_age_s, words, level):
    caplog.set_level(logging.INFO, "ai_assistant.tracing")
    if beat_age_s is not None:
        client.hset(KEYS.consumers, "c1", json.dumps({"beat": int((time.time() - beat_age_s) * 1000)}))
    begin()
    lines = [record for record in caplog.records if record.name == "ai_assistant.tracing"]
    assert len(lines) == 1
    assert words in lines[0].getMessage()
    assert lines[0].levelname == level


def test_init_never_raises(caplog):
    before = state.client()
    try:
        for given, words in (
            ({"redis_url": "redis://127.0.0.1:1", "site": "s"}, "not connected to Redis at 127.0.0.1:1, trying again"),
            ({"redis_url": "http://nonsense"}, "redis_url: must begin with redis://"),
            ({"redis_url": "redis://127.0.0.1:1"}, "site is missing"),
            ({"url": "https://127.0.0.1:1"}, "api_key is missing"),
            ({"url": "https://127.0.0.1:1", "api_key": "nocolon"}, "api_key: must be key:secret"),
            ({"url": "http://127.0.0.1:1", "api_key": "a:b"}, "not connected to 127.0.0.1:1"),
            ({"sample_rate": "often"}, "sample_rate: must be a number, not 'often'"),
            ({"sampel_rate": 1}, "sampel_rate: there is no such setting"),
            ({}, "neither redis_url nor url is set"),
        ):
            caplog.clear()
            state.swap(None)
            made = tracing.init(**given)
            assert words in caplog.text, given
            made.shutdown(0.1)
    finally:
        state.swap(before)


def run(code, url, **environ):
    """A program of its own; gives what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "AI_ASSISTANT_TRACING_REDIS_URL": url, "AI_ASSISTANT_SITE": SITE, **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_environment_alone_is_enough_and_the_end_of_the_program_delivers(redis_url, client):
    run("from ai_assistant import tracing\nwith tracing.span('only'): pass", redis_url)
    events = events_in(client)
    assert [event.kind for event in events] == ["hello", "whole", "bye"]
    assert events[-1].fields["made"] == 3


def test_enabled_false_in_the_environment(redis_url, client):
    run(
        "from ai_assistant import tracing\nwith tracing.span('only'): pass", redis_url, AI_ASSISTANT_TRACING_ENABLED="0"
    )
    assert not client.exists(KEYS.events)


FORKING = """
import os, sys
from ai_assistant import tracing
tracing.init(flush_interval=0.02)
with tracing.span("parent") as parent:
    pid = os.fork()
    if pid == 0:
        with tracing.span("in child"):
            pass
        tracing.shutdown(5)
        os._exit(0)
    os.waitpid(pid, 0)
print(parent.id)
"""


def test_a_forked_child_is_a_producer_of_its_own(redis_url, client):
    parent_id = run(FORKING, redis_url).strip()
    producers = {fields[b"p"].decode() for _, fields in client.xrange(KEYS.events)}
    assert len(producers) == 2
    events = events_in(client)
    child = next(event for event in events if event.fields.get("title") == "in child")
    assert child.fields["parent"] == parent_id
    for producer in producers:
        own = events_in(client, producer)
        assert [event.number for event in own] == list(range(1, len(own) + 1))
        assert own[-1].kind == "bye"
    ends = [event for event in events if event.span == parent_id and "ended_at" in event.fields]
    assert len(ends) == 1


MULTIPROCESSING = """
import multiprocessing
from ai_assistant import tracing

@tracing.traced("job")
def job(n):
    return n * n

def target(n):
    job(n)

if __name__ == "__main__":
    tracing.init(flush_interval=0.02)
    context = multiprocessing.get_context("fork")
    with tracing.span("root"):
        workers = [context.Process(target=target, args=(n,)) for n in range(4)]
        for each in workers: each.start()
        for each in workers: each.join()
"""


def test_children_of_multiprocessing_deliver_before_they_vanish(redis_url, client):
    run(MULTIPROCESSING, redis_url)
    events = events_in(client)
    assert sorted(e.fields["output"] for e in events if e.fields.get("title") == "job") == ["0", "1", "4", "9"]
    assert sum(event.kind == "bye" for event in events) == 5


BEGUN_IN_CHILDREN = """
import multiprocessing, os
from concurrent.futures import ProcessPoolExecutor
from ai_assistant import tracing

@tracing.traced("job")
def job(n):
    return n * n

if __name__ == "__main__":
    context = multiprocessing.get_context(os.environ["HOW"])
    with ProcessPoolExecutor(1, mp_context=context, initializer=tracing.init) as pool:
        assert list(pool.map(job, range(4))) == [0, 1, 4, 9]
"""


@pytest.mark.parametrize("how", ["fork", "spawn", "forkserver"])
def test_tracing_that_begins_in_a_child_of_multiprocessing_delivers_before_it_vanishes(
    redis_url, client, tmp_path, how
):
    script = tmp_path / "main.py"  # spawned children import the main module from its file
    script.write_text(BEGUN_IN_CHILDREN)
    run(f"import subprocess, sys; subprocess.run([sys.executable, {str(script)!r}], check=True)", redis_url, HOW=how)
    events = events_in(client)
    assert sorted(e.fields["output"] for e in events if e.fields.get("title") == "job") == ["0", "1", "4", "9"]
    assert [event.kind for event in events][-1] == "bye"


FORKED_IN_A_THREAD = """
import os, threading
from ai_assistant import tracing
tracing.init(flush_interval=0.02)

def work():
    pid = os.fork()
    if pid == 0:
        with tracing.span("in child"):
            pass
        return  # the process ends with its last thread, and Python does nothing for it
    assert os.waitpid(pid, 0)[1] == 0

thread = threading.Thread(target=work)
thread.start()
thread.join()
"""


def test_a_child_forked_in_a_thread_ends_with_that_thread_and_says_goodbye(redis_url, client):
    run(FORKED_IN_A_THREAD, redis_url)
    assert [event.kind for event in events_in(client)] == ["hello", "whole", "bye"]


THREADS = """
import threading, os, time
from ai_assistant import tracing
tracing.init(flush_interval=0.02)
busy = True
def noise():
    while busy:
        with tracing.span("noise"): pass
threads = [threading.Thread(target=noise, daemon=True) for _ in range(3)]
for thread in threads: thread.start()
time.sleep(0.1)
pids = []
for _ in range(10):
    pid = os.fork()
    if pid == 0:
        with tracing.span("in child"): pass
        os._exit(0 if tracing.flush(5) else 3)
    pids.append(pid)
for pid in pids:
    assert os.waitpid(pid, 0)[1] == 0
busy = False
"""


def test_forks_in_the_midst_of_busy_threads(redis_url, client):
    run(THREADS, redis_url)
    assert sum(event.fields.get("title") == "in child" for event in events_in(client)) == 10


def test_one_with_a_smaller_bound_trims_nothing_of_others(redis_url, client):
    sink = RedisSink(redis_url, max_entries=200, max_bytes=2**30)
    beat = {"made": 1}
    sink.send(SITE, "small", [[encode_event((1, "hello", 1, "", 0, 0, "", {}))]], beat)
    for _ in range(2000):
        client.xadd(KEYS.events, {"p": "large", "b": b"\x90"})
    stream = sink._streams[SITE]
    stream.seen_at = float("-inf")  # it has had nothing to say for a while
    with pytest.raises(SinkAway, match="is full"):
        sink.send(SITE, "small", [[encode_event((2, "bye", 1, "", 0, 0, "", {}))]], beat)
    assert client.xlen(KEYS.events) == 2001


def test_redis_that_comes_back_empty(client):
    before = state.client()
    with RedisServer() as server:
        state.swap(None)
        made = tracing.init(redis_url=server.url, site=SITE, flush_interval=0.02)
        work(5)
        assert tracing.flush(5)
        server.stop()
        work(5)
        assert not tracing.flush(0.3)
        server.start()
        assert wait_until(lambda: tracing.flush(2))
        with server.client() as redis:
            assert {event.fields.get("title") for event in events_in(redis)} >= {f"s{i}" for i in range(5)}
            assert redis.smembers(SITES) == {SITE.encode()}
        made.shutdown(2)
    state.swap(before)
