"""Times on a site: rows hold the time of System Settings' time zone without a zone, the API speaks UTC.

`to_utc` grows strictly with the stored time, so that a `modified` of the API names one row and can be paged from. When
clocks go back, an hour comes twice and is stored as one; read back, it is the first of the two. When they go forward,
an hour is left out, and `existing` keeps stored times out of it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from frappe.utils import get_system_timezone, now_datetime
from frappe.utils.data import convert_utc_to_timezone

DAY = timedelta(days=1)


def stored_now() -> datetime:
    """The time as Frappe stores it now."""
    return now_datetime()


def from_utc(moment: datetime) -> datetime:
    """The stored form of a time in UTC. Raises OverflowError at the ends of the calendar."""
    return convert_utc_to_timezone(moment, get_system_timezone()).replace(tzinfo=None)


def to_utc(stored: datetime) -> datetime:
    """The UTC of a stored time: the earlier one where the clock showed it twice."""
    # a zone changes its offset at most once within two days
    before = from_utc(stored - DAY) - (stored - DAY)
    after = from_utc(stored + DAY) - (stored + DAY)
    candidates = sorted({stored - before, stored - after})
    return next((utc for utc in candidates if from_utc(utc) == stored), stored - before)


def existing(stored: datetime) -> datetime:
    """The stored time, or, where no clock ever showed it, the time an hour later that it stands for."""
    return from_utc(to_utc(stored))
