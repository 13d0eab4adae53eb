"""Joins what one network read brought, so that a clump of tokens is one delta and none of it waits for a frame."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from ai_assistant.gateway.chunks import Chunk, ReasoningDelta, TextDelta


def joined(chunks: Sequence[Chunk]) -> Sequence[Chunk]:
    """The same with neighbouring pieces of text, and of reasoning, made one."""
    if len(chunks) < 2:
        return chunks
    found: list[Chunk] = []
    for kind, run in groupby(chunks, type):
        pieces = list(run)
        if kind in (TextDelta, ReasoningDelta) and len(pieces) > 1:
            found.append(kind("".join(piece.text for piece in pieces)))  # type: ignore[union-attr]
        else:
            found += pieces
    return found
