"""Interval sets agree with plain sets, and their texts with themselves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_assistant.traces import ranges
from ai_assistant.traces.ranges import MAX_NUMBER, Ranges, RangesError

NUMBERS = st.integers(1, 60)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), NUMBERS, NUMBERS),
        st.tuples(st.just("range"), NUMBERS, NUMBERS),
        st.tuples(st.just("discard"), NUMBERS, NUMBERS),
    ),
    max_size=60,
)


def text_of(numbers):
    """The text of a plain set, by another way."""
    found, left = [], sorted(numbers)
    while left:
        high = low = left.pop(0)
        while left and left[0] == high + 1:
            high = left.pop(0)
        found.append(str(low) if low == high else f"{low}-{high}")
    return ",".join(found)


@given(STEPS)
def test_it_is_the_set(steps):
    found, model = Ranges(), set()
    for kind, low, high in steps:
        if kind == "add":
            assert found.add(low) == (low not in model)
            model.add(low)
        elif kind == "range":
            low, high = min(low, high), max(low, high)
            found.add_range(low, high)
            model |= set(range(low, high + 1))
        else:
            found.discard(low)
            model.discard(low)
        assert str(found) == text_of(model)
    again = Ranges(str(found))
    for each in (found, again):
        assert [number for number in range(1, 62) if number in each] == sorted(model)
        assert each.count() == len(model)
        assert each.highest == max(model, default=0)
        assert bool(each) == bool(model)
        for highest in (0, 1, 30, 61):
            assert each.missing(highest) == len(set(range(1, highest + 1)) - model)


@given(st.sets(NUMBERS), st.sets(NUMBERS))
def test_two_sets_become_one(one, other):
    found = Ranges(text_of(one))
    found.update(Ranges(text_of(other)))
    assert str(found) == text_of(one | other)


def test_a_long_run_is_one_interval():
    found = Ranges()
    for number in range(1, 10_001):
        found.add(number)
    assert (str(found), found.intervals) == ("1-10000", [(1, 10_000)])


@pytest.mark.parametrize(
    "text", ["x", "1-", "-1", "1,,2", "2-1", "0", "1;2", " 1", "١", "1-99999999999999999999", "1e3"]
)
def test_a_text_that_is_no_set(text):
    with pytest.raises(RangesError):
        Ranges(text)


@pytest.mark.parametrize("number", [0, -1, MAX_NUMBER + 1])
def test_numbers_that_no_set_holds(number):
    found = Ranges("1-5")
    assert number not in found
    with pytest.raises(RangesError, match="no range of numbers"):
        found.add(number)
    assert str(found) == "1-5"


def test_too_many_gaps(monkeypatch):
    monkeypatch.setattr(ranges, "MAX_INTERVALS", 3)
    found = Ranges("1,3,5")
    with pytest.raises(RangesError, match="more than 3 gaps"):
        found.add(7)
    found.add(2)
    found.add(7)
    assert str(found) == "1-3,5,7"
