"""One measured load, and whether it reached what it must."""

from __future__ import annotations

from typing import Any

import msgspec

from .generator import MOST_OF_A_CORE, UpstreamStats
from .job import Result
from .loads import Load


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One target: what must be, what was, and whether that is enough."""

    must: str
    was: str
    met: bool


class Row(msgspec.Struct, kw_only=True):
    """A line of the table."""

    load: Load
    result: Result
    upstream: UpstreamStats
    """Its CPU here is that of the load alone."""
    upstream_core: float
    client_core: float
    """Shares of a core."""
    cpu_us_per_token: float | None = None
    redis_us_per_token: float | None = None
    cpu_parts: dict[str, float] = {}
    """CPU µs/token by the name of the serving process, where one was given."""
    host: str = ""
    """Which of two hosts it was, where a run compares them."""
    serving_core: float | None = None
    waited_core: float | None = None
    """Share of the time in which the serving process was ready to run and had no core."""
    peak_rss_mib: float | None = None
    """Of the serving process with its Redis."""
    marks: dict[str, dict[str, Any]] = {}
    checks: list[Check] = []

    @property
    def is_void(self) -> bool:
        """Whether the generator was what was measured."""
        return max(self.upstream_core, self.client_core) > MOST_OF_A_CORE

    @property
    def is_met(self) -> bool:
        """Whether it reached every target."""
        return all(check.met for check in self.checks)

    @property
    def events_per_token(self) -> float | None:
        """Deltas for each token that came; `None` where there were no events."""
        tally = self.result.tally
        return round(tally.deltas / tally.delivered, 3) if tally.deltas and tally.delivered else None


def checks_of(row: Row) -> list[Check]:
    """The targets of the row's load, judged."""
    must = row.load.must
    if must is None:
        return []
    checks = [delivery(row)]
    if must.p99_ms is not None:
        p99 = row.result.latency.p99 if row.result.latency else float("inf")
        checks.append(Check(must=f"p99 ≤ {must.p99_ms:g} ms", was=f"{p99:.1f} ms", met=p99 <= must.p99_ms))
    if must.first_event_ms is not None:
        first = row.result.first_event.p50 if row.result.first_event else float("inf")
        met = first <= must.first_event_ms
        checks.append(Check(must=f"first event ≤ {must.first_event_ms:g} ms", was=f"{first:.1f} ms", met=met))
    if must.one_event_per_frame:
        checks.append(frames(row))
    if must.rss_growth is not None:
        checks.append(growth(row, must.rss_growth))
    return checks


def delivery(row: Row) -> Check:
    """Every token once, in order, in events without a gap, and the completion equal to them."""
    tally = row.result.tally
    faults = {
        "missing": tally.expected - tally.delivered,
        "twice": tally.duplicates,
        "out of order": tally.out_of_order,
        "events numbered wrongly": tally.wrong_seq,
        "completions that differ": tally.text_differs,
        "chats not completed": tally.chats - tally.completed,
    }
    found = ", ".join(f"{count} {name}" for name, count in faults.items() if count)
    return Check(must="100 % delivered", was=found or "100 %", met=not found and tally.expected > 0)


def frames(row: Row) -> Check:
    """No two deltas of a task closer than a frame; what is held when the stream ends goes out at once."""
    tally = row.result.tally
    was = f"{tally.spacings_below_16_ms} closer, least {tally.min_spacing_ms} ms"
    return Check(must="one event per task and 16 ms", was=was, met=tally.spacings_below_16_ms == 0)


def growth(row: Row, most: float) -> Check:
    """The memory of the serving process and its Redis at the two marks."""
    sums = memory_at_marks(row)
    if len(sums) < 2 or not sums[0]:
        return Check(must=f"RSS within {most:.0%}", was="unknown", met=False)
    share = sums[-1] / sums[0] - 1
    was = f"{sums[0]:.1f} → {sums[-1]:.1f} MiB ({share:+.1%})"
    return Check(must=f"RSS within {most:.0%}", was=was, met=abs(share) <= most)


def memory_at_marks(row: Row) -> list[float]:
    """MiB of the serving process with its Redis."""
    return [mark["rss_mib"] + mark["redis_rss_mib"] for mark in row.marks.values()]
