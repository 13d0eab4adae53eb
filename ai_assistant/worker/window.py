"""How long deltas are joined: a frame of a screen, and longer as the worker falls behind."""

from __future__ import annotations

from ai_assistant.streams.publisher import Publisher

FRAME_S = 0.016
LONGEST_S = 0.25
ROUND_TRIPS = 2.0
"""An idle worker's round trip is far below a frame; under load the window is this many of them."""


class Window:
    """The window of all tasks of a worker, from the publisher's smoothed round trip."""

    def __init__(self, publisher: Publisher):
        self._publisher = publisher
        self.widest_s = FRAME_S
        """The widest that it has been; for the metrics."""

    def seconds(self) -> float:
        """The window now."""
        now = min(LONGEST_S, max(FRAME_S, self._publisher.round_trip_s * ROUND_TRIPS))
        if now > self.widest_s:
            self.widest_s = now
        return now
