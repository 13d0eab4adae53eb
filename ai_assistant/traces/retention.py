"""Keeps a site's traces within an age and a size: the oldest go first, each with everything of it.

Works in pieces, each a unit of work of its own, so that nothing is locked for long and a stop in between loses nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

import msgspec

from ai_assistant.core.ports import SiteOpener

log = logging.getLogger("ai_assistant.traces")

PIECE: Final = 200
"""Traces that one unit of work deletes."""
PRODUCER_DAYS: Final = 30
"""What is known of a producer stays so long after its last word, when all that it has sent is here."""
DAY_S: Final = 86_400
CHECK_S: Final = 300.0
"""How often it is looked, where a process does it all the time."""


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What may stay; 0 means: without a bound."""

    days: int = 30
    max_bytes: int = 0
    """Of traces and observations together, by the database's own figures."""

    @property
    def keeps_all(self) -> bool:
        """Whether nothing ever goes."""
        return not self.days and not self.max_bytes

    def before(self, now: float) -> int | None:
        """Epoch microseconds before which a trace began that is to go; `now` in seconds."""
        return int((now - self.days * DAY_S) * 1_000_000) if self.days else None


def enforce(
    opener: SiteOpener,
    site: str,
    policy: Policy,
    *,
    piece: int = PIECE,
    limit_s: float = 60.0,
    clock: Callable[[], float] = time.time,
) -> int:
    """Deletes what is to go, for at most `limit_s` seconds; gives the number of traces. The next run goes on."""
    deleted, end = 0, time.monotonic() + limit_s
    while not policy.keeps_all and time.monotonic() < end:
        with opener.open(site) as access:
            names = access.traces.expired(
                before=policy.before(clock()), max_bytes=policy.max_bytes or None, limit=piece
            )
            found = access.traces.delete(names) if names else 0
        deleted += found
        if not found:
            break
    if deleted:
        log.info("retention: %d traces of %s deleted", deleted, site)
    forget_producers(opener, site, int((clock() - PRODUCER_DAYS * DAY_S) * 1_000_000), end, piece)
    return deleted


def forget_producers(opener: SiteOpener, site: str, before: int, end: float, piece: int = PIECE) -> None:
    """Removes what is known of producers that are done since `before` (epoch microseconds), until `end` (monotonic)."""
    while time.monotonic() < end:
        with opener.open(site) as access:
            found = access.traces.forget_producers(before=before, limit=piece)
        if found < piece:
            return
