"""Times of traces as the host's tables hold them, UTC without a zone, from and to epoch microseconds.

On SQLite they are text in the form that SQLAlchemy's DateTime writes and reads; this is several times faster than
making `datetime` objects on the way, which is what a consumer's throughput would be spent on.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

EPOCH = datetime(1970, 1, 1)
MICROSECOND = timedelta(microseconds=1)


@lru_cache(4096)
def _to_text(second: int) -> str:
    return str(EPOCH + timedelta(seconds=second))


@lru_cache(4096)
def _from_text(second: str) -> int:
    return (datetime.fromisoformat(second) - EPOCH) // timedelta(seconds=1) * 1_000_000


def to_text(moment: int | None) -> str | None:
    """As SQLite holds it."""
    if moment is None:
        return None
    second, rest = divmod(moment, 1_000_000)
    return f"{_to_text(second)}.{rest:06d}"


def from_text(stored: str | None) -> int | None:
    """From SQLite's."""
    return None if stored is None else _from_text(stored[:19]) + int(stored[20:26] or 0)


def to_datetime(moment: int | None) -> datetime | None:
    """As other databases hold it."""
    return None if moment is None else EPOCH + timedelta(microseconds=moment)


def from_datetime(stored: Any) -> int | None:
    """From other databases'."""
    return None if stored is None else (stored - EPOCH) // MICROSECOND
