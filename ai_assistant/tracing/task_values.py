"""Values of a program as parts of an event: JSON within a bound, whatever they are."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ai_assistant.tracing.capture import as_text, storable

VALUE_BYTES: Final = 16 * 1024
REASONING_BYTES: Final = 6 * 1024
WORDS: Final = 140
"""Characters of a name."""

_encode = msgspec.json.Encoder().encode


def fitted(value: Any, limit: int = VALUE_BYTES) -> tuple[msgspec.Raw, bool]:
    """`value` as JSON of at most `limit` bytes, and whether something was left out."""
    chars = limit
    while True:
        text, cut = as_text(value, chars)
        raw = _encode(text) if isinstance(value, str) or not is_json(text) else text.encode()
        if len(raw) <= limit:
            return msgspec.Raw(raw), cut
        chars //= 2


def is_json(text: str) -> bool:
    """Whether a value that is no string became JSON, not words about it."""
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError:
        return False
    return True


def merged(data: dict[str, Any], rest: msgspec.Raw | None) -> msgspec.Raw:
    """The parts of an event's `data` as one JSON object."""
    head = _encode(data)
    if rest is None or bytes(rest) == b"{}":
        return msgspec.Raw(head)
    tail = bytes(rest)
    if not tail.startswith(b"{"):
        tail = b'{"data":' + tail + b"}"
    return msgspec.Raw(tail if head == b"{}" else head[:-1] + b"," + tail[1:])


def words(field: str, value: Any, limit: int = WORDS) -> str:
    """A name. Raises ValueError, which names the field, for what is none."""
    if not isinstance(value, str) or not value.strip() or len(value) > limit:
        raise ValueError(f"{field} must be a text of 1 to {limit} characters, not {value!r:.200}")
    return storable(value.strip())


def shortened(text: Any, limit: int) -> str:
    """A text of at most `limit` bytes of UTF-8; what is no text becomes one."""
    words_ = storable(text if isinstance(text, str) else str(text))
    if len(words_) * 4 <= limit or len(words_.encode()) <= limit:
        return words_
    return words_.encode()[: limit - 3].decode(errors="ignore") + "…"
