"""Tokens that carry the time at which they were written, and their recognition on the other side.

A token is `[number:nanoseconds] `: its place in the answer, from 0, and CLOCK_MONOTONIC at the writer. The clock is one
for all processes of a machine (clock_gettime(2)), so the reader's clock minus the stamp is the token's latency.
"""

from __future__ import annotations

import re
import time

_TOKEN = re.compile(r"\[(\d+):(\d+)\] ")
_TOKEN_BYTES = re.compile(rb"\[(\d+):(\d+)\] ")
#: No token is longer; what is left over at the end of a piece and longer than this is not the start of one.
MAX_TOKEN = 64


def token(number: int) -> str:
    """The token of that place in the answer, stamped now."""
    return f"[{number}:{time.monotonic_ns()}] "


class StampReader:
    """Reads the tokens of one answer from its pieces, however they were cut."""

    __slots__ = ("_rest", "_seen", "duplicates", "expected", "first_stamp", "out_of_order")

    def __init__(self, expected: int):
        self.expected = expected
        self.duplicates = 0
        self.out_of_order = 0
        self.first_stamp: int | None = None
        """The stamp of token 0: the upstream's first byte was written with it."""
        self._seen: set[int] = set()
        self._rest = ""

    @property
    def delivered(self) -> int:
        """How many different tokens have come."""
        return len(self._seen)

    def feed(self, text: str, now: int) -> list[int]:
        """The latencies, in nanoseconds, of the tokens that `text` completed; `now` is the time of its receipt."""
        data = self._rest + text if self._rest else text
        latencies = []
        end = 0
        for match in _TOKEN.finditer(data):
            end = match.end()
            stamp = int(match[2])
            if self._take(int(match[1]), stamp):
                latencies.append(now - stamp)
        self._rest = data[end:][-MAX_TOKEN:]
        return latencies

    def _take(self, number: int, stamp: int) -> bool:
        """Notes a token; whether it is new."""
        if number in self._seen:
            self.duplicates += 1
            return False
        if number != len(self._seen):
            self.out_of_order += 1
        if number == 0:
            self.first_stamp = stamp
        self._seen.add(number)
        return True


class RawReader:
    """The same for raw bytes of an HTTP answer, where the tokens stand in JSON in Server-Sent Events."""

    __slots__ = ("_reader", "_rest")

    def __init__(self, reader: StampReader):
        self._reader = reader
        self._rest = b""

    def feed(self, data: bytes, now: int) -> list[int]:
        """As `StampReader.feed`."""
        data = self._rest + data if self._rest else data
        pieces = []
        end = 0
        for match in _TOKEN_BYTES.finditer(data):
            end = match.end()
            pieces.append(match[0])
        self._rest = data[end:][-MAX_TOKEN:]
        return self._reader.feed(b"".join(pieces).decode("ascii"), now) if pieces else []
