"""When each piece of an answer went out, so that it can be played back as its user saw it."""

from __future__ import annotations

from array import array
from typing import Any, Final

from ai_assistant.worker.transcript import Call

MOST_MARKS: Final = 5000
"""Marks of each kind that are kept; of more, neighbours are put together until it is so many. A minute has 3,750 frames
at most, and a person reads fewer."""
MOST_CALLS: Final = 128
"""Tool calls whose marks are kept."""

Pairs = list[list[int]]


class Marks:
    """Two numbers for each delta that went out: milliseconds since the task was accepted, and characters."""

    __slots__ = ("_calls", "_reasoning", "_text")

    def __init__(self) -> None:
        self._reasoning = array("q")
        self._text = array("q")
        self._calls: dict[str, array[int]] = {}

    def add(self, kind: str | Call | None, ms: int, chars: int) -> None:
        """One delta: `reasoning`, `text`, or a piece of a tool call's arguments."""
        if kind == "text":
            numbers = self._text
        elif kind == "reasoning":
            numbers = self._reasoning
        else:
            numbers = self._of_call(kind)
        numbers.append(ms)
        numbers.append(chars)

    def _of_call(self, call: Any) -> array[int]:
        numbers = self._calls.get(call.id)
        if numbers is None:
            numbers = array("q")
            if len(self._calls) < MOST_CALLS:
                self._calls[call.id] = numbers
        return numbers

    @property
    def first_reasoning_ms(self) -> int | None:
        """When the first piece of thinking went out."""
        return self._reasoning[0] if self._reasoning else None

    @property
    def first_text_ms(self) -> int | None:
        """When the first piece of the answer went out."""
        return self._text[0] if self._text else None

    def of_call(self, id_: str) -> tuple[int, int] | None:
        """When the first and the last piece of a tool call went out."""
        numbers = self._calls.get(id_)
        return (numbers[0], numbers[-2]) if numbers else None

    def __len__(self) -> int:
        """How many deltas went out."""
        return (len(self._reasoning) + len(self._text) + sum(map(len, self._calls.values()))) // 2

    def as_dict(self) -> dict[str, Any]:
        """What is stored: `{"reasoning": [[ms, chars], …], "text": …, "tool_calls": {id: …}}`, without what is empty.
        Nothing is in it earlier than it was seen."""
        calls = {id_: thinned(numbers) for id_, numbers in self._calls.items()}
        found = {"reasoning": thinned(self._reasoning), "text": thinned(self._text), "tool_calls": calls}
        return {name: value for name, value in found.items() if value}


def thinned(numbers: array[int]) -> Pairs:
    """The marks as pairs, `MOST_MARKS` at most: two neighbours become one at the time of the later."""
    pairs = [[numbers[i], numbers[i + 1]] for i in range(0, len(numbers), 2)]
    while len(pairs) > MOST_MARKS:
        joined = [[late[0], early[1] + late[1]] for early, late in zip(pairs[::2], pairs[1::2], strict=False)]
        pairs = joined + ([pairs[-1]] if len(pairs) % 2 else [])
    return pairs
