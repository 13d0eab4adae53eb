"""What a writer learns of one producer: which of its events are stored, given up or dead letters."""

from __future__ import annotations

import contextlib
from typing import Any

from ai_assistant.core.trace import ProducerHead
from ai_assistant.core.trace_event import TraceEvent
from ai_assistant.traces.fold import Said
from ai_assistant.traces.ranges import MAX_NUMBER, Ranges, RangesError
from ai_assistant.traces.values import MAX_INT, StoreError


class ProducerWork:
    """A locked producer and its changes."""

    def __init__(self, head: ProducerHead):
        self.head = head
        self.stored = Ranges(head.stored)
        self._dropped = Ranges(head.dropped)
        self._dead = Ranges(head.dead)
        self._highest = head.highest
        self._last_at = head.last_at
        self._said: dict[str, Any] = {}
        self._user = head.user
        self._is_new = head.heard_at is None
        self.changed = False

    def belongs_to(self, user: str | None) -> bool:
        """Whether events in this user's name may be this producer's; `None` is trusted. Otherwise anybody could say
        that the events of another program were stored already."""
        return user is None or self._user == user or (self._is_new and self._user is None)

    def admit(self, user: str | None) -> None:
        """Lets events of this user in. Raises StoreError where the producer is another one's."""
        if not self.belongs_to(user):
            raise StoreError("producer: is another user's, or a program of the site; use an id of your own")
        if self._is_new and user is not None:
            self._user = self._said["user"] = user
        self._is_new = False

    def is_gone(self, before: int) -> bool:
        """Whether it has said goodbye, or was not heard since `before` (epoch microseconds)."""
        return bool(self.head.ended) or (self.head.heard_at or 0) < before

    def note_stored(self, event: TraceEvent) -> None:
        """Notes an event that is being stored. Raises RangesError."""
        self.changed = True
        if event.number:
            self.stored.add(event.number)
            self._dead.discard(event.number)
            self._highest = max(self._highest, event.number)
        self._last_at = max(self._last_at or 0, event.at)

    def note_dead(self, number: int) -> None:
        """Notes a dead letter; of a producer with too many gaps only that there was such a number, which then counts
        as missing."""
        if not number or number in self.stored:
            return
        self.changed = True
        self._highest = max(self._highest, number)
        with contextlib.suppress(RangesError):
            self._dead.add(number)

    def note_made(self, highest: int) -> None:
        """Notes the highest number that it says to have given."""
        if self._highest < highest <= MAX_NUMBER:
            self.changed = True
            self._highest = highest

    def take(self, said: Said) -> None:
        """Takes what it says of itself. Raises RangesError."""
        self.changed = True
        kind, values = said.event.kind, said.values
        if kind == "drop":
            for low, high in values["ranges"]:
                self._dropped.add_range(low, high)
                self._highest = max(self._highest, high)
        elif kind == "bye":
            self._said["ended"] = 1
            self._highest = max(self._highest, values["made"])
        else:
            self._said |= values

    def row(self, now: int) -> dict[str, Any]:
        """The columns to set."""
        came = Ranges(str(self.stored))
        came.update(self._dead)
        known = Ranges(str(came))
        known.update(self._dropped)
        return self._said | {
            "stored": str(self.stored),
            "dropped": str(self._dropped),
            "dead": str(self._dead),
            "highest": self._highest,
            "stored_count": min(self.stored.count(), MAX_INT),
            # Redis may have taken what its producer gave up, for it never heard so
            "dropped_count": min(known.count() - came.count(), MAX_INT),
            "dead_count": min(self._dead.count(), MAX_INT),
            "missing_count": min(known.missing(self._highest), MAX_INT),
            "last_at": self._last_at,
            "heard_at": now,
        }
