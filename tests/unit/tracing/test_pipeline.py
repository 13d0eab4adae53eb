"""The publisher over a sink that can be told to be away, to refuse, or to be slow."""

from __future__ import annotations

import threading
import time

import pytest

from ai_assistant import tracing
from ai_assistant.tracing import state
from ai_assistant.tracing.client import Client
from ai_assistant.tracing.settings import settings_from
from ai_assistant.tracing.sinks import SinkAway, SinkRefused
from ai_assistant.tracing.sinks.memory import MemorySink
from tests.kit import wait_until


class Moody(MemorySink):
    """Keeps what it gets, unless it is `away`; refuses entries that hold `poison`."""

    def __init__(self):
        super().__init__()
        self.away = False
        self.poison = None
        self.calls = 0

    def send(self, site, producer, entries, beat):
        self.calls += 1
        if self.away:
            raise SinkAway("it is away")
        if self.poison and any(self.poison in event for entry in entries for event in entry):
            raise SinkRefused("it is not fit")
        super().send(site, producer, entries, beat)


@pytest.fixture
def sink():
    return Moody()


@pytest.fixture
def use(sink):
    """Traces into the sink with these settings; gives the client."""
    before, made = state.client(), []

    def begin(**given):
        settings, problems = settings_from({"site": "s", "flush_interval": 0.01, **given}, {})
        assert not problems
        client = Client(settings, sink)
        made.append(client)
        state.swap(client)
        return client

    yield begin
    state.swap(before)
    for client in made:
        client.shutdown(0.2)


def numbers(sink):
    return [event.number for event in sink.events]


def test_numbers_and_places_have_no_gaps(sink, use):
    client = use()
    for _ in range(3):
        with tracing.span("root"), tracing.span("leaf"):
            tracing.set_trace(user="ann")
    assert client.flush(5)
    assert client.shutdown(5)
    assert numbers(sink) == list(range(1, len(sink.events) + 1))
    assert (sink.events[0].kind, sink.events[-1].kind) == ("hello", "bye")
    assert sink.events[-1].fields == {"made": len(sink.events), "dropped": 0}
    for trace in {event.trace for event in sink.events if event.trace}:
        assert [event.place for event in sink.events if event.trace == trace] == list(
            range(1, 1 + sum(event.trace == trace for event in sink.events))
        )
    ends = [event for event in sink.events if "segment_events" in event.fields]
    assert len(ends) == 3
    assert all(event.fields["segment_events"] == event.place for event in ends)


def test_what_begins_and_ends_between_two_deliveries_is_told_of_once(sink, use):
    client = use(flush_interval=5)
    with tracing.span("short"):
        pass
    assert client.flush(5)
    assert [event.kind for event in sink.events] == ["hello", "whole"]


def test_what_lasts_is_told_of_while_it_runs(sink, use):
    client = use()
    with tracing.span("long", input={"a": 1}) as span:
        assert client.flush(5)
        span.update(model="m", output="first")
        span.progress(1, 4, "a quarter")
        assert client.flush(5)
        span.update(output="second")
    assert client.flush(5)
    kinds = [event.kind for event in sink.events]
    assert kinds == ["hello", "start", "update", "end"]
    _, start, update, end = sink.events
    assert start.fields["input"] == '{"a":1}'
    assert update.fields == {"model": "m", "output": "first", "progress": 25.0, "progress_message": "a quarter"}
    assert end.fields["output"] == "second"
    assert end.fields["model"] == "m"  # all that was set since the start: the last event knows best


def test_while_the_sink_is_away_events_wait_and_then_come_in_order(sink, use):
    client = use()
    sink.away = True
    for i in range(50):
        with tracing.span(f"s{i}"):
            pass
    assert not client.flush(0.3)
    assert client.status()["problem"] == "it is away"
    sink.away = False
    assert client.flush(10)
    assert [event.fields["title"] for event in sink.events if event.kind == "whole"] == [f"s{i}" for i in range(50)]
    assert numbers(sink) == list(range(1, len(sink.events) + 1))
    assert client.status()["problem"] == ""


def test_beyond_the_bound_the_oldest_are_dropped_counted_and_named(sink, use, caplog):
    client = use(buffer_bytes=64 * 1024)
    sink.away = True
    for i in range(300):
        with tracing.span(f"s{i}", input="x" * 1000):
            pass
    assert not client.flush(0.5)
    sink.away = False
    assert client.flush(10)
    client.shutdown(5)
    dropped = [event for event in sink.events if event.kind == "drop"]
    ranges = [tuple(pair) for event in dropped for pair in event.fields["ranges"]]
    lost = {number for first, last in ranges for number in range(first, last + 1)}
    assert lost
    assert lost.isdisjoint(numbers(sink))
    assert sorted(lost | set(numbers(sink))) == list(range(1, sink.events[-1].number + 1))
    assert sum(event.fields["count"] for event in dropped) == len(lost) == sink.events[-1].fields["dropped"]
    named = {tuple(row[:2]) for event in dropped for row in event.fields["traces"]}
    arrived = {event.trace for event in sink.events if event.trace}
    assert len(named) + len(arrived) == 300  # one event each
    assert "events were dropped, the oldest first: it is away" in caplog.text
    assert client.status()["dropped"] == len(lost)


def test_an_entry_that_is_refused_is_given_up_by_itself(sink, use):
    client = use(flush_interval=5)
    for i in range(400):
        with tracing.span("poison" if i == 222 else f"s{i}"):
            pass
    sink.poison = b"poison"
    assert client.flush(10)
    client.shutdown(5)
    titles = {event.fields["title"] for event in sink.events if event.kind == "whole"}
    dropped = sum(event.fields["count"] for event in sink.events if event.kind == "drop")
    assert "poison" not in titles
    assert len(titles) + dropped == 400
    assert dropped == client.status()["refused"] <= 50


def test_many_threads_lose_nothing(sink, use):
    client = use()

    def work(n):
        for i in range(200):
            with tracing.span(f"{n}.{i}") as span:
                span.update(output=i)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.flush(10)
    rows = {}
    for event in sink.events:
        if event.span:
            rows.setdefault(event.span, {}).update(event.fields)
    assert len(rows) == 1600
    assert all(row["output"] == row["title"].partition(".")[2] and "ended_at" in row for row in rows.values())
    assert sorted(numbers(sink)) == list(range(1, len(sink.events) + 1))


def test_updates_while_the_publisher_takes_are_not_lost(sink, use):
    client = use(flush_interval=0.005)
    spans = []
    for i in range(2000):
        span = tracing.start_span(f"s{i}")
        span.update(model="m", cost=1.5)
        span.end(output=i)
        spans.append(span)
    assert client.flush(10)
    rows = {}
    for event in sink.events:
        if event.span:
            rows.setdefault(event.span, {}).update(event.fields)
    for i, span in enumerate(spans):
        row = rows[span.id]
        assert (row["model"], row["cost"], row["output"], row["status"]) == ("m", 1.5, str(i), "completed")


def test_a_heartbeat_says_how_the_producer_stands(sink, use):
    client = use()
    open_span = tracing.start_span("open")
    assert client.flush(5)
    with tracing.span("other"):
        pass
    assert client.flush(5)
    beat = sink.beats[-1]
    assert (beat["open"], beat["dropped"], beat["made"]) == (1, 0, len(sink.events))
    assert abs(beat["beat"] / 1000 - time.time()) < 60
    open_span.end()


def test_what_cannot_be_encoded_is_sent_as_text(sink, use):
    client = use()
    with tracing.span("s") as span:
        span.fields["prompt_tokens"] = 2**90
        span.fields["model"] = object()
    assert client.flush(5)
    row = sink.events[-1].fields
    assert row["prompt_tokens"] == str(2**90)
    assert row["model"].startswith("<object object")


def test_a_failure_that_was_told_of_stays_one(sink, use):
    client = use()
    span = tracing.start_span("s")
    span.fail(ValueError("bad"))
    assert client.flush(5)
    span.end()
    assert client.flush(5)
    assert sink.events[-1].fields["status"] == "failed"


def test_after_shutdown_nothing_hangs(sink, use):
    client = use()
    with tracing.span("s"):
        pass
    assert client.shutdown(5)
    with tracing.span("late"):
        pass
    assert client.flush(1) in (True, False)
    assert client.shutdown(1) in (True, False)
    assert [event.fields.get("title") for event in sink.events if event.kind == "whole"] == ["s"]


def test_large_payloads_are_bounded_by_the_buffer(sink, use):
    client = use(buffer_bytes=1024 * 1024, max_payload_chars=100_000)
    sink.away = True
    for _ in range(100):
        with tracing.span("big", input="x" * 200_000):
            pass
    assert client.status()["waiting_bytes"] < 4 * 1024 * 1024  # a slice may be on its way in
    client.flush(0.3)
    wait_until(lambda: client.status()["waiting_bytes"] <= 1024 * 1024)
    sink.away = False
    assert client.flush(10)
