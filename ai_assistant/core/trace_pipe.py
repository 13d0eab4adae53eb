"""What the endpoints need of the pipeline between producers and the store: a port, implemented in `traces/`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import IO, Any, Literal, Protocol

import msgspec

from ai_assistant.core.errors import ValidationError

ExportFormat = Literal["json", "otlp"]


class OtlpError(ValidationError):
    """An export of OpenTelemetry that cannot be taken; at an address of OTLP's own it is answered with `status`."""

    def __init__(self, message: str, *, status: int = 400):
        """`status`: 400, 413 or 415, as OTLP/HTTP has them."""
        super().__init__(message)
        self.status = status


class TraceEntry(msgspec.Struct, frozen=True):
    """Some events of one producer, as an entry of the stream holds them (`core.trace_event`)."""

    body: bytes
    compressed: bool
    count: int
    ended: bool = False
    """Whether the producer's last word is in it."""


class TracePipe(Protocol):
    """The pipeline of one site. Synchronous; none of it is called on an event loop."""

    def send(
        self, producer: str, entries: Sequence[TraceEntry], *, user: str | None, beat: dict[str, Any] | None
    ) -> None:
        """Hands entries over to the consumers. `user`: in whose name they came, `None` where the sender is trusted
        with everybody's. `beat`: the producer's heartbeat.

        Raises ServiceUnavailableError where Redis is away or the stream is full: then nothing counts as sent, and
        sending all of it again later does no harm.
        """
        ...

    def take_otlp(self, media: str, body: bytes, *, user: str, is_trusted: bool) -> bytes:
        """Takes an export of OpenTelemetry (OTLP/HTTP): `media` is its media type, `body` may be gzip. The traces are
        the `user`'s; `is_trusted`: whether they may also continue another's. Gives the answer's body, of the same
        media type.

        Raises OtlpError, and ServiceUnavailableError as `send` does.
        """
        ...

    def health(self) -> dict[str, Any]:
        """For `status`: `trace_consumers`, the heartbeats of those that live, and `traces`, what waits and what was
        lost. One round trip; never raises: that Redis is away is part of the answer."""
        ...

    def consumer(self) -> dict[str, Any]:
        """`{alive, age_ms}` of the consumer that was heard last; `age_ms` is `None` where none ever was. Raises
        ServiceUnavailableError."""
        ...

    def receipt(self, trace: str, seq: int) -> None:
        """Notes on a trace that a client has seen its task's events up to `seq`. Never fails: a receipt that cannot
        be kept is dropped and counted."""
        ...

    def dead_letters(self, limit: int, before: str | None) -> list[dict[str, Any]]:
        """Events that could not be stored, newest first, without what they said; `before`: the id of the last one of
        the page before. Raises ServiceUnavailableError."""
        ...

    def retry_dead_letters(self, ids: Sequence[str] | None) -> int:
        """Puts these, or the oldest ones, back into the stream; gives their number. Raises
        ServiceUnavailableError."""
        ...

    def export(
        self, format: ExportFormat, trace: dict[str, Any], observations: Iterable[dict[str, Any]], out: IO[bytes]
    ) -> None:
        """Writes the whole trace as a document."""
        ...
