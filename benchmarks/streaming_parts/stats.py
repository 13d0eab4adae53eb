"""Percentiles, the way the report gives them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """A distribution of times, in milliseconds."""

    count: int
    p50: float
    p95: float
    p99: float
    max: float


def percentile(ordered: Sequence[float], share: float) -> float:
    """The nearest-rank percentile of an ascending sequence: the smallest value that at least `share` of all values
    (0 to 1) do not exceed. Raises ValueError for an empty sequence."""
    if not ordered:
        raise ValueError("an empty sequence has no percentile")
    rank = max(1, math.ceil(share * len(ordered) - 1e-9))
    return ordered[min(rank, len(ordered)) - 1]


def latency_of(nanoseconds: Sequence[int]) -> Latency | None:
    """The distribution of times given in nanoseconds; `None` where there are none."""
    if not nanoseconds:
        return None
    ordered = sorted(nanoseconds)
    p50, p95, p99 = (round(percentile(ordered, share) / 1e6, 3) for share in (0.5, 0.95, 0.99))
    return Latency(count=len(ordered), p50=p50, p95=p95, p99=p99, max=round(ordered[-1] / 1e6, 3))
