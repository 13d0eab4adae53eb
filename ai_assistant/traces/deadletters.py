"""Dead letters: events that could not be stored, kept in a stream of their own with the reason. Listed, tried again,
deleted.

Synchronous, for a command and for endpoints; the consumer writes them (`consumer_batch`). All calls raise redis-py's
errors.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
import redis

from ai_assistant.core.trace_event import WireError, pack, unpack, unpack_one
from ai_assistant.core.trace_keys import ObservabilityKeys

PAGE: Final = 200
"""Letters that one call to Redis reads."""
SHOWN_CHARS: Final = 500
"""Characters of an error that a list shows."""

MOVE: Final = """
if redis.call('XDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('XADD', KEYS[2], '*', unpack(ARGV, 2))
redis.call('HINCRBY', KEYS[3], 'retried', 1)
return 1
"""
"""KEYS dead events counts, ARGV the letter's id, the entry that it becomes. Gives 0 where somebody else was quicker."""


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter as a list shows it, without what the event said."""

    id: str
    """Its id in Redis: give it to `retry` and `delete`."""
    at: int
    """When it was given up: epoch milliseconds."""
    producer: str
    kind: str
    """Of the event; `entry` for a whole entry that could not be read."""
    number: int
    trace: str
    span: str
    user: str
    """In whose name it came over HTTP."""
    error: str
    tries: int
    bytes: int
    events: int = 1
    """How many a whole entry says to have."""


class DeadLetters:
    """Those of one site."""

    def __init__(self, client: redis.Redis, site: str):
        self._client = client
        self._keys = ObservabilityKeys(site)

    def count(self) -> int:
        """How many there are."""
        return int(self._client.xlen(self._keys.dead))  # type: ignore[arg-type]

    def list(self, limit: int = 100, before: str | None = None, *, ids: Sequence[str] | None = None) -> list[Letter]:
        """The newest ones, newest first, or those; `before` is the id of the last one of the page before."""
        if ids is not None:
            return [letter_of(id_, fields) for id_, fields in self._chosen(ids, None)][:limit]
        rows: Any = self._client.xrevrange(self._keys.dead, max=f"({before}" if before else "+", count=limit)
        return [letter_of(id_, fields) for id_, fields in rows]

    def retry(self, ids: Sequence[str] | None = None, *, limit: int | None = None) -> int:
        """Puts letters back on the stream, and gives how many: those, or the oldest `limit`, or all.

        Each is moved in one step, so that none is lost or doubled. One that fails again becomes a new letter.
        """
        moved = 0
        for id_, fields in self._chosen(ids, limit):
            entry = [item for pair in entry_fields(fields).items() for item in pair]
            moved += self._client.eval(  # type: ignore[operator, misc]
                MOVE, 3, self._keys.dead, self._keys.events, self._keys.counts, id_, *entry
            )
        return moved

    def delete(self, ids: Sequence[str] | None = None, *, limit: int | None = None) -> int:
        """Removes letters for good, and gives how many: those, or the oldest `limit`, or all."""
        return sum(
            int(self._client.xdel(self._keys.dead, *page))  # type: ignore[arg-type]
            for page in pages([id_ for id_, _ in self._chosen(ids, limit)])
        )

    def _chosen(self, ids: Sequence[str] | None, limit: int | None) -> Iterable[tuple[bytes, dict[bytes, bytes]]]:
        """Letters with their fields, oldest first. What comes while this goes on is not among them."""
        if ids is not None:
            for id_ in ids:
                yield from self._client.xrange(self._keys.dead, id_, id_)  # type: ignore[misc]
            return
        newest: Any = self._client.xrevrange(self._keys.dead, count=1)
        after, left = "-", limit
        while newest and left != 0:
            rows: Any = self._client.xrange(
                self._keys.dead, after, newest[0][0], count=PAGE if left is None else min(PAGE, left)
            )
            if not rows:
                return
            yield from rows
            after = f"({rows[-1][0].decode()}"
            left = None if left is None else left - len(rows)


def pages(ids: Sequence[bytes]) -> Iterable[Sequence[bytes]]:
    """The ids in pieces."""
    return (ids[start : start + PAGE] for start in range(0, len(ids), PAGE))


def letter_of(id_: bytes, fields: dict[bytes, bytes]) -> Letter:
    """A letter as a list shows it."""
    said = {name.decode(errors="replace"): value for name, value in fields.items()}
    body = said.get("b", b"")
    found = {
        "id": id_.decode(),
        "at": whole(said.get("at")) or int(id_.partition(b"-")[0]),
        "producer": text(said.get("p")),
        "user": text(said.get("u")),
        "error": text(said.get("error"))[:SHOWN_CHARS],
        "tries": whole(said.get("tries")),
        "bytes": len(body),
        "events": max(1, whole(said.get("n"))),
    }
    if said.get("raw") == b"1":
        return Letter(**found, kind="entry", number=0, trace="", span="")
    try:
        event = unpack_one(body)
    except WireError:
        return Letter(**found, kind="unreadable", number=0, trace="", span="")
    return Letter(**found, kind=event.kind, number=event.number, trace=event.trace, span=event.span)


def entry_fields(fields: dict[bytes, bytes]) -> dict[bytes, Any]:
    """The entry of the stream that a letter becomes when it is tried again. `t` says how often it was."""
    kept = {name: fields[name] for name in (b"p", b"u") if name in fields}
    tried = {b"t": whole(fields.get(b"tries"))}
    if fields.get(b"raw") == b"1":
        whole_entry = {name: fields[name] for name in (b"b", b"n", b"z") if name in fields}
        return {**kept, **whole_entry, **tried}
    return {**kept, b"b": pack([fields.get(b"b", b"")]), b"n": 1, **tried}


def whole(value: bytes | None) -> int:
    """A number as Redis keeps it; 0 for what is none."""
    return int(value) if value and len(value) < 19 and value.isdigit() else 0


def text(value: bytes | None) -> str:
    """A text of an event, whatever bytes it has."""
    return (value or b"").decode(errors="replace")


def body_of_letter(fields: dict[bytes, bytes]) -> Any:
    """What the event said, for somebody who looks at one letter. Raises WireError where it cannot be read."""
    if fields.get(b"raw") == b"1":
        return msgspec.to_builtins(unpack(fields.get(b"b", b""), fields.get(b"z") == b"1"))
    return msgspec.to_builtins(unpack_one(fields.get(b"b", b"")))
