"""Tokens and money of one answer."""

from __future__ import annotations

import msgspec


class Usage(msgspec.Struct, kw_only=True):
    """Token counts as the wire contract names them; `cost` in US dollars, `None` when no price is known."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    """Part of `completion_tokens`, where the provider tells it."""
    cached_tokens: int = 0
    """Part of `prompt_tokens` that the provider read from its cache."""
    total_tokens: int = 0
    cost: float | None = None
    estimated: bool = False
    """True when the provider sent no usage and the tokens were counted here."""
