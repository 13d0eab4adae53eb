"""Joins characters that a provider cut in two.

Servers written in JavaScript cut texts between UTF-16 code units: an emoji's halves arrive in two deltas, each as a
lone surrogate. A lone surrogate is no Unicode text and could be neither encoded nor stored.
"""

from __future__ import annotations

import re

#: A high surrogate in the escaped form in which JSON must carry it.
ESCAPED = re.compile(rb"\\u[dD][89a-fA-F]")
_ANY = re.compile("[\ud800-\udfff]")


class SurrogateJoiner:
    """Incremental: holds a first half back until its second half comes; halves without a partner become U+FFFD."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, text: str) -> str:
        """The text with whole characters only."""
        text = self._held + text
        self._held = ""
        if not _ANY.search(text):
            return text
        if "\ud800" <= text[-1] <= "\udbff":
            self._held = text[-1]
            text = text[:-1]
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    def close(self) -> str:
        """What is left of a half that never got its partner."""
        held, self._held = self._held, ""
        return "\ufffd" if held else ""
