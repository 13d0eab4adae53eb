"""Entries of the stream, taken apart: the events of each, and dead letters for what cannot be read."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from ai_assistant.core.trace_event import TraceEvent, WireError, encode_event, unpack, unpack_one, unpack_raw
from ai_assistant.traces.deadletters import whole
from ai_assistant.traces.intake import Entry
from ai_assistant.traces.ranges import MAX_NUMBER
from ai_assistant.traces.values import MAX_WORD

log = logging.getLogger("ai_assistant.traces")

PARTS: Final = 8
"""Into so many parts a batch is divided that cannot be stored: with two, a batch of a thousand events with a few bad
ones would be stored ten times over."""
ERROR_CHARS: Final = 2000
"""Characters of an error that a dead letter keeps."""


class Piece(msgspec.Struct):
    """Events of one entry."""

    producer: str
    user: str | None
    events: Sequence[TraceEvent]
    entry: bytes
    """Its id."""
    tries: int
    """How often they were dead letters before."""


class Opened(msgspec.Struct):
    """What entries hold."""

    pieces: list[Piece] = []
    letters: list[dict[str, Any]] = []
    """Dead letters of what could not be read."""
    unreadable: list[tuple[Piece, int]] = []
    """Numbers of events that could not be read, as far as they can be seen, each with the rest of its entry."""


def opened(entries: Sequence[Entry]) -> Opened:
    """Takes entries apart. Never raises: what cannot be read becomes a dead letter."""
    found = Opened()
    for entry in entries:
        if not entry.fields:
            log.error("entry %s was removed from the stream before it was stored", entry.id.decode())
            continue
        try:
            _open(entry, found)
        except WireError as error:
            found.letters.append(entry_letter(entry, error))
        except Exception as error:
            log.exception("entry %s cannot be read", entry.id.decode())
            found.letters.append(entry_letter(entry, error))
    return found


def _open(entry: Entry, found: Opened) -> None:
    fields = entry.fields
    producer, user = _word(fields, b"p"), _word(fields, b"u") if b"u" in fields else None
    body, compressed = fields.get(b"b", b""), fields.get(b"z") == b"1"
    piece = Piece(producer, user, [], entry.id, whole(fields.get(b"t")))
    try:
        piece.events = unpack(body, compressed)
    except WireError:
        piece.events = _one_by_one(piece, unpack_raw(body, compressed), found)
    found.pieces.append(piece)


def _word(fields: dict[bytes, bytes], name: bytes) -> str:
    """A field that names something. Raises WireError."""
    value = fields.get(name, b"")
    try:
        text = value.decode()
    except UnicodeDecodeError:
        raise WireError(f"{name.decode()}: is no UTF-8") from None
    if not 1 <= len(text) <= MAX_WORD or not text.isprintable():
        raise WireError(f"{name.decode()}: must have 1 to {MAX_WORD} printable characters")
    return text


def _one_by_one(piece: Piece, bodies: Sequence[bytes], found: Opened) -> list[TraceEvent]:
    """The events of an entry that can be read; the others become dead letters each."""
    events = []
    for body in bodies:
        try:
            events.append(unpack_one(body))
        except WireError as error:
            found.letters.append(_letter(piece, body, error))
            if number := number_in(body):
                found.unreadable.append((piece, number))
    return events


def number_in(body: bytes) -> int:
    """The number of an event that cannot be read otherwise; 0 where even that cannot."""
    try:
        said = msgspec.msgpack.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return 0
    first = said[0] if isinstance(said, list) and said else 0
    return first if isinstance(first, int) and not isinstance(first, bool) and 0 < first <= MAX_NUMBER else 0


def event_letter(piece: Piece, event: TraceEvent, error: object) -> dict[str, Any]:
    """The dead letter of one event."""
    return _letter(piece, encode_event(event), error)


def _letter(piece: Piece, body: bytes, error: object) -> dict[str, Any]:
    owner = {} if piece.user is None else {"u": piece.user}
    return {"p": piece.producer, "b": body, **owner, **_circumstances(piece.entry, piece.tries, error)}


def entry_letter(entry: Entry, error: object) -> dict[str, Any]:
    """The dead letter of a whole entry, as it came: `raw` says so."""
    kept = {name: entry.fields[name.encode()] for name in ("p", "b", "n", "z", "u") if name.encode() in entry.fields}
    return {**kept, "raw": 1, **_circumstances(entry.id, whole(entry.fields.get(b"t")), error)}


def _circumstances(entry: bytes, tries: int, error: object) -> dict[str, Any]:
    return {"error": words(error), "at": int(time.time() * 1000), "entry": entry, "tries": tries + 1}


def words(error: object) -> str:
    """What an error says, in one line: of a database's error what the driver says, for SQLAlchemy adds the values,
    which are somebody's prompts."""
    error = getattr(error, "orig", None) or error
    name = "" if isinstance(error, str) else type(error).__name__
    text = " ".join(str(error).split())
    return (f"{name}: {text}" if name and text else name or text)[:ERROR_CHARS]


def portions(pieces: Sequence[Piece], limit: int) -> list[list[Piece]]:
    """The pieces in portions of `limit` events, in their order; a piece is cut where it must be."""
    found: list[list[Piece]] = []
    room = 0
    for piece in pieces:
        start = 0
        while start < len(piece.events):
            if not room:
                found.append([])
                room = limit
            part = cut(piece, start, start + room)
            found[-1].append(part)
            room -= len(part.events)
            start += len(part.events)
    return found


def parts(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """The pieces in PARTS parts with about as many events each, or as many as there are events."""
    return portions(pieces, -(-sum(len(piece.events) for piece in pieces) // PARTS))


def cut(piece: Piece, start: int, end: int) -> Piece:
    """Some of a piece's events."""
    return msgspec.structs.replace(piece, events=piece.events[start:end])
