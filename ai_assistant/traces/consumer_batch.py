"""Stores a batch of entries: all at once where that works, else in parts, until what cannot be stored stands alone.

Everything that decodes or touches the store runs in the thread of the site.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, TypeVar

import msgspec

from ai_assistant.core.errors import DoesNotExistError, ServiceUnavailableError
from ai_assistant.core.ports import SiteAccess
from ai_assistant.core.trace_event import TraceEvent
from ai_assistant.traces import writer
from ai_assistant.traces.consumer_entry import Opened, Piece, event_letter, opened, parts, portions, words
from ai_assistant.traces.intake import Entry

log = logging.getLogger("ai_assistant.traces")

Result = TypeVar("Result")
PROBE: Final = TraceEvent(
    number=1,
    kind="whole",
    at=1_767_225_600_000_000,
    trace="0" * 31 + "1",
    segment=1,
    place=1,
    span="0" * 15 + "1",
    fields={"title": "probe", "input": "probe"},
)
"""A sound event: where not even this one can be stored, it is not the fault of the others."""
PROBE_PRODUCER: Final = "probe"


class Units(Protocol):
    """Opens units of work on sites (`worker.site_thread`)."""

    async def run(self, site: str, work: Callable[[SiteAccess], Result]) -> Result:
        """The result of `work`, committed. Raises what it raises, rolled back."""
        ...

    def close(self) -> None:
        """Ends after the current units."""
        ...


class Undo(Exception):
    """Rolls a unit of work back that went well."""


class Outcome(msgspec.Struct):
    """What became of a batch."""

    letters: list[dict[str, Any]] = []
    """Dead letters, as fields of their stream."""
    stored: int = 0
    duplicates: int = 0
    dropped: int = 0
    failures: int = 0
    ended: list[str] = []
    """Names of observations that have ended, dead letters among them."""

    def counts(self, took_us: int) -> dict[str, int]:
        """What it adds to the totals (`health.COUNTS`), but the dead letters."""
        return {
            "stored": self.stored,
            "duplicates": self.duplicates,
            "dropped": self.dropped,
            "failures": self.failures,
            "batches": 1,
            "store_us": took_us,
        }


class BatchStore:
    """Stores the entries of one read. To be used once."""

    def __init__(self, units: Units, site: str, batch_events: int, *, is_patient: bool = True):
        """`batch_events`: about how many events one transaction takes. `is_patient`: whether an error of a database
        that is away is believed; else it is looked whether an event is behind it."""
        self._units = units
        self._is_patient = is_patient
        self._site = site
        self._limit = batch_events
        self._outcome = Outcome()
        self._opened: Opened | None = None
        self._portions: list[list[Piece]] = []

    async def store(self, entries: Sequence[Entry]) -> Outcome:
        """What became of them: each event is stored, or a dead letter that is to be kept.

        Raises ServiceUnavailableError where the database is away, DoesNotExistError where the site is gone: then all
        are to be tried again, and what has been stored already will be skipped.
        """
        await self._tried(functools.partial(self._first, entries), lambda: self._portions[0])
        for portion in self._portions[1:]:
            await self._store(portion)
        await self._note_unreadable()
        return self._outcome

    def _first(self, entries: Sequence[Entry], access: SiteAccess) -> writer.Applied:
        """Takes the entries apart, and stores the first portion in the same unit of work."""
        if self._opened is None:
            self._opened = opened(entries)
            self._portions = portions(self._opened.pieces, self._limit) or [[]]
            self._outcome.letters += self._opened.letters
        return applied(self._portions[0], access)

    async def _note_unreadable(self) -> None:
        if self._opened and self._opened.unreadable:
            await self._units.run(self._site, functools.partial(note_unreadable, self._opened.unreadable))

    async def _store(self, pieces: list[Piece]) -> None:
        await self._tried(functools.partial(applied, pieces), lambda: pieces)

    async def _tried(self, work: Callable[[SiteAccess], writer.Applied], pieces: Callable[[], list[Piece]]) -> None:
        """Does the work of storing these pieces; divides them where that fails."""
        try:
            self._count(await self._units.run(self._site, work), pieces())
        except Exception as error:  # noqa: BLE001  # whatever a host's database raises
            self._pass_on(error)
            await self._in_parts(pieces() if self._opened else [], error)

    def _pass_on(self, error: Exception) -> None:
        """Raises what is no fault of the events."""
        if isinstance(error, DoesNotExistError) or (isinstance(error, ServiceUnavailableError) and self._is_patient):
            raise error

    async def _in_parts(self, pieces: list[Piece], error: Exception) -> None:
        """What to do with events that could not be stored together."""
        count = sum(len(piece.events) for piece in pieces)
        if count < 2 or not self._outcome.failures:
            await self._probe(error)
        self._outcome.failures += 1
        if count > 1:
            for part in parts(pieces):
                await self._store(part)
        elif pieces and pieces[0].events:
            await self._once_more(pieces[0])
        else:
            raise ServiceUnavailableError(f"site: {self._site} cannot be written: {words(error)}") from error

    async def _probe(self, error: Exception) -> None:
        """Raises ServiceUnavailableError where a sound event cannot be stored either: the disk is full, a table is
        missing. Nothing of that event stays."""
        try:
            await self._units.run(self._site, probe)
        except Undo:
            return
        except (ServiceUnavailableError, DoesNotExistError):
            raise
        except Exception as again:
            raise ServiceUnavailableError(f"site: {self._site} cannot be written: {words(error)}") from again

    async def _once_more(self, piece: Piece) -> None:
        """Stores one event, or makes it a dead letter."""
        try:
            self._count(await self._units.run(self._site, functools.partial(applied, [piece])), [piece])
        except Exception as error:  # noqa: BLE001  # whatever a host's database raises
            self._pass_on(error)
            event = piece.events[0]
            await self._note_dead(piece, event)
            self._outcome.letters.append(event_letter(piece, event, error))

    async def _note_dead(self, piece: Piece, event: TraceEvent) -> None:
        """Where its trace cannot be written either, the dead letter tells of it alone."""
        try:
            await self._units.run(self._site, functools.partial(note_dead, piece, [event.number], [event]))
        except Exception as error:  # noqa: BLE001  # whatever a host's database raises
            self._pass_on(error)
            log.error("that event %d of %s is dead cannot be noted: %s", event.number, piece.producer, words(error))

    def _count(self, result: writer.Applied, pieces: Sequence[Piece]) -> None:
        outcome = self._outcome
        outcome.stored += result.stored
        outcome.duplicates += result.duplicates
        if not result.duplicates:
            outcome.dropped += sum(dropped_in(event) for piece in pieces for event in piece.events)
        outcome.ended += ended_in(pieces)
        by_event = {id(event): piece for piece in pieces for event in piece.events}
        for each in result.rejected:
            outcome.letters.append(event_letter(by_event[id(each.event)], each.event, each.error))


def ended_in(pieces: Sequence[Piece]) -> list[str]:
    """Names of the observations that these events end."""
    return [event.trace + event.span for piece in pieces for event in piece.events if event.kind in ("end", "whole")]


def applied(pieces: Sequence[Piece], access: SiteAccess) -> writer.Applied:
    """Stores pieces in the open unit of work; events that never can be are noted as dead."""
    store = access.traces
    batches = [writer.Batch(piece.producer, piece.user, piece.events) for piece in pieces if piece.events]
    result = writer.apply(store, batches)
    dead: dict[tuple[str, str | None], list[TraceEvent]] = {}
    for each in result.rejected:
        dead.setdefault((each.producer, each.user), []).append(each.event)
    for (producer, user), events in dead.items():
        writer.note_dead(store, producer, [event.number for event in events], events, user=user)
    return result


def note_dead(piece: Piece, numbers: Sequence[int], events: Sequence[TraceEvent], access: SiteAccess) -> None:
    """Notes events of an entry as dead letters."""
    writer.note_dead(access.traces, piece.producer, numbers, events, user=piece.user)


def note_unreadable(found: Sequence[tuple[Piece, int]], access: SiteAccess) -> None:
    """Notes events that could not even be read as dead letters."""
    for piece, number in found:
        note_dead(piece, [number], (), access)


def probe(access: SiteAccess) -> None:
    """Stores the sound event. Raises Undo when that went well, so that it is taken back."""
    writer.apply(access.traces, [writer.Batch(PROBE_PRODUCER, None, [PROBE])])
    raise Undo


def dropped_in(event: TraceEvent) -> int:
    """How many events a `drop` says were given up."""
    count = event.fields.get("count") if event.kind == "drop" else 0
    return count if isinstance(count, int) and 0 < count < 2**31 else 0
