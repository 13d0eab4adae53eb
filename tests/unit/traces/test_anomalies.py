"""Anomalies over made-up pasts: silent over noise, loud over real changes, once per change, and over in the end."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_assistant.core.trace_statistics import ModelCall
from ai_assistant.traces.anomalies import KINDS, Anomaly, Change, Rules, judged
from ai_assistant.traces.statistics import Bucket, bucket_of

NOW = 500_000 * 3600.0
HOUR = int(NOW // 3600)
RULES = Rules()
Draw = Callable[[random.Random], ModelCall]


def caller(
    *, errors: float = 0.01, ttft: float = 400.0, spread: float = 0.5, cost: float = 0.01, model: str = "m"
) -> Draw:
    """Calls whose times and costs are lognormal around a median, as those of providers are."""

    def draw(dice: random.Random) -> ModelCall:
        failed = dice.random() < errors
        return ModelCall(
            model,
            failed,
            None if failed else int(ttft * dice.lognormvariate(0, spread)),
            None if failed else cost * dice.lognormvariate(0, spread),
        )

    return draw


def past_of(dice: random.Random, draw: Draw, hours: int = 72, per_hour: int = 40) -> dict[int, dict[str, Bucket]]:
    """What `hours` hours of such calls came to."""
    return {HOUR - 1 - i: {"m": bucket_of([draw(dice) for _ in range(per_hour)])} for i in range(hours)}


def window_of(dice: random.Random, draw: Draw, count: int = 120) -> list[ModelCall]:
    """The calls of a quarter of an hour."""
    return [draw(dice) for _ in range(count)]


def raised(changes: list[Change]) -> set[str]:
    """The kinds of what was raised."""
    return {change.anomaly.kind for change in changes if not change.ended}


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32),
    errors=st.sampled_from([0.0, 0.002, 0.02, 0.1, 0.4]),
    ttft=st.sampled_from([20.0, 400.0, 5000.0]),
    spread=st.sampled_from([0.05, 0.5, 1.2]),
    hours=st.integers(6, 168),
    per_hour=st.integers(17, 60),
    count=st.integers(20, 400),
)
def test_noise_raises_nothing(
    seed: int, errors: float, ttft: float, spread: float, hours: int, per_hour: int, count: int
) -> None:
    dice = random.Random(seed)
    draw = caller(errors=errors, ttft=ttft, spread=spread)
    stands, changes = judged(window_of(dice, draw, count), past_of(dice, draw, hours, per_hour), [], NOW, RULES)
    assert stands == changes == []


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32), busy=st.sampled_from([2.0, 4.0]), at=st.integers(0, 23))
def test_a_busy_time_of_each_day_is_usual(seed: int, busy: float, at: int) -> None:
    """A third of each day is slower; the window lies in it."""
    dice = random.Random(seed)
    slow, fast = caller(ttft=400 * busy, errors=0.05), caller()
    past = {
        HOUR - 1 - i: {"m": bucket_of([(slow if (i + at) % 24 < 8 else fast)(dice) for _ in range(40)])}
        for i in range(96)
    }
    assert judged(window_of(dice, slow), past, [], NOW, RULES) == ([], [])


CHANGES = [
    (caller(errors=0.3), {"errors"}),
    (caller(errors=1.0), {"errors"}),
    (caller(ttft=1200), {"first_chunk", "first_chunk_tail"}),
    (caller(cost=0.05), {"cost", "cost_tail"}),
]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32), case=st.sampled_from(CHANGES), hours=st.integers(12, 168))
def test_a_change_is_raised(seed: int, case: tuple[Draw, set[str]], hours: int) -> None:
    dice = random.Random(seed)
    changed, kinds = case
    stands, changes = judged(window_of(dice, changed), past_of(dice, caller(), hours), [], NOW, RULES)
    assert raised(changes) == kinds == {anomaly.kind for anomaly in stands}
    assert all(anomaly.value > anomaly.usual for anomaly in stands)


def test_a_slow_tail_alone_is_raised() -> None:
    """Every seventh call hangs for seconds; the median hardly moves."""
    dice = random.Random(7)
    usual, hung = caller(), caller(ttft=20_000)
    window = [(hung if i % 7 == 0 else usual)(dice) for i in range(300)]
    _, changes = judged(window, past_of(dice, usual), [], NOW, RULES)
    assert raised(changes) == {"first_chunk_tail"}


def test_a_small_change_is_none() -> None:
    """However certain, it must matter: 410 instead of 400 ms is no alarm, nor a hundredth of a cent."""
    dice = random.Random(1)
    past = past_of(dice, caller(spread=0.001))
    window = window_of(dice, caller(ttft=410, cost=0.0101, spread=0.001), 400)
    assert judged(window, past, [], NOW, RULES) == ([], [])
    cheap = past_of(dice, caller(ttft=2, cost=0.00001, spread=0.001))
    window = window_of(dice, caller(ttft=90, cost=0.0009, spread=0.001), 400)
    assert judged(window, cheap, [], NOW, RULES) == ([], [])


@pytest.mark.parametrize(
    ("hours", "per_hour", "count"), [(5, 40, 200), (12, 4, 200), (24, 40, 19), (0, 0, 200)], ids=str
)
def test_too_little_says_nothing(hours: int, per_hour: int, count: int) -> None:
    dice = random.Random(3)
    window = window_of(dice, caller(errors=1.0), count)
    assert judged(window, past_of(dice, caller(), hours, per_hour), [], NOW, RULES) == ([], [])


def test_a_new_model_and_one_without_prices() -> None:
    dice = random.Random(4)
    free = [ModelCall("free", False, None, None) for _ in range(100)]
    past = {hour: {"free": bucket_of(free)} for hour in range(HOUR - 30, HOUR)}
    window = [*free, *window_of(dice, caller(model="new"))]
    assert judged(window, past, [], NOW, RULES) == ([], [])
    broken = [ModelCall("free", True, None, None) for _ in range(100)]
    assert raised(judged(broken, past, [], NOW, RULES)[1]) == {"errors"}


class Clock:
    """Checks every five minutes, over a past that grows with what was seen."""

    def __init__(self, seed: int = 5):
        self.dice = random.Random(seed)
        self.now = NOW
        self.past = past_of(self.dice, caller(), 168)
        self.stands: list[Anomaly] = []
        self._hour: list[ModelCall] = []

    def check(self, draw: Draw | None, count: int = 120) -> list[Change]:
        """One check after five minutes with such calls; `None`: without any."""
        self.now += 300
        calls = window_of(self.dice, draw, count) if draw else []
        self._hour += calls[: count // 3]
        if self.now % 3600 == 0:
            if self._hour:
                self.past[int(self.now // 3600) - 1] = {"m": bucket_of(self._hour)}
            self._hour = []
        self.stands, changes = judged(calls, self.past, self.stands, self.now, RULES)
        return changes


def test_raised_once_and_ended_once() -> None:
    clock, slow = Clock(), caller(ttft=1600)
    changes = [clock.check(slow) for _ in range(12 * 3)]
    assert raised(changes[0]) == {"first_chunk", "first_chunk_tail"}
    assert not any(changes[1:]), "it stands, for it does not become its own past"
    assert not clock.check(caller()), "one good check is not enough"
    ended = clock.check(caller())
    assert {(change.anomaly.kind, change.ended, change.reason) for change in ended} == {
        ("first_chunk", True, "it is as usual again"),
        ("first_chunk_tail", True, "it is as usual again"),
    }
    assert clock.stands == []
    assert not any(clock.check(caller()) for _ in range(20))


def test_it_does_not_flicker() -> None:
    """A figure that swings around the threshold neither ends the alarm nor raises it again."""
    clock = Clock()
    assert clock.check(caller(ttft=1600))
    for _ in range(10):
        assert not clock.check(caller(ttft=560))
        assert not clock.check(caller(ttft=900))


def test_what_lasts_a_day_is_the_new_usual() -> None:
    clock, slow = Clock(), caller(ttft=1600)
    changes = [change for _ in range(12 * 30) for change in clock.check(slow)]
    assert sorted((change.anomaly.kind, change.reason) for change in changes) == [
        ("first_chunk", ""),
        ("first_chunk", "it is usual now"),
        ("first_chunk_tail", ""),
        ("first_chunk_tail", "it is usual now"),
    ]
    assert clock.stands == []


def test_a_model_that_is_called_no_longer() -> None:
    clock = Clock()
    assert raised(clock.check(caller(errors=1.0))) == {"errors"}
    changes = [change for _ in range(30) for change in clock.check(None)]
    assert [(change.ended, change.reason) for change in changes] == [(True, "there are too few calls to tell")]


def test_lines_for_people() -> None:
    anomalies = [
        Anomaly(model="gpt", kind=kind, since=0, value=0.5, usual=0.01, calls=9)  # type: ignore[arg-type]
        for kind in KINDS
    ]
    assert anomalies[0].text() == "gpt: share of calls that fail 50%, usually 1%"
    assert anomalies[1].text() == "gpt: median time to the first chunk 0 ms, usually 0 ms"
    assert anomalies[3].text() == "gpt: median cost of a call 0.5000 $, usually 0.0100 $"
