"""What traces need of a host: a store, in a unit of work of the site. Synchronous, as `core.ports` are.

The writing half is a few plain steps; what they mean, merging, counting, completeness, is common to all hosts and lies
in `traces.writer`. Rows are dicts by the columns of AI Trace and AI Observation; times are epoch microseconds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

from ai_assistant.core.session import User
from ai_assistant.core.trace import Page, ProducerHead, StoredVersion, Totals, TraceFilter, TraceHead
from ai_assistant.core.trace_statistics import TraceStatistics


class TraceWrites(Protocol):
    """Used only by a consumer, inside one transaction that it commits."""

    def lock(
        self, traces: Sequence[str], producers: Sequence[str]
    ) -> tuple[dict[str, TraceHead], dict[str, ProducerHead]]:
        """The heads of these traces and producers, made where they are missing, and locked until the end of the
        transaction. Locks producers first, then traces, both in the order of their names, so that two consumers
        cannot deadlock."""
        ...

    def versions(self, names: Sequence[str]) -> dict[str, StoredVersion]:
        """What is known of these observations, those that are stored. Their traces are locked."""
        ...

    def put_observations(self, rows: Sequence[dict[str, Any]]) -> None:
        """Makes observations, or changes those of the same `name` (the trace's id followed by the span's), in few
        statements. Sets the columns that a row has, and leaves the others alone."""
        ...

    def put_traces(self, rows: Mapping[str, dict[str, Any]]) -> None:
        """Sets these columns of traces that `lock` gave; `tags`, a list, replaces the trace's tags."""
        ...

    def put_producers(self, rows: Mapping[str, dict[str, Any]]) -> None:
        """Sets these columns of producers that `lock` gave."""
        ...

    def totals(self, traces: Sequence[str]) -> dict[str, Totals]:
        """What the observations of each trace come to, in one query or a few."""
        ...

    def running(self, limit: int, *, besides: Collection[str] = ()) -> list[dict[str, Any]]:
        """Observations that have not ended, oldest first, but those of the producers `besides`: `trace`, `span`,
        `producer`, `started_at`, `version`."""
        ...


class TraceReads(Protocol):
    """What people ask. Who may see what is decided before: `owner` is the user whose traces are seen, `None` all."""

    def list(self, wanted: TraceFilter, *, owner: str | None, limit: int, cursor: str | None) -> Page:
        """A page of traces, newest first, without payloads. Raises ValidationError for a cursor that is none."""
        ...

    def get(self, trace: str, *, owner: str | None) -> dict[str, Any] | None:
        """A trace with its tags, without payloads; `None` where there is none, or it is another user's."""
        ...

    def observations(self, trace: str, *, limit: int = 100_000) -> list[dict[str, Any]]:
        """All observations of a trace in the order in which they began, without payloads, but with the length of each
        payload in characters: `input_chars`, `output_chars`, `reasoning_kept`. Rows have no columns that are not known:
        there may be many thousands of them. They are the caller's."""
        ...

    def payload(self, trace: str, span: str, column: str) -> str | None:
        """One private column of an observation, or, where `span` is '', of the trace."""
        ...

    def payloads(self, trace: str) -> Iterable[dict[str, Any]]:
        """Every observation with all its columns: for an export. Read in pieces."""
        ...

    def rows(self, names: Sequence[str]) -> Sequence[dict[str, Any]]:
        """Observations by `name`, with all their columns, those that are stored: for what goes out to OpenTelemetry. A
        few hundred at once."""
        ...

    def note_view(self, trace: str, owner: str, viewer: User) -> None:
        """Records that somebody looks at another user's trace, once in an hour; committed though the request be one
        that only reads."""
        ...

    def producers(self, limit: int = 200, *, lossy_since: int | None = None) -> list[dict[str, Any]]:
        """What is known of the producers heard lately, newest first. `lossy_since`: only of those that were heard since
        then (epoch microseconds), and have lost events, or given some up."""
        ...

    def incomplete(self, since: int) -> int:
        """How many traces since then miss events."""
        ...


class TraceUpkeep(Protocol):
    """Removal. Deletes in pieces, so that no statement locks for long."""

    def delete(self, traces: Sequence[str]) -> int:
        """Removes traces with everything of them, in the open transaction; gives how many there were. Callers name as
        many as one transaction should hold."""
        ...

    def expired(self, *, before: int | None, max_bytes: int | None, limit: int) -> list[str]:
        """Ids of the oldest traces that are to go: those that began before `before`, and as many as it takes to be
        below `max_bytes`."""
        ...

    def forget_producers(self, *, before: int, limit: int) -> int:
        """Removes what is known of producers that have said goodbye, were not heard since `before` and miss nothing;
        gives how many. One with a dead letter stays: its event may still be stored, and would stand for a gap then."""
        ...

    def size(self) -> int:
        """Bytes that traces and observations take in the database, by its own figures."""
        ...


class TraceStore(TraceWrites, TraceReads, TraceUpkeep, TraceStatistics, Protocol):
    """All of it."""
