"""Incremental parser of `text/event-stream` (https://html.spec.whatwg.org/multipage/server-sent-events.html).

Works on bytes: the data goes to a JSON decoder as it is, so a UTF-8 sequence split by the network needs no care.
`id` and `retry` are ignored, for a model's answer cannot be resumed.
"""

from __future__ import annotations

from typing import NamedTuple

from ai_assistant.gateway.lines import MAX_LINE_BYTES, LineSplitter, LineTooLongError

_BOM = b"\xef\xbb\xbf"


class SseEvent(NamedTuple):
    """One event: its `event` field (empty when there was none) and its data lines joined by LF."""

    name: str
    data: bytes


class SseParser:
    """Feed it bytes, get events. A line, and the data of one event, are bounded by `max_bytes`."""

    def __init__(self, max_bytes: int = MAX_LINE_BYTES):
        self._lines = LineSplitter(max_bytes)
        self._max_bytes = max_bytes
        self._name = ""
        self._data: list[bytes] = []
        self._size = 0
        self._first = True

    def feed(self, data: bytes) -> list[SseEvent]:
        """Return the events that `data` completed. Raises `LineTooLongError`."""
        events: list[SseEvent] = []
        for line in self._lines.feed(data):
            self._take(line, events)
        return events

    def close(self) -> list[SseEvent]:
        """Return the event that the end of the stream left open: many servers omit the last empty line."""
        events: list[SseEvent] = []
        rest = self._lines.close()
        if rest:
            self._take(rest, events)
        self._take(b"", events)
        return events

    def _take(self, line: bytes, events: list[SseEvent]) -> None:
        """One line: an empty one ends the event, a comment is skipped."""
        if self._first:
            self._first = False
            line = line.removeprefix(_BOM)
        if not line:
            if self._data:
                events.append(SseEvent(self._name, b"\n".join(self._data)))
                self._data = []
                self._size = 0
            self._name = ""
        elif line.startswith(b"data:"):
            self._append(line[6:] if line[5:6] == b" " else line[5:])
        elif line.startswith(b"event:"):
            self._name = line[6:].strip().decode("utf-8", "replace")
        elif line == b"data":
            self._append(b"")

    def _append(self, value: bytes) -> None:
        self._size += len(value)
        if self._size > self._max_bytes:
            raise LineTooLongError(f"an event is longer than {self._max_bytes} bytes")
        self._data.append(value)
