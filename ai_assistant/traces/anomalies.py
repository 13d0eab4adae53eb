"""Tells whether a model's last calls differ from its own recent past: errors, time to the first chunk, cost (S4.9).

An anomaly is raised once, when three things hold: the chance that a usual quarter of an hour looks like that is below
one in a million, the figure has grown by enough to matter, and there were calls enough. It stands until the figure has
come back in two checks in a row, so that it does not flicker. While it stands it is compared with the past before it
began, for it must not become its own past. After a day it is the new past.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

import msgspec

from ai_assistant.core.trace_statistics import ModelCall
from ai_assistant.traces.statistics import (
    Bucket,
    Spread,
    Usual,
    by_model,
    chance_of_at_least,
    enough,
    hours_of,
    percentile,
    usual_errors,
    usual_of,
)

Kind = Literal["errors", "first_chunk", "first_chunk_tail", "cost", "cost_tail"]
KINDS: Final = ("errors", "first_chunk", "first_chunk_tail", "cost", "cost_tail")
"""`_tail`: the slowest, or dearest, twentieth of the calls."""
HOUR_S: Final = 3600


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """When something is an anomaly."""

    window_s: int = 900
    """The calls that are looked at: those that began in the last quarter of an hour."""
    past_hours: int = 168
    """The past that they are compared with: a week."""
    min_hours: int = 6
    """Hours with calls that a past must have."""
    min_past_calls: int = 100
    min_calls: int = 20
    """Calls of the window below which nothing is said."""
    min_tail_calls: int = 100
    """The same for the slowest twentieth."""
    chance: float = 1e-6
    """Of an alarm where nothing has changed; per model, kind and check."""
    grown: float = 1.5
    """How many times the usual a figure must be."""
    grown_tail: float = 2.0
    grown_errors: float = 2.0
    more_errors: float = 0.05
    """By how much more the share of failures must be."""
    more_ms: float = 100.0
    """By how much more the milliseconds must be."""
    more_cost: float = 0.001
    """By how much more the dollars of a call must be."""
    calm: float = 0.8
    """Back is a figure that has fallen below this share of what raises the alarm."""
    calm_checks: int = 2
    adopted_s: int = 24 * HOUR_S
    """An anomaly that stands for so long is the new usual."""
    silent_s: int = 2 * HOUR_S
    """One of a model that is called no longer ends after this."""


class Anomaly(msgspec.Struct, kw_only=True):
    """One that stands. Times are epoch seconds."""

    model: str
    kind: Kind
    since: float
    value: float
    """A share of calls, milliseconds, or dollars."""
    usual: float
    calls: int
    calm: int = 0
    """Checks in a row in which the figure was back."""
    seen: float = 0.0
    """When there were calls enough to tell."""

    @property
    def key(self) -> tuple[str, str]:
        """There is one of each model and kind."""
        return self.model, self.kind

    def text(self) -> str:
        """One line for people."""
        value, usual = shown(self.kind, self.value), shown(self.kind, self.usual)
        return f"{self.model}: {SAID[self.kind]} {value}, usually {usual}"


SAID: Final = {
    "errors": "share of calls that fail",
    "first_chunk": "median time to the first chunk",
    "first_chunk_tail": "time to the first chunk of the slowest twentieth",
    "cost": "median cost of a call",
    "cost_tail": "cost of the dearest twentieth of calls",
}


def shown(kind: str, value: float) -> str:
    """A figure with its unit."""
    if kind == "errors":
        return f"{value:.0%}"
    return f"{value:.0f} ms" if kind.startswith("first_chunk") else f"{value:.4f} $"


class Finding(msgspec.Struct, frozen=True):
    """One figure of the window beside its past."""

    value: float
    usual: float
    threshold: float
    """What the figure must exceed."""
    chance: float


class Change(msgspec.Struct, frozen=True):
    """An anomaly that was raised, or has ended."""

    anomaly: Anomaly
    ended: bool = False
    reason: str = ""
    """Why it ended."""


def judged(
    calls: Iterable[ModelCall],
    hours: Mapping[int, Mapping[str, Bucket]],
    standing: Iterable[Anomaly],
    now: float,
    rules: Rules = Rules(),  # noqa: B008  # frozen
) -> tuple[list[Anomaly], list[Change]]:
    """The anomalies that stand now, and what has changed.

    `calls` are those of the window, `hours` what is known of the past by hour (epoch hours), `standing` the anomalies
    of the last check.
    """
    window = by_model(calls)
    known = {anomaly.key: anomaly for anomaly in standing}
    stands: list[Anomaly] = []
    changes: list[Change] = []
    for model, kind in sorted({*known, *((model, kind) for model in window for kind in KINDS)}):
        old = known.get((model, kind))
        past = hours_of(model, hours, past_until(old, now, rules))
        found = finding(kind, window.get(model, []), past, rules)
        new, change = step(old, model, kind, found, len(window.get(model, [])), now, rules)  # type: ignore[arg-type]
        stands += [new] if new else []
        changes += [change] if change else []
    return stands, changes


def past_until(old: Anomaly | None, now: float, rules: Rules) -> int:
    """The hour before which the past lies: the one in which the anomaly began where one stands."""
    since = old.since - rules.window_s if old and now - old.since < rules.adopted_s else now
    return int(since // HOUR_S)


def step(
    old: Anomaly | None, model: str, kind: Kind, found: Finding | None, calls: int, now: float, rules: Rules
) -> tuple[Anomaly | None, Change | None]:
    """The anomaly of a model and kind after a check, and what has changed."""
    if found is None:
        if old is None or now - old.seen < rules.silent_s:
            return old, None
        return None, Change(old, ended=True, reason="there are too few calls to tell")
    fires = found.chance < rules.chance and found.value > found.threshold
    if old is None:
        if not fires:
            return None, None
        new = Anomaly(model=model, kind=kind, since=now, value=found.value, usual=found.usual, calls=calls, seen=now)
        return new, Change(new)
    is_adopted = now - old.since >= rules.adopted_s
    is_back = not fires and (is_adopted or found.value <= found.threshold * rules.calm)
    calm = old.calm + 1 if is_back else 0
    new = msgspec.structs.replace(old, value=found.value, usual=found.usual, calls=calls, calm=calm, seen=now)
    if calm >= rules.calm_checks:
        return None, Change(new, ended=True, reason="it is usual now" if is_adopted else "it is as usual again")
    return new, None


def finding(kind: str, calls: Sequence[ModelCall], past: Sequence[Bucket], rules: Rules) -> Finding | None:
    """The figure of this kind; `None` where window or past are too small to say anything."""
    if len(calls) < rules.min_calls or not enough(past, rules.min_hours, rules.min_past_calls):
        return None
    if kind == "errors":
        return errors_finding(calls, past, rules)
    is_tail = kind.endswith("_tail")
    if kind.startswith("first_chunk"):
        values = [float(call.ttft_ms) for call in calls if call.ttft_ms is not None]
        return spread_finding(values, [hour.ttft for hour in past], rules.more_ms, rules, is_tail)
    costs = [call.cost for call in calls if call.cost is not None]
    return spread_finding(costs, [hour.cost for hour in past], rules.more_cost, rules, is_tail)


def errors_finding(calls: Sequence[ModelCall], past: Sequence[Bucket], rules: Rules) -> Finding:
    """The share of calls that failed."""
    usual = usual_errors(past)
    failed = sum(call.failed for call in calls)
    threshold = max(usual.high, usual.median * rules.grown_errors, usual.median + rules.more_errors)
    return Finding(
        failed / len(calls), usual.median, threshold, chance_of_at_least(failed, len(calls), min(1.0, usual.high))
    )


def spread_finding(
    values: Sequence[float], hours: Sequence[Spread | None], more: float, rules: Rules, is_tail: bool
) -> Finding | None:
    """A median or 95th percentile. Were all as usual, at most half, or a twentieth, of the calls would lie above it."""
    share, grown = (0.95, rules.grown_tail) if is_tail else (0.5, rules.grown)
    said = [hour for hour in hours if hour is not None]
    if len(values) < (rules.min_tail_calls if is_tail else rules.min_calls) or len(said) < rules.min_hours:
        return None
    usual = usual_of([hour.p95 if is_tail else hour.median for hour in said])
    ordered = sorted(values)
    above = sum(value > usual.high for value in ordered)
    chance = chance_of_at_least(above, len(ordered), 1 - share)
    return Finding(percentile(ordered, share), usual.median, threshold_of(usual, grown, more), chance)


def threshold_of(usual: Usual, grown: float, more: float) -> float:
    """What a figure must exceed to matter."""
    return max(usual.high, usual.median * grown, usual.median + more)
