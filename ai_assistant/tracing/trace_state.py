"""What the observations of one trace in this process have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ai_assistant.tracing.lane import Lane


class TraceState:
    """A segment: a local root and everything below it. `places` belongs to the publisher's thread."""

    __slots__ = ("announced", "fields", "id", "lane", "places", "queued", "root", "segment")

    def __init__(self, id_: str, lane: Lane, segment: int):
        self.id = id_
        self.lane = lane
        self.segment = segment
        self.root = ""
        """Id of the local root."""
        self.fields: dict[str, Any] = {}
        """Fields of the trace that this process has said: all of them are sent again with each change."""
        self.queued = False
        self.announced = False
        """Whether the publisher has told of the trace."""
        self.places = 0
        """Events of the segment so far."""
