"""What the calls to a model came to in a span of time, and what is usual for it.

Nothing here supposes a distribution: what is compared are medians and 95th percentiles of hours, and the test counts
how many calls lie above what nearly all hours of the past stayed below.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from ai_assistant.core.trace_statistics import ModelCall

MIN_VALUES = 5
"""Values of an hour below which their percentiles say nothing."""
MIN_RATED = 20
"""Calls of an hour below which its error rate says nothing."""
HIGH = 0.95
"""The share of hours that the reference covers. The busy third of each day, and a bad hour now and then, are usual."""


class Spread(msgspec.Struct, array_like=True, frozen=True):
    """Of the values of one span of time."""

    count: int
    median: float
    p95: float


class Bucket(msgspec.Struct, array_like=True, frozen=True):
    """One model's calls in one span of time. Small enough to keep a week of hours of every model in Redis."""

    calls: int
    failed: int
    ttft: Spread | None = None
    """Milliseconds; `None` where there are too few."""
    cost: Spread | None = None
    """US dollars."""


class Usual(msgspec.Struct, frozen=True):
    """What a figure is usually, and what it is in nearly every hour at most."""

    median: float
    high: float


def by_model(calls: Iterable[ModelCall]) -> dict[str, list[ModelCall]]:
    """The calls of each model."""
    found: dict[str, list[ModelCall]] = defaultdict(list)
    for call in calls:
        found[call.model].append(call)
    return found


def bucket_of(calls: Sequence[ModelCall]) -> Bucket:
    """What calls came to."""
    return Bucket(
        calls=len(calls),
        failed=sum(call.failed for call in calls),
        ttft=spread_of([float(call.ttft_ms) for call in calls if call.ttft_ms is not None]),
        cost=spread_of([call.cost for call in calls if call.cost is not None]),
    )


def buckets_of(calls: Iterable[ModelCall]) -> dict[str, Bucket]:
    """What the calls of each model came to."""
    return {model: bucket_of(own) for model, own in by_model(calls).items()}


def spread_of(values: Sequence[float]) -> Spread | None:
    """Median and 95th percentile; `None` of too few values."""
    if len(values) < MIN_VALUES:
        return None
    ordered = sorted(values)
    return Spread(len(ordered), percentile(ordered, 0.5), percentile(ordered, 0.95))


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value that `share` of the others are not above. `ordered` is sorted and not empty."""
    return ordered[min(len(ordered) - 1, max(0, math.ceil(share * len(ordered)) - 1))]


def usual_of(values: Sequence[float]) -> Usual:
    """What values of hours usually are. Raises ValueError without any."""
    ordered = sorted(values)
    return Usual(percentile(ordered, 0.5), percentile(ordered, HIGH))


def usual_errors(past: Sequence[Bucket]) -> Usual:
    """The usual share of calls that fail: of all hours together, and the most that is to be expected of one hour.

    The latter is the larger of what nearly all hours stayed below, and the upper end of the Wilson interval of the
    whole (three standard errors; Wilson 1927), since a past without failures proves little when it is short.
    """
    calls, failed = sum(hour.calls for hour in past), sum(hour.failed for hour in past)
    rates = [hour.failed / hour.calls for hour in past if hour.calls >= MIN_RATED]
    hours = usual_of(rates).high if rates else 0.0
    return Usual(failed / calls if calls else 0.0, max(hours, wilson_upper(failed, calls)))


def wilson_upper(failed: int, calls: int, z: float = 3.0) -> float:
    """The upper end of Wilson's interval of a share; 1 of nothing."""
    if not calls:
        return 1.0
    share = failed / calls
    middle = share + z * z / (2 * calls)
    width = z * math.sqrt(share * (1 - share) / calls + z * z / (4 * calls * calls))
    return min(1.0, (middle + width) / (1 + z * z / calls))


def chance_of_at_least(hits: int, tries: int, share: float) -> float:
    """The chance that of `tries` independent ones `hits` or more are hits, each with the chance `share`."""
    if hits <= 0:
        return 1.0
    if share <= 0.0:
        return 0.0
    if share >= 1.0:
        return 1.0
    log_yes, log_no = math.log(share), math.log1p(-share)
    total = math.lgamma(tries + 1)
    terms = (
        total - math.lgamma(k + 1) - math.lgamma(tries - k + 1) + k * log_yes + (tries - k) * log_no
        for k in range(hits, tries + 1)
    )
    return min(1.0, math.fsum(math.exp(term) for term in terms))


def enough(past: Sequence[Bucket], hours: int, calls: int) -> bool:
    """Whether a past is long enough to compare with."""
    return len(past) >= hours and sum(hour.calls for hour in past) >= calls


def hours_of(model: str, hours: Mapping[int, Mapping[str, Bucket]], until: int) -> list[Bucket]:
    """The buckets of a model in hours before `until`."""
    return [buckets[model] for hour, buckets in hours.items() if hour < until and model in buckets]
