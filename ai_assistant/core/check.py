"""Small checks of arguments: each gives the value in its right type, or a ValidationError that names the field."""

from __future__ import annotations

import math
import uuid
from typing import Any

import msgspec

from ai_assistant.core.errors import ValidationError


def parsed(field: str, value: Any) -> Any:
    """`value`, or what its JSON says when it is a string: forms carry lists and objects as text."""
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise ValidationError(f"{field}: not valid JSON ({error})") from None


def text(field: str, value: Any, *, max_length: int, required: bool = False) -> str | None:
    """A string without NUL and lone surrogates, at most `max_length` characters; `None` and `""` are nothing."""
    if value is None or value == "":
        if required:
            raise ValidationError(f"{field}: is missing")
        return None
    if not isinstance(value, str):
        raise ValidationError(f"{field}: must be a string, not {kind(value)}")
    if len(value) > max_length:
        raise ValidationError(f"{field}: {len(value)} characters; at most {max_length} are allowed")
    clean(field, value)
    return value


def clean(field: str, value: str) -> None:
    """Refuses what cannot be stored or sent on as UTF-8 text."""
    at = value.find("\x00")
    if at >= 0:
        raise ValidationError(f"{field}: contains a NUL character at position {at}; remove it")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValidationError(
            f"{field}: contains a lone surrogate (half of a character) at position {error.start}; send valid Unicode"
        ) from None


def integer(field: str, value: Any, *, low: int, high: int, default: int) -> int:
    """A whole number within `low` and `high`; strings of digits are taken, since forms and queries have no numbers."""
    if value is None or value == "":
        return default
    number = value
    if isinstance(value, str):
        try:
            number = int(value, 10) if len(value) <= 20 else None
        except ValueError:
            number = None
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if isinstance(number, bool) or not isinstance(number, int):
        raise ValidationError(f"{field}: must be a whole number, not {shown(value)}")
    if not low <= number <= high:
        raise ValidationError(f"{field}: must be between {low} and {high}, not {number}")
    return number


def number(field: str, value: Any, *, low: float, high: float) -> float | None:
    """A finite number within `low` and `high`, or `None`."""
    if value is None or value == "":
        return None
    found: Any = value
    if isinstance(value, str):
        try:
            found = float(value)
        except ValueError:
            found = None
    if isinstance(found, int) and not isinstance(found, bool) and abs(found) > 2**1000:
        found = math.inf  # no float holds it
    if isinstance(found, bool) or not isinstance(found, (int, float)) or not math.isfinite(found):
        raise ValidationError(f"{field}: must be a number, not {shown(value)}")
    if not low <= found <= high:
        raise ValidationError(f"{field}: must be between {low:g} and {high:g}, not {found:g}")
    return float(found)


def boolean(field: str, value: Any, *, default: bool) -> bool:
    """true/false, 1/0, or their strings."""
    if value is None or value == "":
        return default
    if isinstance(value, str):
        value = {"1": 1, "0": 0, "true": 1, "false": 0}.get(value.lower(), value)
    if isinstance(value, (bool, int)) and value in (0, 1):
        return bool(value)
    raise ValidationError(f"{field}: must be true or false, not {shown(value)}")


def choice(field: str, value: Any, options: tuple[str, ...]) -> str | None:
    """One of `options`, or `None`."""
    if value is None or value == "":
        return None
    if not isinstance(value, str) or value not in options:
        raise ValidationError(f"{field}: must be one of {', '.join(options)}, not {shown(value)}")
    return value


def task_id(value: Any, *, required: bool = True) -> str | None:
    """A UUID in its canonical form."""
    if value is None or value == "":
        if required:
            raise ValidationError("task_id: is missing")
        return None
    try:
        if not isinstance(value, str) or len(value) > 64:
            raise ValueError
        return str(uuid.UUID(value))
    except ValueError:
        raise ValidationError(f"task_id: must be a UUID, not {shown(value)}") from None


def kind(value: Any) -> str:
    """What JSON calls the type of a value."""
    names = {type(None): "null", bool: "a boolean", int: "a number", float: "a number", str: "a string"}
    names |= {list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)


def shown(value: Any) -> str:
    """A value for an error message: short, and always valid text."""
    if isinstance(value, (list, dict)):
        return kind(value)
    found = str(value)[:40].encode("utf-8", "backslashreplace").decode().replace("\x00", "\\0")
    return f"{found!r}" if isinstance(value, str) else found
