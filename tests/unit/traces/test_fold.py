"""What an event may say, what follows from it, and which of two wins."""

from __future__ import annotations

import itertools
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_assistant.core import trace as columns
from ai_assistant.core.trace_event import TraceEvent
from ai_assistant.traces.fold import checked, stamp_of, take_observation
from ai_assistant.traces.places import Places
from ai_assistant.traces.rows import (
    OBSERVATION_CHECKS,
    OBSERVATION_LETTERS,
    TRACE_CHECKS,
    TRACE_LETTERS,
    Change,
    read_stamps,
    write_stamps,
)
from ai_assistant.traces.search import search_text, words_of
from ai_assistant.traces.values import MAX_TEXT, StoreError

AT = 1_790_000_000_000_000
TRACE, SPAN = "1" * 32, "2" * 16


def event(kind="whole", place=1, at=AT, segment=1, **fields):
    span = "" if kind == "trace" else SPAN
    return TraceEvent(
        number=place, kind=kind, at=at, trace=TRACE, segment=segment, place=place, span=span, fields=fields
    )


def said(kind="whole", **fields):
    return checked(event(kind, **fields)).values


def test_every_field_has_a_check_and_a_letter():
    observation = {
        *columns.OBSERVATION_WORDS, *columns.OBSERVATION_TEXTS, *columns.OBSERVATION_INTS, *columns.OBSERVATION_FLOATS,
        *columns.OBSERVATION_TIMES,
    }  # fmt: skip
    trace = {*columns.TRACE_WORDS, *columns.TRACE_TEXTS, *columns.TRACE_INTS, columns.TRACE_TAGS}
    for fields, checks, letters in (
        (observation, OBSERVATION_CHECKS, OBSERVATION_LETTERS),
        (trace, TRACE_CHECKS, TRACE_LETTERS),
    ):
        assert fields == checks.keys() == letters.letter.keys()
        assert len(letters.column) == len(fields)


@pytest.mark.parametrize(
    ("letters", "count", "digest"), [(OBSERVATION_LETTERS, 38, 406226724), (TRACE_LETTERS, 25, 1552379841)]
)
def test_letters_stay_as_they_were_written(letters, count, digest):
    """They are in databases: a change would take one column for another. New columns come at the end."""
    first = list(letters.column.items())[:count]
    assert zlib.crc32(repr(first).encode()) == digest


def test_what_follows_from_the_kind():
    assert said("start") == {"parent": "", "type": "span", "started_at": AT}
    assert said("update", title="x") == {"title": "x"}
    assert said("end") == {"status": "completed", "ended_at": AT}
    assert said("end", status="failed", ended_at=AT + 5) == {"status": "failed", "ended_at": AT + 5}
    whole = said("whole", parent="3" * 16, type="tool", started_at=AT - 5)
    assert whole == {
        "parent": "3" * 16, "type": "tool", "started_at": AT - 5, "status": "completed", "ended_at": AT,
    }  # fmt: skip
    assert said("start", status="running").keys() == {"parent", "type", "started_at"}
    assert said("trace", status="running", title="x") == {"title": "x"}


def test_unknown_fields_are_counted_and_dropped():
    found = checked(event("update", title="x", colour="red", shape=[1], output=None))
    assert (found.values, found.unknown) == ({"title": "x"}, 2)


@pytest.mark.parametrize(
    ("field", "given", "stored"),
    [
        ("title", "x" * 200, "x" * 140),
        ("input", {"a": [1, "ü"]}, '{"a":[1,"ü"]}'),
        ("input", 3, "3"),
        ("input", "a\ud800", "a�"),
        ("metadata", {}, "{}"),
        ("prompt_tokens", 7.0, 7),
        ("prompt_tokens", -3, 0),
        ("prompt_tokens", 2**40, 2**31 - 1),
        ("input_truncated", True, 1),
        ("input_truncated", 7, 1),
        ("cost", 1, 1.0),
        ("cost", -1.0, 0.0),
        ("cost", 1e300, 1e11),
        ("confidence", 1.5, 1.0),
        ("progress", 1000, 100.0),
        ("started_at", float(AT), AT),
        ("output", "y" * (MAX_TEXT + 5), "y" * (MAX_TEXT - 1) + "…"),
    ],
)
def test_values_are_brought_into_shape(field, given, stored):
    assert said("update", **{field: given}) == {field: stored}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", 7),
        ("type", "embedding"),
        ("type", ["span"]),
        ("status", "done"),
        ("level", "fatal"),
        ("prompt_tokens", "7"),
        ("prompt_tokens", 7.5),
        ("prompt_tokens", float("nan")),
        ("cost", "free"),
        ("cost", float("inf")),
        ("cost", True),
        ("started_at", "now"),
        ("started_at", 1_790_000_000),
        ("ended_at", 2**62),
        ("input", b"bytes"),
        ("input", {"a": b"bytes"}),
        ("parent", "XYZ"),
        ("parent", "0" * 16),
    ],
)
def test_a_wrong_value_names_its_field(field, value):
    with pytest.raises(StoreError, match=f"^{field}: must be"):
        said("update", **{field: value})


@pytest.mark.parametrize("tags", ["red", [1], {"a": 1}, [["a"]]])
def test_tags_are_words(tags):
    with pytest.raises(StoreError, match=r"^tags: must be"):
        said("trace", tags=tags)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trace": ""}, "trace: must be 32 lower-case"),
        ({"trace": "A" * 32}, "trace: must be 32 lower-case"),
        ({"trace": "0" * 32}, "trace: must be 32 lower-case"),
        ({"trace": "1" * 31 + "\n"}, "trace: must be 32 lower-case"),
        ({"span": ""}, "span: must be 16 lower-case"),
        ({"kind": "begin"}, "kind: must be one of"),
        ({"at": 5}, "at: must be a time"),
        ({"number": -1}, "number: must be between"),
        ({"place": 2**31}, "place: must be between"),
        ({"segment": -1}, "segment: must be between"),
        ({"fields": []}, "fields: must be an object"),
    ],
)
def test_a_wrong_event_says_what_is_wrong(changes, message):
    wrong = event()
    for name, value in changes.items():
        setattr(wrong, name, value)
    with pytest.raises(StoreError, match=message):
        checked(wrong)


@pytest.mark.parametrize(
    "fields",
    [
        {"ranges": 5},
        {"ranges": [5]},
        {"ranges": [[2, 1]]},
        {"ranges": [["1", "2"]]},
        {"ranges": [[0, 5]]},
        {"traces": [[TRACE, 1]]},
        {"traces": [["x", 1, 2, 3]]},
        {"traces": [[TRACE, "1", 2, 3]]},
        {"traces": [[TRACE, 1, -2, 3]]},
    ],
)
def test_a_drop_that_cannot_be_read(fields):
    with pytest.raises(StoreError, match="traces: must be"):
        checked(TraceEvent(number=1, kind="drop", at=AT, fields=fields))


FIELDS = {
    "title": st.sampled_from(["a", "b", "c"]),
    "input": st.sampled_from(["x", "y"]),
    "model": st.sampled_from(["m", "n"]),
    "status": st.sampled_from(["failed", "completed"]),
}


@given(st.lists(st.fixed_dictionaries({}, optional=FIELDS), min_size=1, max_size=5), st.data())
def test_any_order_in_any_batches_gives_the_same(fields, data):
    events = [event("update", place=place, at=AT + place, **each) for place, each in enumerate(fields, 1)]

    def result(order, cuts):
        """The values of a row that is stored and merged batch by batch."""
        stored, versions = {}, ""
        for start, end in itertools.pairwise([0, *sorted(cuts), len(order)]):
            change = Change()
            for each in order[start:end]:
                take_observation(change, "p", checked(each), stamp_of("p", each))
            change.merge(versions, OBSERVATION_LETTERS)
            stored |= change.values
            versions = write_stamps(change.stamps, OBSERVATION_LETTERS)
        return stored, versions

    order = data.draw(st.permutations([*events, *events]))
    cuts = data.draw(st.lists(st.integers(0, len(order)), max_size=4))
    assert result(order, cuts) == result(events, [])
    model = {"status": "running"}
    for each in fields:
        model |= each
    assert result(events, [])[0] == model


@given(st.dictionaries(st.sampled_from(sorted(OBSERVATION_LETTERS.letter)), st.integers(0, 2**64)))
def test_stamps_can_be_read_back(stamps):
    text = write_stamps(stamps, OBSERVATION_LETTERS)
    assert read_stamps(text, OBSERVATION_LETTERS) == stamps
    assert write_stamps(dict(reversed(stamps.items())), OBSERVATION_LETTERS) == text
    assert len(text) < 1000


@given(st.lists(st.tuples(st.sampled_from(["p/q", "🧠"]), st.integers(0, 2), st.integers(1, 20)), max_size=40))
def test_places(added):
    places, model = Places(), {}
    for producer, segment, place in added:
        fresh = place not in model.setdefault((producer, segment), set())
        assert places.add(producer, segment, place) == fresh
        model[producer, segment].add(place)
    places.expect("p/q", 0, 25)
    model.setdefault(("p/q", 0), set())
    for each in (places, Places(str(places))):
        assert str(each) == str(places)
        assert each.received() == sum(map(len, model.values()))
        expected = {key: 25 if key == ("p/q", 0) else max(found) for key, found in model.items()}
        assert each.missing() == sum(expected[key] - len(found) for key, found in model.items())


def test_words_of_the_search():
    assert words_of("read_receipt <lambda> Übersicht 領収書 🧾 10.0.0.1 Straße") == [
        "read", "receipt", "lambda", "ubersicht", "領収書", "10", "0", "0", "1", "strasse",
    ]  # fmt: skip
    assert search_text(["Read it", "READ that"]) == " read it that"
    assert len(search_text(f"word{i}" for i in range(5000))) <= 4000
