"""Where events go. A sink is used by one thread at a time."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec


class SinkAway(Exception):
    """It cannot be delivered now; the message says why. `retry_after`: seconds to wait at least."""

    def __init__(self, message: str, retry_after: float = 0.0):
        super().__init__(message)
        self.retry_after = retry_after


class SinkRefused(Exception):
    """The receiver says that these entries are wrong: sending them again will not help. The message says why."""


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """What a look at the receiver's side finds."""

    where: str
    """The receiver, without any secret."""
    connected: bool
    problem: str = ""
    consumer_age_s: float | None = None
    """Seconds since a consumer of the site gave its last sign of life; `None`: none was ever seen."""


class Sink(Protocol):
    """The way out of the process."""

    def send(self, site: str, producer: str, entries: list[list[bytes]], beat: dict[str, Any]) -> None:
        """Delivers entries, each a list of encoded events, in order, and the producer's sign of life. Raises SinkAway;
        then all of them are sent again. Raises SinkRefused for entries that will never be taken. Without entries it
        gives the sign of life alone."""
        ...

    def leave(self, site: str, producer: str) -> None:
        """The producer ends in order, with nothing left to send. Raises SinkAway."""
        ...

    def check(self, site: str) -> Health:
        """Looks at the connection and at the site's consumer. Does not raise."""
        ...

    def after_fork(self) -> None:
        """Forgets connections that are the parent process's."""
        ...

    def close(self) -> None:
        """Lets go of connections."""
        ...
