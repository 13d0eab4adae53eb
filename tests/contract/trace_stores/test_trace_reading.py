"""What people find: lists, filters, pages, payloads; and what deletion leaves."""

from __future__ import annotations

import pytest
from trace_samples import (
    ANN,
    BOB,
    REVIEWER,
    SECOND,
    SERVICE,
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

from ai_assistant.core.errors import ValidationError
from ai_assistant.core.trace import PRIVATE, TraceFilter

HOUR = 3600 * SECOND


def store_at(stores, at, **fields):
    """A trace with one generation that began at `at`; of `fields`, some are the generation's."""
    of_generation = {name: fields.pop(name) for name in ("title", "model", "cost", "status", "error_message", "took")
                     if name in fields}  # fmt: skip
    producer = Producer()
    producer.at = at - 1000
    trace = producer.trace(**({"user": ANN} | fields))
    took = of_generation.pop("took", 5)
    trace.whole(type="generation", started_at=at, ended_at=at + took * 1000, **of_generation)
    store_events(stores, producer.batch(*trace.events))
    return trace.id


def test_filters(stores):
    first = store_at(stores, START, model="fast", cost=0.5, took=100, session="s1", conversation="c1",
                     environment="test", source="chat", tags=["red", "blue"])  # fmt: skip
    second = store_at(stores, START + HOUR, model="slow", cost=2.0, took=9000, status="failed", user=BOB,
                      reference_doctype="ToDo", reference_name="T-1", tags=["blue"])  # fmt: skip
    third = store_at(stores, START + 2 * HOUR, took=10, model="fast")
    for filters, expected in (
        ({}, [third, second, first]),
        ({"user": BOB}, [second]),
        ({"model": "fast"}, [third, first]),
        ({"status": "failed"}, [second]),
        ({"since": START + HOUR}, [third, second]),
        ({"until": START + HOUR}, [first]),
        ({"since": START + 1, "until": START + 2 * HOUR}, [second]),
        ({"since": 0, "until": 2**62}, [third, second, first]),
        ({"conversation": "c1"}, [first]),
        ({"session": "s1"}, [first]),
        ({"tag": "blue"}, [second, first]),
        ({"tag": "red"}, [first]),
        ({"tag": "green"}, []),
        ({"min_cost": 0.5}, [second, first]),
        ({"max_cost": 1.0}, [first]),
        ({"min_cost": 0.6, "max_cost": 1.9}, []),
        ({"min_duration_ms": 100}, [second, first]),
        ({"max_duration_ms": 100}, [third, first]),
        ({"reference_doctype": "ToDo"}, [second]),
        ({"reference_doctype": "ToDo", "reference_name": "T-1"}, [second]),
        ({"reference_name": "T-2"}, []),
        ({"environment": "test"}, [first]),
        ({"source": "chat"}, [first]),
        ({"complete": True}, [third, second, first]),
        ({"complete": False}, []),
        ({"model": "fast", "tag": "red", "min_cost": 0.1, "user": ANN}, [first]),
    ):
        assert listed(stores, **filters) == expected, filters
    assert listed(stores, owner=BOB) == [second]
    assert listed(stores, owner=BOB, user=ANN) == []


def test_a_trace_that_runs_has_no_duration_yet(stores):
    producer = Producer()
    trace = producer.trace(user=ANN)
    trace.say("start", new_id(16), title="open")
    store_events(stores, producer.batch(*trace.events))
    assert listed(stores, status="running") == [trace.id]
    assert listed(stores, max_duration_ms=10**9) == []
    assert listed(stores, max_cost=10**9) == []


def test_incomplete_traces_are_found(stores):
    producer = Producer()
    trace = producer.trace(user=ANN)
    trace.whole()
    store_events(stores, producer.batch(*trace.events[1:]))
    store_trace(stores)
    with stores() as store:
        page = store.list(TraceFilter(complete=False, user=ANN), owner=None, limit=10, cursor=None)
    assert trace.id not in listed(stores)  # its service was lost
    assert [row["name"] for row in page.rows] == []  # and so was its user
    with stores() as store:
        page = store.list(TraceFilter(complete=False), owner=None, limit=1000, cursor=None)
        assert trace.id in {row["name"] for row in page.rows}
        store.delete([trace.id])


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("receipt", ["names"]),
        ("READ", ["names"]),
        ("rec", ["names"]),
        ("eceipt", []),
        ("read receipt", ["names"]),
        ("receipt nothing", []),
        ("timeout", ["error"]),
        ("connection to 10", ["error"]),
        ("übersicht", ["accents"]),
        ("UBERSICHT", ["accents"]),
        ("the", ["accents"]),
        ("x1", ["error"]),
        ("領収書", ["accents"]),
        ("<lambda>", ["names"]),
        ("%", []),
        ("🧾", []),
        ("'; drop", []),
        ("+receipt*", ["names"]),
        ('"read', ["names"]),
    ],
)
def test_search_in_names_and_errors(stores, search, found):
    traces = {
        "names": store_at(stores, START, title="read_receipt <lambda>"),
        "error": store_at(
            stores, START + 1, title="x1", status="failed", error_message="Timeout: connection to 10.0.0.1"
        ),
        "accents": store_at(stores, START + 2, title="The Übersicht 領収書 🧾"),
    }
    assert listed(stores, search=search) == [traces[each] for each in found]


def test_search_finds_what_came_later(stores):
    producer = Producer()
    trace = producer.trace(user=ANN)
    root = new_id(16)
    trace.say("start", root, title="zebra", started_at=START + SECOND)
    store_events(stores, producer.batch(*trace.events))
    assert listed(stores, search="zebra") == [trace.id]
    trace.say("end", root, status="failed", error_message="quagga escaped", started_at=START - SECOND)
    store_events(stores, producer.batch(trace.events[-1]))
    assert listed(stores, search="quagga") == listed(stores, search="zebra quagga") == [trace.id]


def test_pages_have_no_gaps_and_no_repeats(stores):
    made = {store_at(stores, START + (i // 4) * 7, model=("a", "b")[i % 2]) for i in range(22)}
    for filters in ({}, {"model": "a"}, {"user": ANN}, {"search": "step"}):
        expected = made if "model" not in filters else set(listed(stores, model="a"))
        found, cursor = [], None
        while True:
            with stores() as store:
                page = store.list(TraceFilter(service=SERVICE, **filters), owner=None, limit=3, cursor=cursor)
            found += [row["name"] for row in page.rows]
            cursor = page.cursor
            if cursor is None:
                break
            assert len(page.rows) == 3
        assert len(found) == len(set(found))
        assert set(found) == expected
        assert found == listed(stores, **filters)


@pytest.mark.parametrize("cursor", ["x", "1-2", "0-" + "0" * 32, "-", "fffffffffffffff-" + "a" * 32, "'; --"])
def test_a_cursor_that_is_none(stores, cursor):
    with stores() as store, pytest.raises(ValidationError, match="cursor: must be the `cursor` of a page before"):
        store.list(TraceFilter(), owner=None, limit=5, cursor=cursor)


def test_limits(stores):
    store_trace(stores)
    with stores() as store:
        for limit in (0, -1):
            page = store.list(TraceFilter(), owner=None, limit=limit, cursor=None)
            assert (page.rows, page.cursor) == ([], None)


def test_lists_and_trees_hold_no_payload(stores):
    trace = store_trace(stores)
    with stores() as store:
        rows = store.list(TraceFilter(service=SERVICE), owner=None, limit=5, cursor=None).rows
        rows += [store.get(trace.id, owner=None), *store.observations(trace.id)]
    assert len(rows) == 3
    for row in rows:
        assert not set(PRIVATE) & row.keys()
        assert "question" not in str(row)
    assert (rows[2]["input_chars"], rows[2]["output_chars"]) == (8, 6)
    assert None not in rows[2].values(), "of an observation there is only what is known"


def test_a_trace_of_another_user_is_not_there(stores):
    trace = store_trace(stores)
    with stores() as store:
        assert store.get(trace.id, owner=ANN)["user"] == ANN
        assert store.get(trace.id, owner=BOB) is None
        assert store.get(new_id(), owner=None) is None


def test_payloads(stores):
    trace = store_trace(stores, ANN, metadata={"a": 1})
    span = steps(stores, trace.id)[0]["span"]
    with stores() as store:
        assert store.payload(trace.id, span, "input") == "question"
        assert store.payload(trace.id, span, "reasoning") is None
        assert store.payload(trace.id, "", "output") == "answer"
        assert store.payload(trace.id, "", "metadata") == '{"a":1}'
        assert store.payload(trace.id, new_id(16), "input") is None
        assert store.payload(new_id(), "", "input") is None
        for where, column in (("", "marks"), (span, "title"), (span, "versions"), ("", "places"), (span, "input; --")):
            with pytest.raises(ValidationError, match="column: must be one of input, output, reasoning, metadata"):
                store.payload(trace.id, where, column)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain",
        "🧠 4-byte 𝄞 and ñ",
        "before\x00after",
        "tab\t newline\n return\r end\x1a",
        "quote ' double \" back \\ slash \\' percent % %s ; -- `",
        "<script>alert(1)</script> & <b>",
        "﷽ e\u0301 \u202e right to left",
        " spaces around ",
    ],
)
def test_texts_come_back_as_they_were(stores, text):
    producer = Producer()
    trace = producer.trace(user=ANN, input=text, session=text[:100])
    trace.whole(title=text[:100], input=text, output=text, reasoning=text, error_message=text, model=text[:100])
    store_events(stores, producer.batch(*trace.events))
    row, (observation,) = contents(stores, trace.id)
    assert (row["input"], row["output"]) == (text, text)
    assert (row["title"] or "", row["session"] or "") == (text, text)
    for column in ("input", "output", "reasoning"):
        assert observation[column] == text
    assert (observation["title"], observation["model"] or "") == (text, text)
    assert (observation["error_message"] or "") == text


def test_half_a_surrogate_pair_becomes_a_sign_that_can_be_stored(stores):
    producer = Producer()
    trace = producer.trace(user=ANN, tags=["\ud83d"])
    trace.whole(title="a\ud83db", input="a\ud83db", output="\udfff")
    store_events(stores, producer.batch(*trace.events))
    row, (observation,) = contents(stores, trace.id)
    assert (observation["title"], observation["input"], observation["output"]) == ("a�b", "a�b", "�")
    assert row["tags"] == ["�"]


def test_a_huge_payload(stores):
    producer = Producer()
    trace = producer.trace(user=ANN)
    text = "abc\n'🧠" * 300_000
    trace.whole(input=text, output="small", output_truncated=True)
    trace.whole(input="next")
    store_events(stores, producer.batch(*trace.events))
    _, (first, second) = contents(stores, trace.id)
    assert (first["input"], first["input_chars"], first["output"]) == (text, len(text), "small")
    assert (first["output_truncated"], first["input_truncated"], second["input"]) == (1, 0, "next")


def test_numbers_that_are_not_known_are_not_0(stores):
    producer = Producer()
    trace = producer.trace(user=ANN)
    trace.whole(type="generation", prompt_tokens=0, cost=0.0, chunks=1)
    trace.whole(type="generation", total_tokens=10**12, confidence=2.0)
    store_events(stores, producer.batch(*trace.events))
    row, (first, second) = contents(stores, trace.id)
    assert (first["prompt_tokens"], first["cost"], first["total_tokens"], first["ttft_ms"]) == (0, 0.0, None, None)
    assert (second["prompt_tokens"], second["cost"], second["total_tokens"]) == (None, None, 2**31 - 1)
    assert second["confidence"] == 1.0
    assert (row["cost"], row["ttft_ms"], row["chunks_received"], row["acknowledged_seq"]) == (0.0, None, None, None)
    more = producer.trace(trace.id, chunks_received=0, acknowledged_seq=12)
    store_events(stores, producer.batch(*more.events))
    assert (got(stores, trace.id)["chunks_received"], got(stores, trace.id)["acknowledged_seq"]) == (0, 12)


def test_long_words_are_cut(stores):
    producer = Producer()
    trace = producer.trace(user=ANN, title="t" * 500, tags=["x" * 500, "y", "y", ""])
    trace.whole(model="m" * 500, title="🧠" * 500, error_message="e" * 50_000)
    store_events(stores, producer.batch(*trace.events))
    row, (observation,) = contents(stores, trace.id)
    assert (row["title"], row["tags"]) == ("t" * 140, ["x" * 140, "y"])
    assert (observation["model"], observation["title"]) == ("m" * 140, "🧠" * 140)
    assert len(observation["error_message"]) == 10_000


def test_tags_are_replaced(stores):
    trace = store_trace(stores, ANN, tags=["a", "b"])
    more = trace.producer.trace(trace.id, tags=["c"])
    store_events(stores, trace.producer.batch(*more.events))
    assert got(stores, trace.id)["tags"] == ["c"]
    assert listed(stores, tag="a") == []
    assert listed(stores, tag="c") == [trace.id]


def test_times_keep_their_microseconds(stores):
    for at in (START + 1, START + 999_999, 1_793_500_000_000_001, 1_774_750_000_654_321):
        trace = store_at(stores, at, took=3)
        (observation,) = steps(stores, trace)
        assert (observation["started_at"], observation["ended_at"]) == (at, at + 3000)
        assert listed(stores, since=at, until=at + 1) == [trace]


# --- removal


def test_deletion_leaves_nothing(stores):
    kept, trace = store_trace(stores, ANN, tags=["keep"]), store_trace(stores, ANN, tags=["a", "b"])
    with stores() as store:
        store.note_view(trace.id, ANN, REVIEWER)
        assert store.delete([trace.id]) == 1
    with stores() as store:
        assert store.get(trace.id, owner=None) is None
        assert store.observations(trace.id) == []
        assert list(store.payloads(trace.id)) == []
        assert store.delete([trace.id]) == 0
        assert store.delete([]) == 0
    assert listed(stores) == listed(stores, search="answer") == [kept.id]
    assert listed(stores, tag="a") == []
    assert got(stores, kept.id)["observation_count"] == 1


def test_old_traces_expire(stores):
    old = [store_at(stores, 1_000_000_000_000_000 + i * SECOND) for i in range(3)]
    store_at(stores, START)
    with stores() as store:
        limit = 1_000_000_000_000_000 + 2 * SECOND
        assert store.expired(before=limit, max_bytes=None, limit=10) == old[:2]
        assert store.expired(before=limit, max_bytes=None, limit=1) == old[:1]
        assert store.expired(before=None, max_bytes=None, limit=10) == []
        store.delete(old)


def test_traces_expire_by_size(stores):
    old = []
    for i in range(4):
        producer = Producer()
        producer.at = 1_000_000_000_000_000 + i * SECOND
        trace = producer.trace(user=ANN)
        trace.whole(input="x" * 100_000)
        store_events(stores, producer.batch(*trace.events))
        old.append(trace.id)
    with stores() as store:
        size = store.size()
        assert size > 400_000
        assert store.expired(before=None, max_bytes=size, limit=10) == []
        assert store.expired(before=None, max_bytes=size - 1, limit=10) == old[:1]
        assert store.expired(before=None, max_bytes=size - 150_000, limit=10) == old[:2]
        assert store.expired(before=None, max_bytes=0, limit=3) == old[:3]
        store.delete(old[:2])
        assert store.size() == pytest.approx(size - 200_000, rel=0.5, abs=20_000)
        store.delete(old)
