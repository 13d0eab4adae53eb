"""The order of a tree, whatever its rows say of their parents."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ai_assistant.core.trace_tree import in_tree_order


def order(*rows: tuple[str, str]) -> list[tuple[str, int]]:
    """Spans with their depths, from (span, parent)."""
    found = in_tree_order([{"span": span, "parent": parent} for span, parent in rows])
    return [(row["span"], depth) for row, depth in found]


def test_children_follow_their_parent_as_they_began():
    rows = [("root", ""), ("a", "root"), ("b", "root"), ("a1", "a"), ("b1", "b"), ("a2", "a")]
    assert order(*rows) == [("root", 0), ("a", 1), ("a1", 2), ("a2", 2), ("b", 1), ("b1", 2)]


def test_a_child_that_began_before_its_parent():
    assert order(("a", "root"), ("root", "")) == [("root", 0), ("a", 1)]


def test_a_parent_that_is_not_there():
    assert order(("root", ""), ("lost", "gone"), ("below", "lost")) == [("root", 0), ("lost", 0), ("below", 1)]


def test_rings_come_last():
    assert order(("self", "self")) == [("self", 0)]
    assert order(("a", "b"), ("b", "a"), ("root", "")) == [("root", 0), ("a", 0), ("b", 1)]


def test_a_chain_as_long_as_a_trace():
    found = order(*((str(i), str(i - 1) if i else "") for i in range(20_000)))
    assert found == [(str(i), i) for i in range(20_000)]


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(-1, 14)), unique_by=lambda pair: pair[0]))
def test_each_once_and_parents_first(pairs: list[tuple[int, int]]):
    found = order(*((str(span), str(parent) if parent >= 0 else "") for span, parent in pairs))
    assert sorted(span for span, _ in found) == sorted(str(span) for span, _ in pairs)
    parents = {str(span): str(parent) for span, parent in pairs}
    place = {span: i for i, (span, _) in enumerate(found)}
    depths = dict(found)
    for span, depth in found:
        if depth:
            assert place[parents[span]] < place[span]
            assert depths[parents[span]] == depth - 1
