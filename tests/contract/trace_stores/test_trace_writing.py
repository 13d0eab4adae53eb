"""What a writer promises over every store: idempotent, in any order, counted to the last event."""

from __future__ import annotations

import random
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trace_factories import examples
from trace_samples import (
    ANN,
    BOB,
    SECOND,
    START,
    Producer,
    contents,
    got,
    listed,
    new_id,
    steps,
    store_events,
    store_trace,
)

from ai_assistant.core.trace import TRACE_PAYLOAD_CHARS
from ai_assistant.core.trace_event import TraceEvent
from ai_assistant.traces.writer import LOST_MESSAGE, Batch, apply, close_lost, note_dead, note_made


def chat(producer: Producer, **fields):
    """A trace as a chat makes it: a root that runs while a generation and a tool come and go."""
    trace = producer.trace(user=ANN, session="s1", tags=["chat", "demo"], **fields)
    root, call, tool = new_id(16), new_id(16), new_id(16)
    trace.say("start", root, type="agent", title="chat", input='{"q":1}', parent="")
    trace.say("start", call, type="generation", title="fast", parent=root, input="question")
    trace.say("update", call, reasoning="hm", ttft_ms=120)
    trace.say("update", call, reasoning="hmm, well", progress=50.0)
    trace.say("end", call, output="answer", model="fast", provider="demo", prompt_tokens=7, completion_tokens=3,
              total_tokens=10, cost=0.25, finish_reason="stop")  # fmt: skip
    failure = {"status": "failed", "error_type": "KeyError", "error_message": "no such key"}
    at = trace.producer.at
    trace.whole(tool, type="tool", title="look up", parent=root, started_at=at, ended_at=at + 2000, **failure)
    trace.say("end", root, output="answer", segment_events=trace.place + 1)
    return trace, root, call, tool


def test_a_trace_is_what_its_events_say(stores):
    trace, root, call, tool = chat(Producer())
    result = store_events(stores, trace.producer.batch(*trace.events))
    assert (result.stored, result.duplicates) == (len(trace.events), 0)
    row, observations = contents(stores, trace.id)
    assert row["title"] == "chat"
    assert (row["user"], row["session"], row["tags"]) == (ANN, "s1", ["chat", "demo"])
    assert (row["status"], row["observation_count"], row["error_count"]) == ("completed", 3, 1)
    assert (row["model"], row["provider"], row["ttft_ms"]) == ("fast", "demo", 120)
    assert (row["prompt_tokens"], row["completion_tokens"], row["total_tokens"], row["cost"]) == (7, 3, 10, 0.25)
    assert (row["input"], row["output"], row["reasoning"]) == ('{"q":1}', "answer", None)
    assert (row["events"], row["missing_events"], row["is_complete"]) == (len(trace.events), 0, 1)
    assert row["started_at"] == trace.events[0].at
    assert row["ended_at"] == trace.events[-1].at
    assert row["duration_ms"] == (row["ended_at"] - row["started_at"]) // 1000
    assert row["error_message"] == "no such key"
    by_span = {each["span"]: each for each in observations}
    assert list(by_span) == [root, call, tool]
    assert by_span[call]["reasoning"] == "hmm, well"
    assert by_span[call]["started_at"] == trace.events[2].at
    assert by_span[call]["ended_at"] == trace.events[5].at
    assert by_span[call]["duration_ms"] == 3
    assert (by_span[tool]["status"], by_span[tool]["parent"], by_span[root]["parent"]) == ("failed", root, "")


def test_events_that_come_again_change_nothing(stores):
    trace, *_ = chat(Producer())
    batch = trace.producer.batch(*trace.events)
    store_events(stores, batch)
    before = contents(stores, trace.id)
    for again in (batch, trace.producer.batch(*trace.events[3:5], trace.events[3])):
        result = store_events(stores, again)
        assert (result.stored, result.duplicates) == (0, len(again.events))
    assert contents(stores, trace.id) == before
    assert got(stores, trace.id)["events"] == len(trace.events)


def test_events_without_numbers_are_idempotent_too(stores):
    trace, span = new_id(), new_id(16)
    fields = {"title": "from OTLP", "started_at": START, "ended_at": START + SECOND, "input": "x"}
    event = TraceEvent(number=0, kind="whole", at=START, trace=trace, span=span, fields=fields)
    named = TraceEvent(number=0, kind="trace", at=START, trace=trace, fields={"user": ANN, "title": "named"})
    for _ in range(2):
        store_events(stores, Batch("otlp", None, [event, named]))
    row, observations = contents(stores, trace)
    assert (row["title"], row["observation_count"], row["missing_events"], row["duration_ms"]) == ("named", 1, 0, 1000)
    assert observations[0]["input"] == "x"


def pieces(events: list[TraceEvent], source: random.Random) -> list[list[TraceEvent]]:
    """The events in any order, some twice, in batches of any size."""
    shuffled = [*events, *source.sample(events, source.randint(0, len(events)))]
    source.shuffle(shuffled)
    found = []
    while shuffled:
        size = source.randint(1, len(shuffled))
        found.append(shuffled[:size])
        shuffled = shuffled[size:]
    return found


def without_ids(found, spans):
    """What is stored, with the spans' names taken for the places where they were made."""
    row, observations = found
    order = {span: str(place) for place, span in enumerate(spans)}
    rest = [
        {
            **each,
            "span": order[each["span"]],
            "parent": order.get(each["parent"], each["parent"]),
            "producer": "",
        }
        for each in observations
    ]
    return {**row, "name": ""}, sorted(rest, key=lambda each: each["span"])


@settings(
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(seed=st.integers(0, 2**32), twice=st.booleans())
def test_any_order_gives_the_same(stores, seed, twice):
    source = random.Random(seed)
    expected = None
    for shuffle in (False, True):
        producer = Producer()
        trace, *spans = chat(producer)
        if twice:
            other, *more = chat(producer, trace=trace.id, title="second")
            trace.events += other.events
            spans += more
        for piece in pieces(trace.events, source) if shuffle else [trace.events]:
            store_events(stores, producer.batch(*piece))
        found = without_ids(contents(stores, trace.id), spans)
        if expected is None:
            expected = found
    assert found == expected
    assert found[0]["is_complete"] == 1


def test_what_is_missing_is_counted(stores):
    trace, *_ = chat(Producer())
    for lost in (2, 5):
        del trace.events[lost]
    store_events(stores, trace.producer.batch(*trace.events))
    row = got(stores, trace.id)
    assert (row["events"], row["missing_events"], row["is_complete"]) == (len(trace.events), 2, 0)
    with stores() as store:
        (producer,) = [each for each in store.producers() if each["name"] == trace.producer.name]
        assert store.incomplete(START) >= 1
    assert (producer["highest"], producer["stored_count"], producer["missing_count"]) == (8, 6, 2)


def test_the_end_of_a_segment_tells_of_events_that_it_has_had(stores):
    trace, root, *_ = chat(Producer())
    late = trace.say("end", root, segment_events=trace.place + 4)
    store_events(stores, trace.producer.batch(*trace.events))
    assert got(stores, trace.id)["missing_events"] == 3
    assert late.place == trace.place


def test_what_a_producer_gave_up_is_missing_from_its_traces(stores):
    producer = Producer()
    trace, *_ = chat(producer)
    unknown = new_id()
    gone = [trace.events.pop(3), trace.events.pop(3)]
    drop = producer.event(
        "drop",
        fields={
            "ranges": [[gone[0].number, gone[1].number], [100, 109]],
            "traces": [[trace.id, trace.segment, gone[1].place, 2], [unknown, 9, 10, 10]],
            "reason": "full",
            "count": 12,
        },
    )
    store_events(stores, producer.batch(*trace.events, drop))
    assert (got(stores, trace.id)["missing_events"], got(stores, trace.id)["is_complete"]) == (2, 0)
    lost = got(stores, unknown)
    assert (lost["status"], lost["missing_events"], lost["is_complete"], lost["events"]) == ("interrupted", 10, 0, 0)
    with stores() as store:
        (row,) = [each for each in store.producers() if each["name"] == producer.name]
        store.delete([unknown])
    assert (row["dropped_count"], row["highest"], row["missing_count"]) == (12, 109, 109 - 12 - row["stored_count"])


def test_hello_and_bye(stores):
    producer = Producer()
    hello = producer.event("hello", fields={"host": "web-1", "pid": 42, "service": "shop", "sdk": "1.0",
                                            "python": "3.11", "started": START})  # fmt: skip
    trace, *_ = chat(producer)
    bye = producer.event("bye", fields={"made": producer.number + 4, "dropped": 0})
    store_events(stores, producer.batch(bye, *trace.events, hello))
    with stores() as store:
        (row,) = [each for each in store.producers() if each["name"] == producer.name]
    assert (row["host"], row["pid"], row["service"], row["sdk"], row["python"]) == (
        "web-1", "42", "shop", "1.0", "3.11",
    )  # fmt: skip
    assert (row["started_at"], row["ended"], row["missing_count"]) == (START, 1, 3)


def test_dead_letters_are_known_and_can_be_tried_again(stores):
    trace, *_ = chat(Producer())
    poison = trace.events.pop(4)
    store_events(stores, trace.producer.batch(*trace.events))
    with stores() as store:
        note_dead(store, trace.producer.name, [poison.number, trace.events[0].number])
    with stores() as store:
        (row,) = [each for each in store.producers() if each["name"] == trace.producer.name]
    assert (row["dead_count"], row["missing_count"]) == (1, 0)
    assert got(stores, trace.id)["missing_events"] == 1
    store_events(stores, trace.producer.batch(poison))
    with stores() as store:
        (row,) = [each for each in store.producers() if each["name"] == trace.producer.name]
    assert (row["dead_count"], row["missing_count"], row["stored_count"]) == (0, 0, 8)
    assert got(stores, trace.id)["is_complete"] == 1


def test_the_last_heartbeat_tells_what_was_made(stores):
    trace, *_ = chat(Producer())
    store_events(stores, trace.producer.batch(*trace.events))
    with stores() as store:
        note_made(store, {trace.producer.name: 20})
        note_made(store, {trace.producer.name: 15})
    with stores() as store:
        (row,) = [each for each in store.producers() if each["name"] == trace.producer.name]
    assert (row["highest"], row["missing_count"]) == (20, 12)


# --- who may write


def test_events_over_http_touch_only_the_users_own_traces(stores):
    theirs = Producer().trace()
    theirs.whole(input="first")
    producer = Producer()
    mine = producer.trace()
    mine.whole()
    intruder = producer.trace(theirs.id)
    intruder.whole(input="forged")
    store_events(stores, theirs.producer.batch(*theirs.events))
    with stores() as store:
        result = apply(store, [producer.batch(*mine.events, *intruder.events, user=BOB)])
    assert result.stored == len(mine.events)
    assert [each.event for each in result.rejected] == intruder.events
    assert "belongs to somebody else" in result.rejected[0].error
    assert (got(stores, mine.id)["user"], got(stores, theirs.id)["observation_count"]) == (BOB, 1)


def test_nobody_gives_a_trace_to_another_user(stores):
    trace = Producer().trace(user=ANN)
    trace.whole()
    store_events(stores, trace.producer.batch(*trace.events[:1], user=BOB))
    store_events(stores, trace.producer.batch(*trace.events[1:], user=BOB))
    assert got(stores, trace.id)["user"] == BOB
    again = trace.producer.trace(trace.id, user=ANN)
    store_events(stores, trace.producer.batch(*again.events, user=BOB))
    assert got(stores, trace.id)["user"] == BOB


def test_nobody_speaks_for_another_program(stores):
    """Numbers that are stored are skipped: whoever used another one's name could make its events vanish."""
    trace, *_ = chat(Producer())
    first, rest = trace.events[:2], trace.events[2:]
    store_events(stores, trace.producer.batch(*first))
    forged = Producer(trace.producer.name).trace()
    for _ in range(20):
        forged.whole()
    with stores() as store:
        result = apply(store, [forged.producer.batch(*forged.events, user=BOB)])
        note_dead(store, trace.producer.name, [5], user=BOB)
    assert (result.stored, result.duplicates) == (0, 2)
    assert len(result.rejected) == len(forged.events) - 2
    store_events(stores, trace.producer.batch(*rest))
    assert got(stores, trace.id)["is_complete"] == 1


def test_a_refused_event_leaves_nothing_behind(stores):
    producer = Producer()
    bad = producer.trace()
    bad.events = [bad.say("start", new_id(16), type="nonsense")]
    fine = producer.trace(user=ANN)
    fine.whole()
    with stores() as store:
        result = apply(store, [producer.batch(*bad.events, *fine.events)])
    assert [each.error for each in result.rejected] == [
        "type: must be one of span, generation, tool, agent, retriever, event, not 'nonsense'"
    ]
    with stores() as store:
        assert store.get(bad.id, owner=None) is None
    assert fine.id in listed(stores)


def test_a_deleted_trace_does_not_come_back(stores):
    trace = store_trace(stores)
    with stores() as store:
        assert store.delete([trace.id, new_id()]) == 1
    result = store_events(stores, trace.producer.batch(*trace.events))
    assert result.duplicates == len(trace.events)
    with stores() as store:
        assert store.get(trace.id, owner=None) is None


# --- traces whose end does not come


def test_a_running_trace_and_its_end(stores):
    trace, root, *_ = chat(Producer())
    *events, end = trace.events
    store_events(stores, trace.producer.batch(*events))
    row = got(stores, trace.id)
    assert (row["status"], row["ended_at"], row["duration_ms"]) == ("running", None, None)
    with stores() as store:
        found = [each for each in store.running(1000) if each["trace"] == trace.id]
        assert [(each["span"], each["producer"], each["started_at"]) for each in found] == [
            (root, trace.producer.name, trace.events[1].at)
        ]
        assert trace.id not in {each["trace"] for each in store.running(1000, besides={trace.producer.name})}
    store_events(stores, trace.producer.batch(end))
    assert got(stores, trace.id)["status"] == "completed"


def test_what_a_dead_producer_left_open_is_interrupted(stores):
    trace, _, call, _ = chat(Producer())
    open_ = [trace.events[0], *trace.events[1:5]]
    store_events(stores, trace.producer.batch(*open_))
    others = lambda store: {  # noqa: E731
        each["producer"] for each in store.running(1000) if each["trace"] != trace.id
    }
    with stores() as store:
        assert close_lost(store, {trace.producer.name, *others(store)}) == 0
        assert close_lost(store, others(store)) == 0  # it was heard a moment ago
    with stores() as store:
        assert close_lost(store, others(store), silent_s=-1) == 2
    row = got(stores, trace.id)
    assert (row["status"], row["is_complete"], row["ended_at"]) == ("interrupted", 0, open_[-1].at)
    for each in steps(stores, trace.id):
        assert (each["status"], each["error_message"]) == ("interrupted", LOST_MESSAGE)
        assert (each["error_type"], each["ended_at"]) == ("producer_lost", open_[-1].at)
    # it was only late: what it says in the end holds
    store_events(stores, trace.producer.batch(*trace.events[5:]))
    row = got(stores, trace.id)
    assert (row["status"], row["ended_at"]) == ("completed", trace.events[-1].at)
    assert {each["span"]: each["status"] for each in steps(stores, trace.id)}[call] == "completed"


def test_a_trace_without_a_root(stores):
    producer = Producer()
    trace = producer.trace(user=ANN)
    first = trace.whole(parent=new_id(16), title="child of another program")
    store_events(stores, producer.batch(*trace.events))
    row = got(stores, trace.id)
    assert (row["status"], row["title"]) == ("completed", "child of another program")
    trace.whole(parent=first, status="failed", error_message="broken")
    store_events(stores, producer.batch(trace.events[-1]))
    assert (got(stores, trace.id)["status"], got(stores, trace.id)["error_message"]) == ("failed", "broken")


def test_a_trace_says_more_than_its_root(stores):
    producer = Producer()
    trace = producer.trace(user=ANN, title="Receipt 7", input="own", status="cancelled", cancelled_by=BOB)
    trace.whole(title="root", input="of the root", output="out")
    store_events(stores, producer.batch(*trace.events))
    row, _ = contents(stores, trace.id)
    assert (row["title"], row["status"], row["cancelled_by"]) == ("Receipt 7", "cancelled", BOB)
    assert (row["input"], row["output"]) == ("own", "out")


def test_the_trace_repeats_the_beginning_of_its_roots_payload(stores):
    producer = Producer()
    trace = producer.trace()
    root = trace.whole(input="x" * 100_000, output="y")
    store_events(stores, producer.batch(*trace.events))
    row, (observation,) = contents(stores, trace.id)
    assert (row["input"], row["output"]) == ("x" * TRACE_PAYLOAD_CHARS, "y")
    assert (len(observation["input"]), observation["input_chars"], observation["span"]) == (100_000, 100_000, root)


# --- several at once


def run_together(work, count):
    errors, barrier = [], threading.Barrier(count)

    def one(i):
        try:
            barrier.wait(timeout=30)
            work(i)
        except BaseException as error:
            errors.append(error)
            raise

    threads = [threading.Thread(target=one, args=(i,), daemon=True) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=100)
    assert not any(thread.is_alive() for thread in threads)
    if errors:
        raise errors[0]


def until_it_works(stores, batches):
    """As a consumer does: a database that is busy is asked again."""
    from ai_assistant.core.errors import ServiceUnavailableError

    for _ in range(50):
        try:
            return store_events(stores, *batches)
        except ServiceUnavailableError:
            continue
    raise AssertionError("the database stays busy")


def test_writers_at_once_lose_and_double_nothing(stores):
    producers = [Producer() for _ in range(3)]
    made = [chat(producers[i % 3])[0] for i in range(12)]
    shared = new_id()
    for producer in producers:
        trace = producer.trace(shared)
        for _ in range(20):
            trace.whole()
        made.append(trace)
    for trace in made:
        for event in trace.events:
            event.fields.setdefault("service", "traces-under-test") if event.kind == "trace" else None

    def work(i):
        source = random.Random(i)
        order = [*made]
        source.shuffle(order)
        for trace in order:
            until_it_works(stores, [trace.producer.batch(*piece) for piece in pieces(trace.events, source)])

    run_together(work, 3)
    for trace in made[:12]:
        row = got(stores, trace.id)
        assert (row["observation_count"], row["events"], row["is_complete"]) == (3, 8, 1)
    row = got(stores, shared)
    assert (row["observation_count"], row["events"], row["missing_events"]) == (60, 63, 0)
    with stores() as store:
        rows = {each["name"]: each for each in store.producers()}
    for producer in producers:
        assert rows[producer.name]["stored_count"] == producer.number
        assert rows[producer.name]["missing_count"] == 0


@pytest.mark.parametrize("count", [20_000])
def test_a_trace_of_many_observations(stores, count):
    producer = Producer()
    trace = producer.trace(user=ANN)
    root = new_id(16)
    trace.say("start", root, title="many", started_at=START - SECOND)
    for i in range(count - 1):
        trace.whole(parent=root, title=f"step {i % 100}", input="x" * 50)
    trace.say("end", root)
    for start in range(0, len(trace.events), 2500):
        store_events(stores, producer.batch(*trace.events[start : start + 2500]))
    row = got(stores, trace.id)
    assert (row["observation_count"], row["events"], row["is_complete"], row["status"]) == (
        count, count + 2, 1, "completed",
    )  # fmt: skip
    found = steps(stores, trace.id)
    assert len(found) == count
    assert found[0]["span"] == root
    assert [each["started_at"] for each in found] == sorted(each["started_at"] for each in found)
    with stores() as store:
        assert store.delete([trace.id]) == 1
