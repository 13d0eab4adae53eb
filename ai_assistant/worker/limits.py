"""When the one background job of a bench ends. Apart from the job, since whoever asks for one needs its time limit."""

from __future__ import annotations

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """When a tenure ends, in seconds."""

    idle_s: float = 30.0
    hand_over_s: float = 600.0
    """When a successor is asked for. Until it begins, or there is a moment without a stream, tasks are taken."""
    last_s: float = 2700.0
    """When no more tasks are taken, though no successor has begun: all other places are busy for so long."""
    finish_s: float = 3600.0
    """How long running streams may go on then; a model's own limit (900 s by default) ends them before."""
    room_s: float = 3.0
    """How long another job waits before room is made for it."""
    grace_s: float = 10.0
    """How long running streams may go on when the job runner shuts down."""
    beat_s: float = 2.0

    @property
    def longest_s(self) -> int:
        """The longest that a job can take; the time limit to give the job runner, with some reserve."""
        return int(self.last_s + self.finish_s + self.grace_s) + 60
