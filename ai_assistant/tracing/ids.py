"""Ids of traces and observations: random, and never the same in a process and its children."""

from __future__ import annotations

import os
import random
import time


class Ids:
    """Makes ids as W3C Trace Context has them. `os.urandom` costs a system call each; a generator of our own, seeded
    from it, does not, and a program that seeds Python's own does not repeat ours."""

    def __init__(self) -> None:
        self._bits = random.Random(os.urandom(32)).getrandbits

    def trace(self) -> str:
        """32 hexadecimal digits, not all of them 0."""
        return f"{self._bits(128) or 1:032x}"

    def span(self) -> str:
        """16 hexadecimal digits, not all of them 0."""
        return f"{self._bits(64) or 1:016x}"


def now_us() -> int:
    """Epoch microseconds by this machine's clock."""
    return time.time_ns() // 1000
