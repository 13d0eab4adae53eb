"""Entries of the stream that would take far more memory than they have bytes, and large ones that are sound."""

from __future__ import annotations

import tracemalloc

import msgspec
import pytest

from ai_assistant.core.trace_event import (
    MAX_ENTRY_BYTES,
    TraceEvent,
    WireError,
    encode_event,
    pack,
    unpack,
    unpack_one,
    unpack_raw,
)

SIZE = MAX_ENTRY_BYTES // 2
AT = 1_767_225_600_000_000
encode = msgspec.msgpack.encode


def event(fields: bytes) -> bytes:
    """One event with these fields, which may be anything."""
    return b"\x98" + b"".join(encode(each) for each in (1, "whole", AT, "1" * 32, 1, 1, "2" * 16)) + fields


def keys(count: int) -> bytes:
    """A map of that many members."""
    return b"\xdf" + count.to_bytes(4, "big") + b"".join(b"\xa4%04x\xc0" % (at % 65536) for at in range(count))


BOMBS = {
    "lists": b"\x91" + event(b"\x81\xa1a\xdd" + SIZE.to_bytes(4, "big") + b"\x90" * SIZE),
    "numbers": b"\x91" + event(b"\x81\xa1a\xdd" + SIZE.to_bytes(4, "big") + b"\x01" * SIZE),
    "no map": b"\x91" + event(b"\xdd" + SIZE.to_bytes(4, "big") + b"\x90" * SIZE),
    "keys": b"\x91" + event(keys(SIZE // 6)),
    "keys of many events": b"\xdc\x03\xe8" + event(keys(1000)) * 1000,
    "events": b"\xdd" + (SIZE // 6).to_bytes(4, "big") + b"\x93\x01\xa1a\x01" * (SIZE // 6),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_of_lists_and_maps_is_refused_before_it_takes_memory(name):
    body = BOMBS[name]
    tracemalloc.start()
    try:
        with pytest.raises(WireError):
            unpack(body, False)
        assert tracemalloc.get_traced_memory()[1] < 3 * len(body)
    finally:
        tracemalloc.stop()


def test_a_bomb_alone_is_refused_too():
    (raw,) = unpack_raw(BOMBS["lists"], False)
    with pytest.raises(WireError, match="lists and maps"):
        unpack_one(raw)


def test_large_texts_are_read_with_the_few_lists_beside_them():
    fields = {"input": "é" * 3_000_000, "tags": ["a"] * 50, "metadata": {"a": [1, 2]}, "cost": 0.5}
    raw = encode_event(TraceEvent(1, "whole", AT, "1" * 32, 1, 1, "2" * 16, fields))
    assert unpack(pack([raw]), False)[0].fields == fields
    assert unpack_one(raw).fields == fields
    assert unpack_raw(pack([raw]), False) == [raw]
