"""What a writer learns of one trace: its own fields, its observations, and which of its events are there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ai_assistant.core.trace import StoredVersion, Totals, TraceHead
from ai_assistant.core.trace_ports import TraceStore
from ai_assistant.traces.derive import observation_row, root_payload, trace_row
from ai_assistant.traces.fold import Said, stamp_of, take_observation
from ai_assistant.traces.places import Places
from ai_assistant.traces.rows import OBSERVATION_LETTERS, TRACE_LETTERS, Change, read_stamps
from ai_assistant.traces.totals import TOTAL_COLUMNS, totals_of
from ai_assistant.traces.values import StoreError

LARGE = 2_000
"""Observations beyond which a trace that still runs is not counted again with each batch."""


def owner_part(producer: str) -> str:
    """What the names of all of a user's producers begin with (`core.trace_upload.producer_of`)."""
    return producer.partition(":")[0]


class TraceWork:
    """A locked trace and its changes."""

    def __init__(self, name: str, head: TraceHead):
        self.name = name
        self.head = head
        self._places = Places(head.places)
        self._trace = Change()
        self._observations: dict[str, Change] = {}
        self._rows: list[dict[str, Any]] = []
        self._first_at: int | None = None
        self.is_new = not head.places and not head.observations and not head.versions
        self._user = head.user
        self._is_free = self.is_new
        self.changed = False
        self._guarded: dict[str, str] = {}

    @property
    def has_stored(self) -> bool:
        """Whether observations of it may be stored already."""
        return self.head.observations > 0

    def guard(self, span: str, producer: str) -> None:
        """Notes whose a stored observation is, before users' own programs say anything of it."""
        self._guarded[span] = producer

    def _admit_to(self, span: str, producer: str) -> None:
        """Raises StoreError where an event that came over HTTP is of another one's observation: a trace is evidence,
        and whoever a site's program traced may add to it, and change nothing."""
        known = self._guarded.get(span)
        if known and owner_part(known) != owner_part(producer):
            raise StoreError("span: is another program's observation; use an id of your own")

    def belongs_to(self, user: str | None) -> bool:
        """Whether events in this user's name may be of this trace; `None` is trusted."""
        return user is None or self._is_free or self._user == user

    def admit(self, user: str | None) -> None:
        """Lets events of this user in: `None` is trusted. Raises StoreError for another one's trace."""
        if user is None:
            return
        if not self.belongs_to(user):
            raise StoreError("trace: belongs to somebody else, or to a program of the site; use an id of your own")
        if self._is_free:
            self._user, self._is_free = user, False
            self._trace.take({"user": user}, 0)

    def is_empty(self) -> bool:
        """Whether it was made by the lock, and nothing was stored in it then: it must not stay."""
        return self.is_new and not self.changed

    def change_of(self, span: str) -> Change:
        """The change of an observation."""
        self.changed = True
        if span not in self._observations:
            self._observations[span] = Change()
        return self._observations[span]

    def take(self, producer: str, said: Said, user: str | None) -> bool:
        """Merges an event; False where it is there already. `user`: in whose name it came. Raises RangesError."""
        event, values = said.event, said.values
        if user is not None:
            self._admit_to(event.span, producer)
            if values.get("parent") == "" and self._is_of_program():
                raise StoreError("parent: must name an observation, for a program of the site has begun the trace")
        if event.place and not self._places.add(producer, event.segment, event.place):
            return False
        self.changed, self._is_free = True, False
        self._seen(min(event.at, values.get("started_at", event.at)))
        stamp = stamp_of(producer, event)
        if event.kind == "trace":
            self._take_trace(values, stamp, user, is_numbered=event.place > 0)
        else:
            take_observation(self.change_of(event.span), producer, said, stamp)
            if "segment_events" in values:
                self._places.expect(producer, event.segment, values["segment_events"])
        return True

    def _take_trace(self, values: dict[str, Any], stamp: int, user: str | None, *, is_numbered: bool) -> None:
        """Merges fields of the trace; whose it is only a trusted program says, and what came over another protocol
        only where nobody else has said it."""
        if user is not None:
            values = {name: value for name, value in values.items() if name != "user"}
            if self._is_of_program():
                stamp = 0  # what a program of the site has said of its trace stays
        elif not is_numbered and "user" in values:
            self._user = self._user or values["user"]
            self._trace.take({"user": values["user"]}, 0)
            values = {name: value for name, value in values.items() if name != "user"}
        else:
            self._user = values.get("user", self._user)
        if "acknowledged_seq" in values:  # receipts come in any order, and the highest counts
            self._trace.take({"acknowledged_seq": values["acknowledged_seq"]}, values["acknowledged_seq"])
            values = {name: value for name, value in values.items() if name != "acknowledged_seq"}
        self._trace.take(values, stamp)

    def _is_of_program(self) -> bool:
        """Whether a program of the site has said whose trace it is; for users' own programs the server does, with the
        lowest stamp."""
        stored = read_stamps(self.head.versions, TRACE_LETTERS).get("user", 0)
        return max(stored, self._trace.stamps.get("user", 0)) > 0

    def expect(self, producer: str, segment: int, highest: int, at: int) -> None:
        """Notes that a producer has given up events of it."""
        self.changed, self._is_free = True, False
        self._seen(at)
        self._places.expect(producer, segment, highest)

    def _seen(self, at: int) -> None:
        if self._first_at is None or at < self._first_at:
            self._first_at = at

    def stored_names(self) -> list[str]:
        """Names of the changed observations that may be stored already."""
        return [self.name + span for span in self._observations] if self.head.observations else []

    def rows(self, versions: Mapping[str, StoredVersion]) -> Iterator[dict[str, Any]]:
        """The rows of the changed observations, merged with what is stored."""
        user = self._trace.values.get("user") or self.head.user
        for span, change in self._observations.items():
            stored = versions.get(self.name + span)
            if stored:
                change.merge(stored.versions, OBSERVATION_LETTERS)
            row = observation_row(self.name, span, change, stored)
            if user and stored is None:
                row["user"] = user
            self._rows.append(row)
            yield row

    def must_be_read(self) -> bool:
        """Whether the totals must come from the store; those of a new trace are in its changes, and those of a large
        one that runs on wait for its end."""
        head = self.head
        return head.observations > 0 and (head.observations <= LARGE or self._may_have_ended())

    def _may_have_ended(self) -> bool:
        root = self._observations.get(self.head.root or "")
        is_open = self.head.status == "running" and self.head.root is not None
        return not is_open or "status" in self._trace.values or (root is not None and "status" in root.values)

    def row(self, read: Totals | None, store: TraceStore) -> dict[str, Any]:
        """The columns of the trace to set."""
        totals = read
        if totals is None and not self.head.observations:
            totals = totals_of([row.get(column) for column in TOTAL_COLUMNS] for row in self._rows)
        self._trace.merge(self.head.versions, TRACE_LETTERS)
        first = self._first_at if self._first_at is not None else self.head.started_at
        row = trace_row(self._trace, self.head, self._places, totals, first or 0)
        if totals is not None and totals.root is not None:
            row |= self._root_payloads(totals.root, store)
        return row

    def _root_payloads(self, root: str, store: TraceStore) -> dict[str, Any]:
        """Input and output of the root, where the trace has not said its own, and they are new."""
        found: dict[str, Any] = {}
        change = self._observations.get(root)
        for column in ("input", "output"):
            if column in self._trace.stamps:
                continue
            if change is not None and column in change.values:
                found[column] = root_payload(change.values[column])
            elif root != self.head.root and self.head.observations:
                found[column] = root_payload(store.payload(self.name, root, column))
        return found
