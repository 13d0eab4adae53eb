"""Words for the full-text search, made alike for what is stored and for what is looked for.

Databases cut texts into words each in its own way; these are cut already: lower case, without accents, letters and
digits only. A search finds where each of its words begins one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

MAX_WORD = 80
"""InnoDB's index leaves longer ones out (`innodb_ft_max_token_size`, 84)."""
MAX_CHARS = 4_000

_WORDS = re.compile(r"[^\W_]+")


def words_of(text: str) -> list[str]:
    """The words of a text, in its order."""
    if not text.isascii():
        text = "".join(each for each in unicodedata.normalize("NFKD", text) if not unicodedata.combining(each))
    return [found[:MAX_WORD] for found in _WORDS.findall(text.casefold())]


def search_text(texts: Iterable[str]) -> str:
    """Every word of the texts once, a blank before each; at most MAX_CHARS characters."""
    found: dict[str, None] = {}
    length = 0
    for text in texts:
        for word in words_of(text):
            if word not in found:
                length += len(word) + 1
                if length > MAX_CHARS:
                    return "".join(f" {each}" for each in found)
                found[word] = None
    return "".join(f" {each}" for each in found)
