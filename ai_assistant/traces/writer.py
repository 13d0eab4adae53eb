"""Stores batches of events: idempotent, in any order, by several writers at once. Pure of any host.

A writer locks the producers, leaves out what is there already, locks the traces, and merges. Both locks are held until
the caller commits, so that what was read is still true then, and two writers take turns where they meet.

Errors: `ServiceUnavailableError` says that the database is away or busy, and that the same may be tried again. Anything
else means that the store cannot take some event: the caller rolls back and tries them one by one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ai_assistant.core.trace_event import PRODUCER_KINDS, TraceEvent
from ai_assistant.core.trace_ports import TraceStore
from ai_assistant.traces.fold import Said, checked, is_placed
from ai_assistant.traces.producers import ProducerWork
from ai_assistant.traces.ranges import RangesError
from ai_assistant.traces.rows import LOST, LOST_STAMP
from ai_assistant.traces.trace_work import TraceWork
from ai_assistant.traces.values import MAX_WORD, StoreError, now_us

SILENT_S = 60
"""How long nothing of a producer must have been stored before its observations are given up."""
TRACE_CHARS = 32
"""Of a trace's id, with which the name of an observation begins."""
LOST_MESSAGE = "Its program ended, or was cut off, before it said how this ended."


class Batch(NamedTuple):
    """Events of one producer, as they came."""

    producer: str
    user: str | None
    """In whose name they came over HTTP; `None`: from a program that is trusted."""
    events: Sequence[TraceEvent]


class Rejected(NamedTuple):
    """An event that can never be stored."""

    producer: str
    user: str | None
    event: TraceEvent
    error: str


@dataclass
class Applied:
    """What became of the events of a call."""

    stored: int = 0
    duplicates: int = 0
    rejected: list[Rejected] = field(default_factory=list)
    unknown_fields: int = 0
    """Fields of stored events that nobody here knows."""


def apply(store: TraceStore, batches: Sequence[Batch], *, now: int | None = None) -> Applied:
    """Stores these events, in the store's open transaction; `now` in epoch microseconds."""
    return Writer(store, now_us() if now is None else now).apply(batches)


def note_dead(
    store: TraceStore,
    producer: str,
    numbers: Iterable[int],
    events: Iterable[TraceEvent] = (),
    *,
    user: str | None = None,
    now: int | None = None,
) -> None:
    """Notes that these events of a producer became dead letters: they are known to be lost. `events`: those of them
    that can be read; their traces miss them. `user`: in whose name they came; nothing is noted where the producer or
    the trace is another one's."""
    writer = Writer(store, now_us() if now is None else now)
    work = writer.lock_producers([producer])[producer]
    if work.belongs_to(user):
        work.admit(user)
        for number in numbers:
            work.note_dead(number)
        writer.note_missing(producer, events, user)
    writer.put()


def note_made(store: TraceStore, made: Mapping[str, int], *, now: int | None = None) -> None:
    """Notes the highest number that each producer has given, by its last heartbeat: of one that has died, what lies
    beyond the stored ones is lost."""
    writer = Writer(store, now_us() if now is None else now)
    for producer, work in writer.lock_producers(sorted(made)).items():
        work.note_made(made[producer])
    writer.put_producers()


def close_lost(
    store: TraceStore,
    alive: Collection[str],
    *,
    now: int | None = None,
    silent_s: float = SILENT_S,
    limit: int = 1000,
) -> int:
    """Ends, as interrupted, observations that nobody will end: their producer is not among `alive`, and has said
    goodbye or was not heard for `silent_s` seconds. Gives how many; where there are `limit`, call again. Should an end
    arrive after all, it wins."""
    return Writer(store, now_us() if now is None else now).close_lost(alive, silent_s, limit)


class Writer:
    """One call's work."""

    def __init__(self, store: TraceStore, now: int):
        self._store = store
        self._now = now
        self._result = Applied()
        self._producers: dict[str, ProducerWork] = {}
        self._traces: dict[str, TraceWork] = {}

    def apply(self, batches: Sequence[Batch]) -> Applied:
        """See the function of this name."""
        entries = [(batch, said) for batch in batches for said in self._checked(batch)]
        self.lock_producers({batch.producer for batch, _ in entries})
        fresh = [(batch, said) for batch, said in entries if not self._is_known(batch.producer, said)]
        self._lock_traces(fresh)
        self._guard(fresh)
        for batch, said in fresh:
            self._take(batch, said)
        self.put()
        return self._result

    def close_lost(self, alive: Collection[str], silent_s: float, limit: int) -> int:
        """See the function of this name."""
        found = self._store.running(limit, besides=alive)
        producers = self.lock_producers({row["producer"] for row in found if row["producer"]})
        before = self._now - int(silent_s * 1_000_000)
        gone = {name for name, work in producers.items() if work.is_gone(before)}
        rows = [row for row in found if row["producer"] in gone]
        self._open({row["trace"] for row in rows})
        rows = [row for row in rows if not self._traces[row["trace"]].is_new]  # it was deleted just now
        for row in rows:
            ended = max(row["started_at"] or 0, producers[row["producer"]].head.last_at or 0) or self._now
            said = {"status": "interrupted", "ended_at": ended, "error_type": LOST, "error_message": LOST_MESSAGE}
            self._traces[row["trace"]].change_of(row["span"]).take(said, LOST_STAMP)
        self.put()
        return len(rows)

    def note_missing(self, producer: str, events: Iterable[TraceEvent], user: str | None) -> None:
        """Notes on the traces of these events that they are missing there."""
        placed = [event for event in events if is_placed(event)]
        self._open({event.trace for event in placed})
        for event in placed:
            work = self._traces[event.trace]
            if work.belongs_to(user):
                work.admit(user)
                with contextlib.suppress(RangesError):  # it has too many segments already, and says that it misses some
                    work.expect(producer, event.segment, event.place, event.at)

    def lock_producers(self, names: Collection[str]) -> dict[str, ProducerWork]:
        """Locks these producers."""
        if names:
            _, heads = self._store.lock([], sorted(names))
            self._producers |= {name: ProducerWork(head) for name, head in heads.items()}
        return self._producers

    def put_producers(self) -> None:
        """Writes what has changed of the locked producers."""
        rows = {name: work.row(self._now) for name, work in self._producers.items() if work.changed}
        if rows:
            self._store.put_producers(rows)

    def _checked(self, batch: Batch) -> list[Said]:
        """The events that could be stored; the others are rejected."""
        found = []
        for event in batch.events:
            try:
                if not 0 < len(batch.producer) <= MAX_WORD:
                    raise StoreError(f"producer: must have 1 to {MAX_WORD} characters")
                found.append(checked(event))
            except StoreError as error:
                self._reject(batch, event, error)
        return found

    def _reject(self, batch: Batch, event: TraceEvent, error: Exception) -> None:
        self._result.rejected.append(Rejected(batch.producer, batch.user, event, str(error)))

    def _is_known(self, producer: str, said: Said) -> bool:
        """Whether an event with this number is stored already: then the trace, which may have been deleted since, is
        not touched again."""
        known = said.event.number > 0 and said.event.number in self._producers[producer].stored
        self._result.duplicates += known
        return known

    def _lock_traces(self, entries: Sequence[tuple[Batch, Said]]) -> None:
        names: set[str] = set()
        for batch, said in entries:
            if not self._producers[batch.producer].belongs_to(batch.user):
                continue
            if said.event.kind == "drop":
                names.update(trace for trace, _, _ in said.values["traces"])
            elif said.event.kind not in PRODUCER_KINDS:
                names.add(said.event.trace)
        self._open(names)

    def _guard(self, entries: Sequence[tuple[Batch, Said]]) -> None:
        """Finds out whose the observations are that users' own programs say something of."""
        names = {
            said.event.trace + said.event.span
            for batch, said in entries
            if batch.user is not None and said.event.trace in self._traces and self._traces[said.event.trace].has_stored
        }
        if names:
            for name, stored in self._store.versions(sorted(names)).items():
                self._traces[name[:TRACE_CHARS]].guard(name[TRACE_CHARS:], stored.producer)

    def _open(self, names: Collection[str]) -> None:
        """Locks these traces."""
        if names:
            heads, _ = self._store.lock(sorted(names), [])
            self._traces = {name: TraceWork(name, head) for name, head in heads.items()}

    def _take(self, batch: Batch, said: Said) -> None:
        """Merges one event, unless it is there already, or may not be stored."""
        event, producer = said.event, self._producers[batch.producer]
        try:
            producer.admit(batch.user)
            if event.number and event.number in producer.stored:
                self._result.duplicates += 1
                return
            if not self._merge(batch, said, producer):
                self._result.duplicates += 1
                return
            producer.note_stored(event)
        except (StoreError, RangesError) as error:
            self._reject(batch, event, error)
            return
        self._result.stored += 1
        self._result.unknown_fields += said.unknown

    def _merge(self, batch: Batch, said: Said, producer: ProducerWork) -> bool:
        """Whether the event was new."""
        event = said.event
        if event.kind not in PRODUCER_KINDS:
            work = self._traces[event.trace]
            work.admit(batch.user)
            return work.take(batch.producer, said, batch.user)
        if event.kind == "drop":
            traces = [(self._traces[trace], segment, place) for trace, segment, place in said.values["traces"]]
            for work, _, _ in traces:
                work.admit(batch.user)
            for work, segment, place in traces:
                work.expect(batch.producer, segment, place, event.at)
        producer.take(said)
        return True

    def put(self) -> None:
        """Writes all changes: observations first, since the traces' totals come from them."""
        works = {name: work for name, work in self._traces.items() if work.changed}
        names = [name for work in works.values() for name in work.stored_names()]
        versions = self._store.versions(names) if names else {}
        rows = [row for work in works.values() for row in work.rows(versions)]
        if rows:
            self._store.put_observations(rows)
        counted = [name for name, work in works.items() if work.must_be_read()]
        totals = self._store.totals(counted) if counted else {}
        if works:
            self._store.put_traces({name: w.row(totals.get(name), self._store) for name, w in works.items()})
        untouched = [name for name, work in self._traces.items() if work.is_empty()]
        if untouched:
            self._store.delete(untouched)
        self.put_producers()
