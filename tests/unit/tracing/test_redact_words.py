"""The cheap look for words that come with secrets misses none of them, wherever it stands."""

from __future__ import annotations

import pytest

from ai_assistant.tracing import redact
from ai_assistant.tracing.redact import Redactor

FILLER = "Lunch at the station, two soups, paid in cash. "
TABLES = (*redact._WORDS, *redact._STARTS, *redact._ENDS)
MARKED = {"gh": "ghp_", "://": "https://me@host"}
"""Words that count only beside their mark."""
WORDS = [MARKED.get(word, word) for _, words in TABLES for word in words]
MEMBERS = [f'"{name}"' for name in ("sid", "auth", "pass", "passcode", "jwt", "otp")]


@pytest.mark.parametrize("word", [*WORDS, *MEMBERS])
@pytest.mark.parametrize("around", ["{}", FILLER + "{}" + FILLER, "_-=" * 30 + "{}", "{}" + '_-="' * 30])
def test_every_word_is_seen(word: str, around: str):
    assert not Redactor().is_harmless(around.format(word))


@pytest.mark.parametrize("word", [word for _, words in redact._WORDS for word in words])
def test_words_are_seen_in_capitals(word: str):
    assert not Redactor().is_harmless(FILLER + word.upper() + FILLER)


@pytest.mark.parametrize(
    "text", ["", FILLER * 40, "look, create, compass, lazy Kate's 9 jokes are_-=fine", '"siding" "author"']
)
def test_what_only_looks_like_them_is_harmless(text: str):
    assert Redactor().is_harmless(text)
