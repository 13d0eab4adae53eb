"""Joining the chunks of one network read."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ai_assistant.gateway.chunks import Chunk, Finish, ReasoningDelta, TextDelta, ToolCallDelta
from ai_assistant.worker.joining import joined

TEXTS = st.text(min_size=1, max_size=5)
CHUNKS = st.lists(
    st.one_of(TEXTS.map(TextDelta), TEXTS.map(ReasoningDelta), st.integers(0, 2).map(ToolCallDelta)), max_size=20
)


def letters(chunks: list[Chunk]) -> list[tuple[type, str]]:
    """Every character with its kind; a tool call is one letter."""
    found: list[tuple[type, str]] = []
    for chunk in chunks:
        if isinstance(chunk, TextDelta | ReasoningDelta):
            found += [(type(chunk), letter) for letter in chunk.text]
        else:
            found.append((type(chunk), repr(chunk)))
    return found


@given(CHUNKS)
def test_nothing_is_lost_moved_or_left_apart(chunks: list[Chunk]):
    found = list(joined(chunks))
    assert letters(found) == letters(chunks)
    texts = [type(chunk) if isinstance(chunk, TextDelta | ReasoningDelta) else object() for chunk in found]
    assert all(a != b for a, b in pairwise(texts))


def test_a_clump_is_one_piece_and_the_end_stays_last():
    finish = Finish(reason="stop")
    assert joined([TextDelta("a"), TextDelta("b"), finish]) == [TextDelta("ab"), finish]
