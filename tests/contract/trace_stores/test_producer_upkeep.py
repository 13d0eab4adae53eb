"""What is known of a producer goes when it is done and was silent for long, and no sooner."""

from __future__ import annotations

import time

from trace_samples import Producer, store_events

from ai_assistant.traces.writer import note_dead

HOUR_US = 3_600_000_000


def said_all(stores, *, lost: int = 0, bye: bool = True) -> Producer:
    """A producer with a trace of two events, of whose numbers so many never arrived; with or without its last word."""
    producer = Producer()
    trace = producer.trace()
    trace.whole()
    producer.number += lost
    last = [producer.event("bye", fields={"made": producer.number + 1, "dropped": 0})] if bye else []
    store_events(stores, producer.batch(*trace.events, *last))
    return producer


def known(stores) -> set[str]:
    with stores() as store:
        return {row["name"] for row in store.producers()}


def forget(stores, before: int, limit: int = 100) -> int:
    with stores() as store:
        return store.forget_producers(before=before, limit=limit)


def test_one_that_is_done_goes_when_it_was_silent_for_long(stores):
    done = said_all(stores)
    now = time.time_ns() // 1000
    forget(stores, now - HOUR_US)
    assert done.name in known(stores)
    assert forget(stores, now + HOUR_US) >= 1
    assert done.name not in known(stores)


def test_one_that_runs_or_misses_something_or_has_dead_letters_stays(stores):
    running, gap, dead = said_all(stores, bye=False), said_all(stores, lost=2), said_all(stores, lost=1)
    with stores() as store:
        note_dead(store, dead.name, [dead.number - 1])
    forget(stores, time.time_ns() // 1000 + HOUR_US)
    assert {running.name, gap.name, dead.name} <= known(stores)


def test_so_many_at_once(stores):
    names = {said_all(stores).name for _ in range(3)}
    later = time.time_ns() // 1000 + HOUR_US
    assert forget(stores, later, limit=2) == 2
    assert len(names & known(stores)) == 1
    assert forget(stores, later, limit=2) == 1


def test_those_that_lost_events_are_found_among_any_number_of_others(stores):
    gap = said_all(stores, lost=2)
    for _ in range(3):
        said_all(stores)
    now = time.time_ns() // 1000
    with stores() as store:
        assert gap.name not in {row["name"] for row in store.producers(3)}
        assert gap.name in {row["name"] for row in store.producers(1000, lossy_since=now - HOUR_US)}
        assert gap.name not in {row["name"] for row in store.producers(1000, lossy_since=now + HOUR_US)}
