"""Figures for monitoring, and how they are written: the text format of Prometheus, version 0.0.4.

The format is a page long (https://prometheus.io/docs/instrumenting/exposition_formats/); what a client library adds,
a registry per process, would be in the way here: most figures are the sums of all workers, read from Redis.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import msgspec

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "ai_assistant_"
NAMED_BY_CONVENTION = ("gen_ai_", "process_")
"""What begins so is named by others, and gets no prefix."""

Kind = Literal["gauge", "counter", "histogram"]


class Sample(msgspec.Struct, frozen=True):
    """One line."""

    value: float
    labels: dict[str, str] = {}
    suffix: str = ""
    """What follows the family's name: `_bucket`, `_sum` and `_count` of a histogram."""


class Family(msgspec.Struct, frozen=True):
    """The lines of one name. The name is without the app's prefix, which `full_name` adds."""

    name: str
    kind: Kind
    help: str
    samples: list[Sample]


def gauge(name: str, help_: str, value: float, **labels: str) -> Family:
    """A gauge of one line."""
    return Family(name, "gauge", help_, [Sample(value, labels)])


def gauges(name: str, help_: str, label: str, values: dict[str, float]) -> Family:
    """A gauge with one line for each value of a label."""
    return Family(name, "gauge", help_, [Sample(value, {label: key}) for key, value in values.items()])


def counter(name: str, help_: str, value: float) -> Family:
    """A counter of one line. The name ends with `_total`."""
    return Family(name, "counter", help_, [Sample(value)])


def counters(name: str, help_: str, label: str, values: dict[str, int]) -> Family:
    """A counter with one line for each value of a label."""
    return Family(name, "counter", help_, [Sample(value, {label: key}) for key, value in values.items()])


class Histogram:
    """Counts observations by size. Not thread-safe."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]):
        """`bounds` are the upper ends of the buckets, in order; one more bucket takes what is larger."""
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """One observation, in the unit of the bounds."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def family(self, name: str, help_: str) -> Family:
        """What it has counted, as Prometheus wants it."""
        return Family(name, "histogram", help_, self.samples({}))

    def samples(self, labels: dict[str, str]) -> list[Sample]:
        """Its lines under these labels: each bucket with those below it."""
        samples, below = [], 0
        for bound, count in zip((*self.bounds, math.inf), self.counts, strict=True):
            below += count
            samples.append(Sample(below, {**labels, "le": number(bound)}, "_bucket"))
        return [*samples, Sample(self.sum, labels, "_sum"), Sample(below, labels, "_count")]


def render(families: Iterable[Family]) -> str:
    """The text. Each name may come once."""
    return "".join(line + "\n" for family in families for line in lines(family))


def lines(family: Family) -> Iterator[str]:
    """The lines of one family; none where it has no samples."""
    if not family.samples:
        return
    name = full_name(family.name)
    yield f"# HELP {name} {escaped(family.help)}"
    yield f"# TYPE {name} {family.kind}"
    for sample in family.samples:
        yield f"{name}{sample.suffix}{label_text(sample.labels)} {number(sample.value)}"


def full_name(name: str) -> str:
    """The name as it is written."""
    return name if name.startswith(NAMED_BY_CONVENTION) else PREFIX + name


def label_text(labels: dict[str, str]) -> str:
    """`{name="value",…}`, or nothing."""
    if not labels:
        return ""
    pairs = ",".join(f'{name}="{quoted(value)}"' for name, value in labels.items())
    return "{" + pairs + "}"


def escaped(text: str) -> str:
    """As HELP wants it."""
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def quoted(value: str) -> str:
    """A label's value as it stands between quotation marks; a lone surrogate, which UTF-8 cannot carry, becomes `?`."""
    return escaped(value).replace('"', '\\"').encode("utf-8", "replace").decode()


def number(value: float) -> str:
    """A value as Go's ParseFloat reads it."""
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if math.isnan(value):
        return "NaN"
    return str(int(value)) if float(value).is_integer() and abs(value) < 2**53 else repr(float(value))


def probe_families(
    at: float, deliveries: dict[str, float | None], connects: dict[str, float] | None = None
) -> list[Family]:
    """A measurement of delivery at a time (seconds since the epoch), by the path it took: the seconds from publishing
    an event to its receipt, None where it did not arrive; and the seconds to connect a socket."""
    arrived = {path: seconds for path, seconds in deliveries.items() if seconds is not None}
    succeeded = {path: float(seconds is not None) for path, seconds in deliveries.items()}
    return [
        gauge("probe_timestamp_seconds", "When delivery was measured last.", at),
        gauges("probe_success", "Whether the probe's event arrived, by path.", "path", succeeded),
        gauges("probe_delivery_seconds", "Time from publishing the probe's event to its receipt.", "path", arrived),
        gauges("probe_connect_seconds", "Time to connect the probe's socket.", "path", connects or {}),
    ]
