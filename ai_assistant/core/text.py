"""Texts from outside, as they can be stored and sent on."""

from __future__ import annotations


def storable(text: str) -> str:
    """The text as UTF-8 can carry it: half a surrogate pair, which some providers send, becomes U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
