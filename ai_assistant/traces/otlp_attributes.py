"""The attributes of one span, while conventions read them: what none of them took becomes metadata."""

from __future__ import annotations

import base64
import json
from typing import Any, Final

PAYLOAD_CHARS: Final = 256 * 1024
"""Characters of an input or an output that are kept."""
VALUE_CHARS: Final = 8_000
"""Characters of one attribute in the metadata."""
METADATA_CHARS: Final = 64 * 1024
"""Characters of an observation's metadata, as JSON."""
WORD_CHARS: Final = 140
"""Characters of names: of a model, a provider, a session."""
MAX_PARTS: Final = 12
"""Levels of a flattened name such as `llm.input_messages.0.message.content`."""
INDEX_DIGITS: Final = 6
INT64_MAX: Final = (1 << 63) - 1


class Attributes:
    """A span's attributes by name."""

    def __init__(self, values: dict[str, Any]):
        """`values` is not changed."""
        self._left = dict(values)

    def take(self, *names: str) -> Any:
        """The first of these attributes that has a value; all of them count as read."""
        found = [self._left.pop(name, None) for name in names]
        return next((value for value in found if value is not None and value != ""), None)

    def look(self, name: str) -> Any:
        """An attribute, which stays for the metadata."""
        return self._left.get(name)

    def word(self, *names: str) -> str | None:
        """The first that has a value, as a short text."""
        value = self.take(*names)
        return None if value is None else text_of(value)[:WORD_CHARS]

    def integer(self, *names: str) -> int | None:
        """The first that has a value, as a count; `None` where it is no number."""
        return whole(self.take(*names))

    def take_under(self, prefix: str) -> dict[str, Any]:
        """Attributes whose name begins with the prefix and a dot, by the rest of their name."""
        start = f"{prefix}."
        names = [name for name in self._left if name.startswith(start)]
        return {name[len(start) :]: self._left.pop(name) for name in names}

    def take_nested(self, prefix: str) -> Any:
        """The same as the list or object that was flattened into them; `None` where there are none."""
        found = self.take_under(prefix)
        return nested(found) if found else None

    def rest(self) -> dict[str, Any]:
        """What nobody took."""
        return self._left


def nested(flat: dict[str, Any]) -> Any:
    """`{"0.role": "user"}` as `[{"role": "user"}]`. A name that is both a value and a prefix loses the value."""
    tree: dict[str, Any] = {}
    for name, value in flat.items():
        *path, last = name.split(".", MAX_PARTS)
        place = tree
        for part in path:
            inner = place.get(part)
            if not isinstance(inner, dict):
                inner = place[part] = {}
            place = inner
        if not isinstance(place.get(last), dict):
            place[last] = value
    return _with_lists(tree)


def _with_lists(tree: Any) -> Any:
    """Objects whose keys are all numbers, as lists in their order."""
    if not isinstance(tree, dict):
        return tree
    values = {key: _with_lists(value) for key, value in tree.items()}
    if values and all(key.isascii() and key.isdigit() and len(key) < INDEX_DIGITS for key in values):
        return [values[key] for key in sorted(values, key=int)]
    return values


def whole(value: Any) -> int | None:
    """A count from a number or from text; `None` for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = int(float(value)) if isinstance(value, str) else int(value)
    except (ValueError, OverflowError):
        return None
    return number if 0 <= number <= INT64_MAX else None


def number(value: Any) -> float | None:
    """A finite number from a number or from text; `None` for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if abs(found) < 1e18 else None


def milliseconds_of(value: Any) -> int | None:
    """Milliseconds, rounded; `None` where it is no number or below 0."""
    found = number(value)
    return round(found) if found is not None and found >= 0 else None


def parsed(value: Any) -> Any:
    """What a text of JSON says; anything else, and text that is no JSON object or list, as it is."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("[", "{"):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def text_of(value: Any) -> str:
    """A payload: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json_of(value)


def json_of(value: Any) -> str:
    """JSON in one line."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=readable)


def readable(value: Any) -> Any:
    """What JSON has no type for."""
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


def clean(value: Any) -> Any:
    """A value without what a database's text cannot hold: NUL and lone surrogates become replacement characters."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, dict):
        return {clean_text(str(key)): clean(one) for key, one in value.items()}
    if isinstance(value, list):
        return [clean(one) for one in value]
    return value


def clean_text(text: str) -> str:
    """Text that every database takes."""
    if "\x00" in text:
        text = text.replace("\x00", "\ufffd")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text


def metadata_of(values: dict[str, Any]) -> str | None:
    """JSON of what is left over, within METADATA_CHARS; `None` where there is nothing."""
    kept: dict[str, Any] = {}
    size = 0
    for name, value in values.items():
        name, value = name[:VALUE_CHARS], bounded(value)
        size += len(name) + len(json_of(value)) + 4
        if size > METADATA_CHARS:
            kept["(left out)"] = f"{len(values) - len(kept)} of {len(values)} attributes, for their size"
            break
        kept[name] = value
    return json_of(kept) if kept else None


def bounded(value: Any) -> Any:
    """A value of at most VALUE_CHARS; what is longer is cut and becomes text."""
    text = text_of(value)
    if len(text) <= VALUE_CHARS:
        return value
    return f"{text[:VALUE_CHARS]}… ({len(text) - VALUE_CHARS} more characters)"
