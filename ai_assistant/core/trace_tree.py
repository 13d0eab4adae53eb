"""The order of a trace's tree: each observation after its parent, siblings as they began."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Row = dict[str, Any]


def in_tree_order(rows: Sequence[Row]) -> Iterator[tuple[Row, int]]:
    """Each observation once, with its depth, 0 at the top; `rows` are in the order in which they began.

    One whose parent is not there (it is still on its way, was lost, or is in another program's trace) stands at the
    top. So does the first of a ring, which only a program with a fault can make.
    """
    spans = {row["span"] for row in rows}
    children: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        parent = row.get("parent") or ""
        children[parent if parent in spans and parent != row["span"] else ""].append(row)
    seen: set[str] = set()
    yield from below(children[""], children, seen)
    for row in rows:
        if row["span"] not in seen:
            yield from below([row], children, seen)


def below(tops: Sequence[Row], children: Mapping[str, list[Row]], seen: set[str]) -> Iterator[tuple[Row, int]]:
    """These rows and all below them, without recursion: a chain may be as long as a trace."""
    waiting = [(row, 0) for row in reversed(tops)]
    while waiting:
        row, depth = waiting.pop()
        span = row["span"]
        if span in seen:
            continue
        seen.add(span)
        yield row, depth
        if span in children:
            waiting.extend([(child, depth + 1) for child in reversed(children[span])])
