"""Reasoning as it grows: bounded while it streams, counted whole."""

from __future__ import annotations

from typing import Any


class Reasoning:
    """Reasoning as it grows: the first `limit` characters, and how many there were in all."""

    __slots__ = ("_kept", "_pieces", "chars", "limit")

    def __init__(self, limit: int):
        self.limit = limit
        self.chars = 0
        self._kept = 0
        self._pieces: list[str] = []

    def add(self, text: str) -> None:
        """One more piece."""
        self.chars += len(text)
        if self._kept < self.limit:
            piece = text[: self.limit - self._kept]
            self._kept += len(piece)
            self._pieces.append(piece)

    def columns(self) -> dict[str, Any]:
        """As columns; none where there was no reasoning."""
        if not self.chars:
            return {}
        cut = 1 if self.chars > self._kept else 0
        return {"reasoning": "".join(self._pieces), "reasoning_chars": self.chars, "reasoning_truncated": cut}
