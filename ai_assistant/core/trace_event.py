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


class WireError(ValueError):
    """An entry that cannot be read; the message says why."""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[TraceEvent])
_raw = msgspec.msgpack.Decoder(list[msgspec.Raw])
_one = msgspec.msgpack.Decoder(TraceEvent)
encode_event = _encoder.encode
"""An event as MessagePack."""


def pack(events: list[bytes]) -> bytes:
    """The body of an entry from events that are MessagePack already."""
    count = len(events)
    if count < 16:
        head = bytes((0x90 | count,))
    else:
        head = b"\xdc" + count.to_bytes(2, "big")
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
        return _decoder.decode(inflated(body) if compressed else body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"not a list of events: {error}") from None


def unpack_raw(body: bytes, compressed: bool) -> list[bytes]:
    """The events of an entry one by one, still encoded: for an entry with one that cannot be read. Raises WireError
    where not even the list can be."""
    try:
        return [bytes(raw) for raw in _raw.decode(inflated(body) if compressed else body)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"not a list of events: {error}") from None


def unpack_one(raw: bytes) -> TraceEvent:
    """One event. Raises WireError."""
    try:
        return _one.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"not an event: {error}") from None


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
