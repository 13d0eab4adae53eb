"""What Frappe's columns want of a conversation's and a message's rows: no empty numbers, no HTML for the Desk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ai_assistant.core.message_rows import TIMINGS, TOKENS
from ai_assistant.site.clock import to_utc

NUMBERS = (*TOKENS, *TIMINGS, "cost")
MAX_NUMBER = 2**31 - 1
"""What an Int column holds; providers are not believed beyond it."""
LABELS = ("model", "provider", "finish_reason", "error_code", "error_message")
MAX_LABEL = 10_000
_PLAIN = str.maketrans("<>", "‹›")


def to_columns(row: dict[str, Any]) -> dict[str, Any]:
    """A row of `core.message_rows` for AI Message: number columns cannot be empty on a site (v15
    `database/schema.py`), so `known_numbers` names those that are known."""
    known = [name for name in NUMBERS if row.get(name) is not None]
    numbers = {name: min(row[name], MAX_NUMBER) if name in known else 0 for name in NUMBERS}
    labels = {name: plain_label(row[name]) for name in LABELS if row.get(name)}
    return {**row, **numbers, **labels, "known_numbers": ",".join(known)}


def from_columns(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of AI Message for `core.message_rows.stored_message`."""
    known = (row["known_numbers"] or "").split(",")
    unknown = dict.fromkeys(name for name in NUMBERS if name not in known)
    return {**row, **unknown, "creation": to_utc(row["creation"])}


def plain_label(text: str) -> str:
    """A text for people in which no HTML starts: the Desk's report view shows Data and Small Text as HTML."""
    return text[:MAX_LABEL].translate(_PLAIN)


def to_title(title: str) -> str:
    """A title as Frappe stores one that was typed in the Desk: `<` and `>` as entities, for the same reason."""
    return title.replace("<", "&lt;").replace(">", "&gt;")


def from_title(stored: str | None) -> str:
    """The title as it was given."""
    return (stored or "").replace("&lt;", "<").replace("&gt;", ">")
