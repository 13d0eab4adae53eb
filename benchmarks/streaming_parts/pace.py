"""How fast the upstream answers, told by the model's name, so that one upstream serves every load."""

from __future__ import annotations

import re

import msgspec

#: Tokens of one clump of the bursty form, and of an answer at once.
DEFAULT_CLUMP = 10
_NAME = re.compile(r"(?:.*/)?(steady|bursty)-(\d+)-(\d+(?:\.\d+)?)(?:-(\d+))?")
_ONCE = re.compile(r"(?:.*/)?once-(\d+)")


class Pace(msgspec.Struct, frozen=True):
    """`tokens` tokens, `clump` of them at a time, a clump every `interval_ns`; the first clump is due at once."""

    tokens: int
    clump: int
    interval_ns: int

    def due_ns(self, number: int) -> int:
        """When the token with this number is due, after the first."""
        return number // self.clump * self.interval_ns


def pace_of(model: str) -> Pace:
    """The pace that a model's name means: `steady-<tokens/s>-<s>`, `bursty-<tokens/s>-<s>[-<clump>]`,
    `once-<tokens>`, each after any prefix that ends with a slash. Raises ValueError for another name."""
    if once := _ONCE.fullmatch(model):
        tokens = int(once[1])
        return Pace(tokens, max(1, tokens), 0)
    found = _NAME.fullmatch(model)
    if not found or int(found[2]) == 0:
        raise ValueError(f"the model {model!r} names no pace; try steady-50-10, bursty-200-10 or once-20")
    rate = int(found[2])
    clump = 1 if found[1] == "steady" else int(found[4] or DEFAULT_CLUMP)
    if clump == 0:
        raise ValueError(f"the model {model!r} has clumps of no token")
    return Pace(round(rate * float(found[3])), clump, clump * 1_000_000_000 // rate)
