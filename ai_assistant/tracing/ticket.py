"""Waiting for a delivery."""

from __future__ import annotations

import threading

from ai_assistant.tracing.lane import Lane


class Ticket:
    """Somebody who waits until what was left before is delivered."""

    __slots__ = ("event", "targets")

    def __init__(self) -> None:
        self.event = threading.Event()
        self.targets: list[tuple[Lane, int]] | None = None
        """The last number of each lane that matters; None before the queue was emptied."""

    def is_due(self) -> bool:
        """Whether all of it was delivered."""
        return self.targets is not None and all(lane.has_delivered(number) for lane, number in self.targets)
