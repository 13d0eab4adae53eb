"""Events of somebody who wants to harm: they cost what they cost, and others nothing."""

from __future__ import annotations

import pytest
from trace_samples import ANN, SERVICE, START, Producer, new_id

from ai_assistant.core.ports import SiteAccess
from ai_assistant.core.trace_event import TraceEvent
from ai_assistant.traces import places, ranges
from ai_assistant.traces.consumer_batch import applied
from ai_assistant.traces.consumer_entry import Piece
from ai_assistant.traces.values import MAX_COST


class Access:
    """As much of a site's access as storing a piece takes."""

    def __init__(self, traces):
        self.traces = traces


def stored(stores, producer: Producer, *events: TraceEvent, user: str | None = ANN):
    """As a consumer stores them: what is rejected is noted as dead in the same unit of work."""
    with stores() as store:
        access: SiteAccess = Access(store)  # type: ignore[assignment]
        return applied([Piece(producer.name, user, events, b"1-1", 0)], access)


def test_numbers_with_too_many_gaps_are_rejected_without_a_failure(stores, monkeypatch):
    monkeypatch.setattr(ranges, "MAX_INTERVALS", 3)
    producer = Producer()
    trace = producer.trace()
    for _ in range(6):
        producer.number += 1
        trace.whole()
    result = stored(stores, producer, *trace.events)
    assert result.stored == 3
    assert {each.error.partition(":")[0] for each in result.rejected} == {"its numbers have more than 3 gaps"}


def test_a_trace_of_too_many_segments_is_rejected_without_a_failure(stores, monkeypatch):
    monkeypatch.setattr(places, "MAX_SEGMENTS", 3)
    producer, name = Producer(), new_id()
    segments = [producer.trace(name) for _ in range(5)]
    result = stored(stores, producer, *[segment.events[0] for segment in segments])
    assert result.stored == 3
    assert {each.error for each in result.rejected} == {"the trace has more than 3 segments"}
    drop = producer.event("drop", fields={"ranges": [], "traces": [[name, 99, 1, 1]], "count": 1})
    assert len(stored(stores, producer, drop).rejected) == 1


def test_a_drop_names_no_more_traces_than_a_producer_would(stores):
    producer = Producer()
    names = [[f"{at:032x}", 1, 1, 1] for at in range(1, 5002)]
    result = stored(stores, producer, producer.event("drop", fields={"ranges": [], "traces": names, "count": 1}))
    assert result.stored == 0
    assert "ranges, traces" in result.rejected[0].error


@pytest.mark.parametrize("number", [1e308, -1.0, MAX_COST])
def test_costs_stay_within_what_the_database_holds(stores, number):
    producer = Producer()
    trace = producer.trace()
    for _ in range(20):
        trace.whole(cost=number, type="generation")
    assert not stored(stores, producer, *trace.events).rejected
    with stores() as store:
        row = store.get(trace.id, owner=None)
    assert row is not None
    assert row["service"] == SERVICE
    assert row["started_at"] >= START
    assert 0 <= row["cost"] <= MAX_COST


def test_what_a_program_of_the_site_has_traced_its_user_may_add_to_and_not_change(stores):
    server = Producer()
    trace = server.trace(user=ANN, source="chat", title="asked")
    span = trace.whole(title="chat", output="said", cost=1.0, type="generation")
    stored(stores, server, *trace.events, user=None)
    client = Producer("0123456789abcdef:client")
    client.number = 2**40
    own = client.trace(trace.id, source="nothing", title="nothing", tags=["mine"])
    own.say("end", span, output="never said", cost=0.0, status="completed")
    added = own.whole(title="added", parent=span)
    own.whole(title="a root before the real one", input="never asked", started_at=START - 10_000_000)
    result = stored(stores, client, *own.events)
    assert [each.error.partition(":")[0] for each in result.rejected] == ["span", "parent"]
    with stores() as store:
        row = store.get(trace.id, owner=ANN)
        assert row is not None
        assert (row["source"], row["title"], row["cost"], row["tags"]) == ("chat", "asked", 1.0, ["mine"])
        assert store.payload(trace.id, span, "output") == "said"
        assert {each["span"] for each in store.observations(trace.id)} == {span, added}
    again = Producer("0123456789abcdef:another of the same user")
    more = again.trace(trace.id)
    more.say("end", added, output="more", status="completed")
    assert not stored(stores, again, *more.events).rejected


def test_a_users_own_trace_is_theirs_to_change(stores):
    client = Producer("0123456789abcdef:client")
    trace = client.trace(title="first")
    stored(stores, client, *trace.events)
    later = trace.say("trace", title="second")
    assert not stored(stores, client, later).rejected
    with stores() as store:
        row = store.get(trace.id, owner=ANN)
    assert row is not None
    assert row["title"] == "second"
