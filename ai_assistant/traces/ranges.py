"""Sets of positive whole numbers as intervals, written like `1-57,59`: which events there are.

Numbers mostly come in order, so that a set of millions is one interval; adding the next one to it takes no search.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right

MAX_NUMBER = 2**53
MAX_INTERVALS = 20_000
"""Beyond it a set refuses new intervals: its text would become a burden, and no honest producer makes such gaps."""


class RangesError(ValueError):
    """A text that is no set, a number that no set holds, or a set with too many gaps; the message says which."""


class Ranges:
    """A set of whole numbers from 1 to MAX_NUMBER."""

    __slots__ = ("_ends", "_starts")

    def __init__(self, text: str = ""):
        """The set that `text` describes. Raises RangesError."""
        self._starts: list[int] = []
        self._ends: list[int] = []
        if text:
            self._read(text)

    def __contains__(self, number: int) -> bool:
        if not self._ends or number > self._ends[-1]:
            return False
        at = bisect_right(self._starts, number) - 1
        return at >= 0 and number <= self._ends[at]

    def __bool__(self) -> bool:
        return bool(self._starts)

    def __str__(self) -> str:
        pairs = zip(self._starts, self._ends, strict=True)
        return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in pairs)

    @property
    def highest(self) -> int:
        """The largest number; 0 of an empty set."""
        return self._ends[-1] if self._ends else 0

    @property
    def intervals(self) -> list[tuple[int, int]]:
        """First and last number of each interval, in order; no two of them touch."""
        return list(zip(self._starts, self._ends, strict=True))

    def count(self) -> int:
        """How many numbers there are."""
        return sum(self._ends) - sum(self._starts) + len(self._starts)

    def missing(self, highest: int) -> int:
        """How many of the numbers from 1 to `highest` are not there."""
        return highest - sum(min(high, highest) - low + 1 for low, high in self.intervals if low <= highest)

    def add(self, number: int) -> bool:
        """Adds a number; False where it was there already. Raises RangesError."""
        if self._ends and number == self._ends[-1] + 1 and number <= MAX_NUMBER:
            self._ends[-1] = number
            return True
        if number in self:
            return False
        self.add_range(number, number)
        return True

    def add_range(self, low: int, high: int) -> None:
        """Adds all numbers from `low` to `high`. Raises RangesError."""
        self._add_range(low, high, MAX_INTERVALS)

    def _add_range(self, low: int, high: int, most: float) -> None:
        if not 1 <= low <= high <= MAX_NUMBER:
            raise RangesError(f"{low}-{high} is no range of numbers from 1 to {MAX_NUMBER}")
        # the intervals that it overlaps or touches become one with it
        first = bisect_left(self._ends, low - 1)
        last = bisect_right(self._starts, high + 1)
        if first < last:
            low, high = min(low, self._starts[first]), max(high, self._ends[last - 1])
        elif len(self._starts) >= most:
            raise RangesError(f"its numbers have more than {most} gaps")
        self._starts[first:last] = [low]
        self._ends[first:last] = [high]

    def discard(self, number: int) -> None:
        """Takes a number out, if it is there."""
        at = bisect_right(self._starts, number) - 1
        if at < 0 or number > self._ends[at]:
            return
        low, high = self._starts[at], self._ends[at]
        left = [(a, b) for a, b in ((low, number - 1), (number + 1, high)) if a <= b]
        self._starts[at : at + 1] = [a for a, _ in left]
        self._ends[at : at + 1] = [b for _, b in left]

    def update(self, other: Ranges) -> None:
        """Adds all numbers of another set, however many gaps there are then: each of the two is bounded."""
        for low, high in other.intervals:
            self._add_range(low, high, math.inf)

    def _read(self, text: str) -> None:
        for part in text.split(","):
            low, dash, high = part.partition("-")
            if not (low.isdecimal() and low.isascii() and (not dash or (high.isdecimal() and high.isascii()))):
                raise RangesError(f"{text[:60]!r} is no list of ranges like '1-57,59'")
            if len(low) > 16 or len(high) > 16:
                raise RangesError(f"{part[:60]!r} is beyond {MAX_NUMBER}")
            # however many there are: to take one number out of a full set makes one more
            self._add_range(int(low), int(high) if dash else int(low), math.inf)
