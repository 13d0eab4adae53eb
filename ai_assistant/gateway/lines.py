"""Cuts a byte stream into lines, however the network split it."""

from __future__ import annotations

#: Longest line taken, in bytes. One event of an LLM stream is a few hundred bytes; a whole non-streamed tool call
#: sent as one event stays far below this.
MAX_LINE_BYTES = 1024 * 1024


class LineTooLongError(ValueError):
    """A line (or one event's data) exceeds the bound: the peer does not speak the protocol."""


class LineSplitter:
    """Incremental splitter for LF, CRLF and CR line ends (the set of the EventSource specification)."""

    def __init__(self, max_line: int = MAX_LINE_BYTES):
        """`max_line` is in bytes; a longer line raises instead of growing the buffer."""
        self._max_line = max_line
        self._rest = b""
        self._skip_lf = False

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that `data` completed, without their ends. Raises `LineTooLongError`."""
        if self._skip_lf and data:
            self._skip_lf = False
            if data[:1] == b"\n":
                data = data[1:]
        if b"\r" in data:
            self._skip_lf = data[-1:] == b"\r"
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = (self._rest + data).split(b"\n") if self._rest else data.split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > self._max_line or any(len(line) > self._max_line for line in lines):
            raise LineTooLongError(f"a line is longer than {self._max_line} bytes")
        return lines

    def close(self) -> bytes:
        """Return what came after the last line end: empty when the stream ended cleanly."""
        rest, self._rest = self._rest, b""
        return rest
