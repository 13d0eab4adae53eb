"""Times of traces on a site, from and to epoch microseconds: as `site.clock` has it, in thousands.

A zone's offset changes at a full quarter of an hour only (so it has been in all zones since 1972), so that it is looked
up once for each.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from frappe.utils import get_system_timezone

from ai_assistant.site.clock import from_utc, to_utc

EPOCH = datetime(1970, 1, 1)
MICROSECOND = timedelta(microseconds=1)
QUARTER = 900_000_000
"""Microseconds."""


class SiteTimes:
    """The times of one site, by its zone."""

    def __init__(self) -> None:
        self._zone = get_system_timezone()

    def to_moment(self, moment: int | None) -> datetime | None:
        """As Frappe stores it: in the zone of System Settings, without one."""
        if moment is None:
            return None
        return EPOCH + timedelta(microseconds=moment + _offset(self._zone, moment // QUARTER))

    def from_moment(self, stored: Any) -> int | None:
        """Of a stored time; of one that the clock showed twice, the first."""
        if stored is None:
            return None
        local = (stored - EPOCH) // MICROSECOND
        return local - _offset_of_stored(self._zone, local // QUARTER)


@lru_cache(4096)
def _offset(zone: str, quarter: int) -> int:
    """Microseconds that the zone is ahead of UTC; the zone is the open site's."""
    moment = EPOCH + timedelta(microseconds=quarter * QUARTER)
    return (from_utc(moment) - moment) // MICROSECOND


@lru_cache(4096)
def _offset_of_stored(zone: str, quarter: int) -> int:
    """The same by a stored time."""
    stored = EPOCH + timedelta(microseconds=quarter * QUARTER)
    return (stored - to_utc(stored)) // MICROSECOND
