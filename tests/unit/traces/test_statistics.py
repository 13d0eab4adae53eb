"""What calls come to, and the chance of what they came to."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_assistant.core.trace_statistics import ModelCall
from ai_assistant.traces.statistics import (
    Bucket,
    Spread,
    buckets_of,
    chance_of_at_least,
    percentile,
    spread_of,
    usual_errors,
    wilson_upper,
)


def test_calls_of_several_models() -> None:
    calls = [ModelCall("a", i == 0, 100 + i if i else None, 0.5) for i in range(10)] + [
        ModelCall("b", True, None, None)
    ]
    assert buckets_of(calls) == {
        "a": Bucket(10, 1, Spread(9, 105, 109), Spread(10, 0.5, 0.5)),
        "b": Bucket(1, 1, None, None),
    }
    assert buckets_of([]) == {}


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=200), st.floats(0, 1))
def test_a_percentile_is_one_of_the_values(values: list[float], share: float) -> None:
    ordered = sorted(values)
    found = percentile(ordered, share)
    assert found in ordered
    assert sum(value <= found for value in ordered) >= share * len(ordered) * (1 - 1e-12)


def test_few_values_say_nothing() -> None:
    assert spread_of([1.0] * 4) is None
    assert spread_of([1.0] * 5) == Spread(5, 1.0, 1.0)


def test_the_binomial_tail() -> None:
    exact = sum(math.comb(20, k) * 0.1**k * 0.9 ** (20 - k) for k in range(5, 21))
    assert chance_of_at_least(5, 20, 0.1) == pytest.approx(exact, rel=1e-9)
    assert chance_of_at_least(0, 20, 0.1) == chance_of_at_least(3, 3, 1.0) == 1.0
    assert chance_of_at_least(1, 20, 0.0) == 0.0
    assert chance_of_at_least(21, 20, 0.5) == 0.0
    assert 0 <= chance_of_at_least(30_000, 50_000, 0.5) < 1e-300


@given(st.integers(1, 400), st.floats(1e-6, 1 - 1e-6), st.data())
def test_the_tail_is_a_chance_and_falls(tries: int, share: float, data: st.DataObject) -> None:
    hits = data.draw(st.integers(1, tries))
    here, before = chance_of_at_least(hits, tries, share), chance_of_at_least(hits - 1, tries, share)
    assert 0 <= here <= before + 1e-9 <= 1 + 1e-6


def test_what_errors_are_to_be_expected() -> None:
    clean = [Bucket(20, 0)] * 6
    assert usual_errors(clean).median == 0
    assert 0.05 < usual_errors(clean).high < 0.1, "120 calls without a failure do not prove 1 %"
    assert usual_errors([Bucket(1000, 0)] * 168).high < 0.0001
    bad_hours = [Bucket(100, 30)] * 10 + [Bucket(100, 0)] * 90
    assert usual_errors(bad_hours).high == 0.3
    assert usual_errors([]).high == 1.0
    assert usual_errors([Bucket(5, 5), *clean]).high < 0.3, "five calls are no rate"


@given(st.integers(1, 10_000), st.data())
def test_wilsons_upper_end(calls: int, data: st.DataObject) -> None:
    failed = data.draw(st.integers(0, calls))
    assert failed / calls <= wilson_upper(failed, calls) + 1e-12 <= 1 + 1e-9
