"""Uploads of traces: read from MessagePack and JSON, and refused by name."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_assistant.core.errors import ValidationError
from ai_assistant.core.trace_event import ENTRY_EVENTS, MAX_ENTRY_BYTES, TraceEvent, body_of, encode_event, pack
from ai_assistant.core.trace_pipe import TraceEntry
from ai_assistant.core.trace_upload import (
    MAX_ENTRIES,
    MAX_EVENT_BYTES,
    MEDIA_TYPE,
    checked_entries,
    producer_of,
    upload_of,
)

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "00f067aa0ba902b7"


def event(number: int = 1, kind: str = "start", **changes: Any) -> bytes:
    known = {"at": 5, "trace": TRACE, "segment": 1, "place": number, "span": SPAN, "fields": {"title": "t"}}
    return encode_event(TraceEvent(number, kind, **{**known, **changes}))


def packed(value: Any) -> list[TraceEntry]:
    """What an upload as MessagePack comes to."""
    return checked_entries(upload_of(MEDIA_TYPE, msgspec.msgpack.encode(value), {}))


def refused(value: Any, media: str = MEDIA_TYPE, arguments: dict[str, Any] | None = None) -> str:
    body = value if isinstance(value, bytes) else msgspec.msgpack.encode(value)
    with pytest.raises(ValidationError) as caught:
        checked_entries(upload_of(media, body, arguments or {}))
    caught.value.message.encode()
    return caught.value.message


def entries(*events: bytes, **changes: Any) -> dict[str, Any]:
    return {"producer": "p1", "entries": [{"b": pack(list(events)), **changes}]}


def test_messagepack_as_the_stream_has_it():
    big = event(2, fields={"input": "x" * 40_000})
    upload = {"producer": "host-1:2@x", "entries": [body_of([event()]), body_of([big])], "beat": {"made": 2, "new": 1}}
    first, second = packed(upload)
    assert (first.count, first.compressed, first.ended) == (1, False, False)
    assert (second.count, second.compressed) == (1, True)
    assert zlib.decompress(second.body) == pack([big])


def test_json_carries_base64():
    body = base64.b64encode(pack([event(), event(2, "bye")])).decode()
    found = upload_of("application/json", b"", {"producer": "p1", "entries": [{"b": body, "n": 2}], "beat": None})
    assert checked_entries(found) == [TraceEntry(pack([event(), event(2, "bye")]), False, 2, ended=True)]
    as_form = upload_of("", b"", {"producer": "p1", "entries": f'[{{"b": "{body}"}}]', "beat": '{"open": 3}'})
    assert as_form.beat is not None
    assert as_form.beat.open == 3
    assert checked_entries(as_form) == checked_entries(found)


def test_a_ping():
    assert packed({"producer": "p1"}) == []


@pytest.mark.parametrize(
    ("value", "begins"),
    [
        (b"", "body: is not valid MessagePack"),
        (b"\xc1", "body: is not valid MessagePack"),
        (b"\x81\xa1x" + b"\x91" * 100_000, "body: is not valid MessagePack"),
        (b"\x82\xa8producer\xa1a\xa7entries\xdd\xff\xff\xff\xff", "entries: Expected"),
        ([], "body: Expected"),
        ({}, "producer: is missing"),
        ({"producer": 5}, "producer: Expected"),
        ({"producer": ""}, "producer: must be 1 to 100"),
        ({"producer": "a b"}, "producer: must be 1 to 100"),
        ({"producer": "a/b"}, "producer: must be 1 to 100"),
        ({"producer": "x" * 101}, "producer: must be 1 to 100"),
        ({"producer": "p", "entries": 5}, "entries: Expected"),
        ({"producer": "p", "entries": [{}]}, "entries[0].b: is missing"),
        ({"producer": "p", "entries": [{"b": "text"}]}, "entries[0].b: Expected"),
        ({"producer": "p", "entries": [{"b": b"x", "z": 2}]}, "entries[0].z: "),
        ({"producer": "p", "entries": [{"b": b"x", "n": ENTRY_EVENTS + 1}]}, "entries[0].n: "),
        ({"producer": "p", "entries": [{"b": b"\x90"}] * (MAX_ENTRIES + 1)}, "entries: Expected"),
        ({"producer": "p", "beat": {"made": -1}}, "beat.made: "),
        ({"producer": "p", "beat": {"host": "x" * 141}}, "beat.host: "),
        ({"producer": "p", "beat": {"host": "a\x00"}}, "beat.host: contains a NUL"),
    ],
)
def test_a_refusal_names_the_place(value: Any, begins: str):
    assert refused(value).startswith(begins), refused(value)


@pytest.mark.parametrize(
    ("given", "begins"),
    [
        ({}, "producer: is missing"),
        ({"producer": "p", "entries": "{"}, "entries: not valid JSON"),
        ({"producer": "p", "entries": {}}, "entries: Expected"),
        ({"producer": "p", "entries": [{"b": "!"}]}, "entries[0].b: "),
        ({"producer": "p", "beat": []}, "beat: Expected"),
        ({"producer": "p", "beat": {"pid": "1"}}, "beat.pid: "),
        ({"producer": "\ud800"}, "producer: "),
    ],
)
def test_a_refusal_of_json(given: dict[str, Any], begins: str):
    assert refused(b"", "application/json", given).startswith(begins)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (entries(), "entries[0].b: must hold 1 to 50 events, not 0"),
        (entries(*[event(i + 1) for i in range(51)]), "entries[0].b: must hold 1 to 50 events, not 51"),
        (entries(event(), n=2), "entries[0].n: says 2 events, but there are 1"),
        ({"producer": "p", "entries": [{"b": b"\x05"}]}, "entries[0].b: not a list of events"),
        (entries(event(kind="stop")), "entries[0].b[0].kind: there is no kind 'stop'"),
        (entries(event(), event(trace="A" * 32)), "entries[0].b[1].trace: must be 32"),
        (entries(event(span="")), "entries[0].b[0].span: must be 16"),
        (entries(event(place=-1)), "entries[0].b[0].place: "),
        (entries(event(2**60)), "entries[0].b[0].number: "),
        (entries(event(at=-1)), "entries[0].b[0].at: "),
    ],
)
def test_events_that_could_not_be_stored(value: Any, says: str):
    assert refused(value).startswith(says), refused(value)


def test_bombs():
    bomb = zlib.compress(b"\x00" * (MAX_ENTRY_BYTES + 1), 9)
    assert refused({"producer": "p", "entries": [{"b": bomb, "z": 1}]}).startswith("entries[0].b: ")
    assert refused({"producer": "p", "entries": [{"b": b"no zlib", "z": 1}]}).startswith("entries[0].b: cannot be")
    assert refused({"producer": "p", "entries": [{"b": zlib.compress(pack([event()]))[:-4], "z": 1}]})
    assert refused({"producer": "p", "entries": [{"b": b"\x91" + b"\xc0" * MAX_ENTRY_BYTES}]})


def test_many_small_bombs():
    one = zlib.compress(pack([event(fields={"input": "x" * 8_000_000})]), 9)
    count = MAX_EVENT_BYTES // 8_000_000 + 1
    assert "more than" in refused({"producer": "p", "entries": [{"b": one, "z": 1}] * count})


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes(body: bytes, as_entry: bool):
    try:
        packed({"producer": "p", "entries": [{"b": body}]}) if as_entry else upload_of(MEDIA_TYPE, body, {})
    except ValidationError as error:
        assert ": " in error.message


def test_a_producer_is_its_users_own():
    names = {producer_of(user, "p1") for user in ("ann@example.com", "bob@example.com", "\ud800")}
    assert len(names) == 3
    assert all(len(name) <= 120 and name.endswith(":p1") for name in names)
    assert producer_of("ann@example.com", "p1") == producer_of("ann@example.com", "p1")
