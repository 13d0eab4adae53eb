"""Marks: when each piece of an answer went out, bounded, and never earlier than it did."""

from __future__ import annotations

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from ai_assistant.worker.chat_trace_marks import MOST_CALLS, MOST_MARKS, Marks
from ai_assistant.worker.transcript import Call


def test_each_kind_has_its_own_marks():
    marks, call = Marks(), Call("c1", "look")
    for kind, ms, chars in [("reasoning", 5, 3), ("text", 9, 2), (call, 12, 4), ("text", 30, 1), (call, 31, 0)]:
        marks.add(kind, ms, chars)
    assert marks.as_dict() == {
        "reasoning": [[5, 3]],
        "text": [[9, 2], [30, 1]],
        "tool_calls": {"c1": [[12, 4], [31, 0]]},
    }
    assert (marks.first_reasoning_ms, marks.first_text_ms, marks.of_call("c1")) == (5, 9, (12, 31))
    assert len(marks) == 5


def test_an_answer_that_never_began_has_none():
    marks = Marks()
    assert (marks.as_dict(), len(marks), marks.first_text_ms, marks.of_call("c1")) == ({}, 0, None, None)


@given(
    st.lists(st.tuples(st.integers(0, 100), st.integers(1, 9)), max_size=30), st.integers(MOST_MARKS, MOST_MARKS * 5)
)
def test_what_is_too_much_is_joined(steps: list[tuple[int, int]], count: int):
    marks, now = Marks(), 0
    seen: list[tuple[int, int]] = []
    for i in range(count):
        wait, chars = steps[i % len(steps)] if steps else (1, 1)
        now += wait
        marks.add("text", now, chars)
        seen.append((now, chars))
    kept = marks.as_dict()["text"]
    assert len(kept) <= MOST_MARKS
    assert [ms for ms, _ in kept] == sorted(ms for ms, _ in kept)
    shown = dict(zip(accumulate(chars for _, chars in seen), seen, strict=True))
    ends = list(accumulate(chars for _, chars in kept))
    assert ends[-1] == max(shown)
    for end, (ms, _) in zip(ends, kept, strict=True):
        assert shown[end][0] == ms  # a mark bears the time of the last piece that it stands for


def test_calls_without_end_are_bounded():
    marks = Marks()
    for i in range(MOST_CALLS * 3):
        marks.add(Call(f"c{i}", "look"), i, 1)
    assert len(marks.as_dict()["tool_calls"]) == MOST_CALLS
