"""A trace as it travels: the events that a producer puts into the Redis Stream, or sends over HTTP.

A trace is a tree of observations. Its producer, one process, says in events what it learns of it. Events may arrive in
any order, twice, or not at all, and everything needed to notice that is in them:

- `number` counts the events of a producer from 1, without gaps: what is missing there was lost on the way;
- `segment` and `place` count the events of one producer within one trace (a segment is what began with one local root),
  so that a trace knows by itself whether it is whole.

An entry of the stream carries several events: the field `p` names the producer, `b` is a MessagePack list of events,
compressed with zlib where the field `z` is `1`, `n` is their number, and `u`, which only a server sets, the user in
whose name they came over HTTP.
"""

from __future__ import annotations

import zlib
from typing import Any, Final, Literal

import msgspec

EventKind = Literal["trace", "start", "update", "end", "whole", "drop", "hello", "bye"]
"""`trace`: fields of the trace itself; `start`, `update`, `end`: an observation's; `whole`: one that began and ended
between two deliveries. The rest are of the producer: `drop`: what it had to give up; `hello`, `bye`: its first and last
word."""

OBSERVATION_KINDS: Final = frozenset({"start", "update", "end", "whole"})
PRODUCER_KINDS: Final = frozenset({"drop", "hello", "bye"})

ENTRY_EVENTS: Final = 50
"""Events of one entry at most."""
ENTRY_BYTES: Final = 256 * 1024
"""Bytes of one entry's events, beyond which the next entry begins; one event alone may be larger."""
COMPRESS_BYTES: Final = 16 * 1024
"""An entry whose events average more than this is compressed: text shrinks to a fifth, at some 10 µs per KiB."""
MAX_ENTRY_BYTES: Final = 16 * 1024 * 1024
"""Bytes that an entry may have when it is decompressed: a bomb goes to the dead letters."""
STRUCTURE_BYTES: Final = 1024 * 1024
"""Bytes of an entry that may be lists and maps rather than texts and numbers: as Python's they take up to seventy times
as much."""
FIELD_BYTES: Final = 32
"""What each field of an event counts as, beside its value."""
MAX_LISTED: Final = 10_000
"""Events, and fields of one event, in an entry of more than STRUCTURE_BYTES."""


class TraceEvent(msgspec.Struct, array_like=True, gc=False):
    """One thing that a producer says. Written as a list, so that it is small; new members come at the end."""

    number: int
    """Running number of the producer, from 1; 0: not numbered, for it was received over another protocol."""
    kind: str
    """An `EventKind`."""
    at: int
    """When it happened: epoch microseconds by the producer's clock."""
    trace: str = ""
    """32 hexadecimal digits (W3C Trace Context); empty for events of the producer."""
    segment: int = 0
    place: int = 0
    """Running number within the segment, from 1; 0: not numbered."""
    span: str = ""
    """16 hexadecimal digits; empty for events of the trace or the producer."""
    fields: dict[str, Any] = {}
    """What it says, by the names of `core.trace`: times are epoch microseconds, payloads are text."""


class Outline(msgspec.Struct, array_like=True, gc=False):
    """An event whose members are not read: what its fields hold cannot take memory yet."""

    number: msgspec.Raw
    kind: msgspec.Raw
    at: msgspec.Raw
    trace: msgspec.Raw = msgspec.Raw()
    segment: msgspec.Raw = msgspec.Raw()
    place: msgspec.Raw = msgspec.Raw()
    span: msgspec.Raw = msgspec.Raw()
    fields: msgspec.Raw = msgspec.Raw()


class WireError(ValueError):
    """An entry that cannot be read; the message says why."""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[TraceEvent])
_raw = msgspec.msgpack.Decoder(list[msgspec.Raw])
_one = msgspec.msgpack.Decoder(TraceEvent)
_outlines = msgspec.msgpack.Decoder(list[Outline])
_members = msgspec.msgpack.Decoder(dict[str, msgspec.Raw])
encode_event = _encoder.encode
"""An event as MessagePack."""


def pack(events: list[bytes]) -> bytes:
    """The body of an entry from events that are MessagePack already."""
    count = len(events)
    head = bytes((0x90 | count,)) if count < 16 else b"\xdc" + count.to_bytes(2, "big")
    return head + b"".join(events)


def body_of(events: list[bytes]) -> dict[str, bytes | int]:
    """The fields `b`, `n` and perhaps `z` of an entry."""
    body = pack(events)
    if len(body) > COMPRESS_BYTES * len(events):
        return {"b": zlib.compress(body, 1), "n": len(events), "z": 1}
    return {"b": body, "n": len(events)}


def unpack(body: bytes, compressed: bool) -> list[TraceEvent]:
    """The events of an entry. Raises WireError."""
    try:
        return _decoder.decode(bounded(inflated(body) if compressed else body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"not a list of events: {error}") from None


def unpack_raw(body: bytes, compressed: bool) -> list[bytes]:
    """The events of an entry one by one, still encoded: for an entry with one that cannot be read. Raises WireError
    where not even the list can be."""
    try:
        return [bytes(raw) for raw in _raw.decode(listed(inflated(body) if compressed else body))]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"not a list of events: {error}") from None


def unpack_one(raw: bytes) -> TraceEvent:
    """One event. Raises WireError."""
    try:
        bounded(b"\x91" + raw if len(raw) > STRUCTURE_BYTES else b"")
        return _one.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"not an event: {error}") from None


def bounded(body: bytes) -> bytes:
    """The body of an entry that takes about as much memory when it is decoded as it has bytes. Raises WireError for
    one that would take many times that, and msgspec's errors."""
    if len(body) <= STRUCTURE_BYTES:
        return body
    left = STRUCTURE_BYTES
    for outline in _outlines.decode(listed(body)):
        fields = memoryview(outline.fields)
        left -= structure_of(fields)
        if left < 0:
            raise WireError(f"more than {STRUCTURE_BYTES} bytes of lists and maps: send large values as text")
    return body


def structure_of(fields: memoryview) -> int:
    """About how many bytes of an event's fields are no texts and numbers."""
    if not fields or fields[0] not in MAPS:
        return len(fields)  # no event: its decoding says so
    values = [memoryview(raw) for raw in _members.decode(listed(fields)).values()]
    return FIELD_BYTES * len(values) + sum(len(value) for value in values if value[0] in CONTAINERS)


def listed(body: Any) -> Any:
    """The body, if it is a list or a map of no more members than anybody needs. Raises WireError."""
    if len(body) > STRUCTURE_BYTES and members_of(body) > MAX_LISTED:
        raise WireError(f"more than {MAX_LISTED} members of one list")
    return body


def members_of(body: Any) -> int:
    """How many members a list or map of MessagePack says to have; 0 for anything else."""
    first = body[0]
    if first in CONTAINERS:
        if first < 0xA0:
            return first & 0x0F
        return int.from_bytes(body[1 : 3 if first in (0xDC, 0xDE) else 5], "big")
    return 0


MAPS: Final = frozenset((*range(0x80, 0x90), 0xDE, 0xDF))
CONTAINERS: Final = MAPS | frozenset((*range(0x90, 0xA0), 0xDC, 0xDD))
"""First bytes of maps, and of maps and lists, in MessagePack."""


def inflated(body: bytes) -> bytes:
    """The body, decompressed. Raises WireError where it is no zlib stream or larger than MAX_ENTRY_BYTES."""
    machine = zlib.decompressobj()
    try:
        found = machine.decompress(body, MAX_ENTRY_BYTES)
    except zlib.error as error:
        raise WireError(f"cannot be decompressed: {error}") from None
    if machine.unconsumed_tail:
        raise WireError(f"more than {MAX_ENTRY_BYTES} bytes when decompressed")
    if not machine.eof:
        raise WireError("its compressed data ends early")
    return found
