"""Texts that MariaDB takes: no statement, and no value, may be larger than `max_allowed_packet` (16 MiB by default)."""

from __future__ import annotations

import json
import logging
from typing import Any

import frappe

from ai_assistant.core.message_rows import TEXTS

log = logging.getLogger("ai_assistant.site")

SMALL = 250_000
"""Characters that fit into any server's packet together, however they are escaped."""
JSON_TEXTS = ("content_parts", "thinking_blocks", "tool_calls", "error")
KEPT_OF_A_VALUE = 1_000
CUT = "… [cut: the database takes no more; see max_allowed_packet]"


def split(row: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The row, and what has to be written into it by statements of its own since all of it is too much for one."""
    if sum(len(row.get(name) or "") for name in TEXTS) <= SMALL:
        return row, []
    large = {name: row[name] for name in TEXTS if row.get(name) and len(row[name]) > SMALL // len(TEXTS)}
    limit = max_packet()
    first = {name: "" if name in ("content", "reasoning") else None for name in large}
    return {**row, **first}, [{name: fitting(name, text, limit)} for name, text in large.items()]


def max_packet() -> int:
    """Bytes that a value may take, escaped: the server's limit without room for the rest of the statement."""
    return int(frappe.db.sql("select @@max_allowed_packet")[0][0]) - 16_384


def fitting(name: str, text: str, limit: int) -> str:
    """The text, or what the server takes of it: the beginning of a text, JSON with its long values shortened."""
    if escaped_size(text) <= limit:
        return text
    log.warning("AI Message.%s: %d characters do not fit into max_allowed_packet; cut", name, len(text))
    if name in JSON_TEXTS:
        return json.dumps(shortened(json.loads(text)), ensure_ascii=False, separators=(",", ":"))
    # escaping doubles a text at most
    return text.encode()[: (limit - 2 * len(CUT.encode())) // 2].decode(errors="ignore") + CUT


def escaped_size(text: str) -> int:
    """Bytes of the text between quotes in a statement."""
    return len(text.encode()) + sum(text.count(char) for char in "\0\n\r\x1a\"'\\")


def shortened(value: Any) -> Any:
    """The value with what is long in it cut: an image that came as data, most likely."""
    if isinstance(value, dict):
        return {key: shortened(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shortened(item) for item in value]
    if isinstance(value, str) and len(value) > KEPT_OF_A_VALUE:
        return value[:KEPT_OF_A_VALUE] + CUT
    return value
