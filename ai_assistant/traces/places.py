"""Which events of a trace are there, and how many are missing: by producer and segment."""

from __future__ import annotations

import json
from typing import Any

from ai_assistant.traces.ranges import Ranges, RangesError

MAX_SEGMENTS = 20_000
"""Segments of one trace: each batch reads and writes them all."""


class Places:
    """The places of one trace. Written as JSON, `{"<producer>/<segment>": "1-57,59;63"}`: behind the `;` the highest
    place that is known to have been given, where it is beyond those that are there."""

    __slots__ = ("_heard", "_highest", "_stored")

    def __init__(self, text: str | None = None):
        self._stored: dict[str, Ranges] = {}
        self._highest: dict[str, int] = {}
        self._heard = 0
        for key, value in (json.loads(text) if text else {}).items():
            ranges, _, highest = value.partition(";")
            self._stored[key] = Ranges(ranges)
            if highest:
                self._highest[key] = int(highest)

    def __str__(self) -> str:
        found = {key: self._written(key) for key in sorted(self._stored)}
        return json.dumps(found, ensure_ascii=False, separators=(",", ":")) if found else ""

    def _written(self, key: str) -> str:
        ranges, highest = self._stored[key], self._highest.get(key, 0)
        return f"{ranges};{highest}" if highest > ranges.highest else str(ranges)

    def add(self, producer: str, segment: int, place: int) -> bool:
        """Adds a place; False where it was there already. Raises RangesError."""
        key = f"{producer}/{segment}"
        ranges = self._stored.get(key)
        if ranges is None:
            ranges = self._begin(key)
        return ranges.add(place)

    def _begin(self, key: str) -> Ranges:
        if len(self._stored) >= MAX_SEGMENTS:
            raise RangesError(f"the trace has more than {MAX_SEGMENTS} segments")
        return self._stored.setdefault(key, Ranges())

    def expect(self, producer: str, segment: int, highest: int) -> None:
        """Notes that a segment has had events up to this place. Raises RangesError."""
        key = f"{producer}/{segment}"
        if key not in self._stored:
            self._begin(key)
        self._highest[key] = max(highest, self._highest.get(key, 0))

    def received(self) -> int:
        """How many numbered events there are."""
        return sum(ranges.count() for ranges in self._stored.values())

    def missing(self) -> int:
        """How many were given and are not there."""
        return sum(
            ranges.missing(max(ranges.highest, self._highest.get(key, 0))) for key, ranges in self._stored.items()
        )


def dropped_places(value: Any) -> list[tuple[str, int, int]]:
    """The traces that a `drop` event names: id, segment, and the highest place given up. Raises ValueError, TypeError
    or KeyError where it is none."""
    found = []
    for trace, segment, highest, *_ in value:
        if not isinstance(trace, str) or not isinstance(segment, int) or not isinstance(highest, int):
            raise TypeError
        found.append((trace, segment, highest))
    return found
