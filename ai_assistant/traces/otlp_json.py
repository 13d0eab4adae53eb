"""Reads and writes OTLP's JSON by the tables of `otlp_schema`.

OTLP/HTTP, "JSON Protobuf Encoding": names in lowerCamelCase, ids in hexadecimal, enumerations as numbers, 64-bit
integers as text or numbers. Names with underscores and enumerations by name are read too, as protobuf's JSON mapping
has them; unknown members are ignored.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final

from ai_assistant.traces.otlp_proto import INT64, MAX_DEPTH, TOO_DEEP
from ai_assistant.traces.otlp_schema import Field, Message

MAX_CONTAINERS: Final = 2_000_000
"""Lists and objects of one body."""
_SPECIAL: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_HEX: Final = re.compile(r"(?:[0-9a-fA-F]{2})*")
_CAPITAL: Final = re.compile(r"(?<=[a-z0-9])([A-Z])")
_RANGES: Final = {
    "int64": INT64,
    "int32": range(-(1 << 31), 1 << 31),
    "enum": range(-(1 << 31), 1 << 31),
    "fixed64": range(1 << 64),
    "uint32": range(1 << 32),
    "fixed32": range(1 << 32),
}


class JsonError(ValueError):
    """JSON that is not the message it should be; the message names the place."""


def read_json(message: Message, body: bytes) -> dict[str, Any]:
    """The message as a dict. Raises JsonError."""
    if body.count(b"{") + body.count(b"[") > MAX_CONTAINERS:
        raise JsonError(f"it has more than {MAX_CONTAINERS} brackets and braces; send less at once")
    try:
        value = json.loads(body.decode("utf-8", "replace"))
    except RecursionError:
        raise JsonError("it is nested too deeply") from None
    except ValueError as error:
        raise JsonError(f"it is not valid JSON: {error}") from None
    return _read(message, value, "")


def _read(message: Message, value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise JsonError(f"{path or 'the body'} must be an object")
    found: dict[str, Any] = {}
    for name, field in message.by_name.items():
        item = value.get(name)
        if item is None:
            item = value.get(snake(name))
        if item is not None:
            found[name] = _items(field, item, f"{path}.{name}" if path else name)
    return found


def snake(name: str) -> str:
    """`startTimeUnixNano` as `start_time_unix_nano`."""
    return _CAPITAL.sub(r"_\1", name).lower()


def _items(field: Field, item: Any, path: str) -> Any:
    if field.kind == "attributes":
        return _pairs(item, path, 0)
    if not field.many:
        return _value(field, item, path)
    if not isinstance(item, list):
        raise JsonError(f"{path} must be a list")
    return [_value(field, one, f"{path}[{i}]") for i, one in enumerate(item)]


def _value(field: Field, item: Any, path: str) -> Any:
    kind = field.kind
    if kind == "message":
        assert field.message is not None
        return _read(field.message, item, path)
    if kind == "string":
        return _text(item, path)
    if kind == "hex":
        return _hex(item, path)
    if kind == "double":
        return _double(item, path)
    if isinstance(item, str) and item in field.choices:
        return field.choices.index(item)
    return _integer(item, path, _RANGES[kind])


def _text(item: Any, path: str) -> str:
    if not isinstance(item, str):
        raise JsonError(f"{path} must be text")
    return item


def _hex(item: Any, path: str) -> str:
    if not isinstance(item, str) or not _HEX.fullmatch(item):
        raise JsonError(f"{path} must be hexadecimal text")
    return item.lower()


def _boolean(item: Any, path: str) -> bool:
    if not isinstance(item, bool):
        raise JsonError(f"{path} must be true or false")
    return item


def _integer(item: Any, path: str, allowed: range) -> int:
    whole = isinstance(item, int) or (isinstance(item, float) and item.is_integer())
    if isinstance(item, bool) or not (whole or isinstance(item, str)):
        raise JsonError(f"{path} must be an integer, as a number or as text")
    try:
        number = int(item[:40]) if isinstance(item, str) else int(item)
    except ValueError:
        raise JsonError(f"{path} must be an integer, as a number or as text") from None
    if number not in allowed:
        raise JsonError(f"{path} must be from {allowed.start} to {allowed.stop - 1}")
    return number


def _double(item: Any, path: str) -> float:
    if isinstance(item, str) and item in _SPECIAL:
        return _SPECIAL[item]
    if isinstance(item, bool) or not isinstance(item, int | float | str):
        raise JsonError(f"{path} must be a number")
    try:
        return float(item)
    except (ValueError, OverflowError):
        raise JsonError(f"{path} must be a number") from None


def _pairs(item: Any, path: str, depth: int) -> dict[str, Any]:
    """Attributes: a list of `{"key": …, "value": …}`."""
    if not isinstance(item, list):
        raise JsonError(f"{path} must be a list")
    found = {}
    for i, pair in enumerate(item):
        if not isinstance(pair, dict) or not isinstance(pair.get("key", ""), str):
            raise JsonError(f"{path}[{i}] must be an object with a key and a value")
        found[pair.get("key", "")] = _any(pair.get("value"), f"{path}[{i}].value", depth)
    return found


def _any(item: Any, path: str, depth: int) -> Any:
    """An AnyValue: an object with one member that names its type."""
    if item is None or item == {}:
        return None
    if not isinstance(item, dict):
        raise JsonError(f'{path} must be an object such as {{"stringValue": …}}')
    if depth > MAX_DEPTH:
        return TOO_DEEP
    for name, value in item.items():
        reader = _READERS.get(name) or _READERS.get(snake(name))
        if reader is not None and value is not None:
            return reader(value, f"{path}.{name}", depth)
    return None


def _list(item: Any, path: str, depth: int) -> list[Any]:
    values = _within(item, path)
    return [_any(one, f"{path}[{i}]", depth + 1) for i, one in enumerate(values)]


def _within(item: Any, path: str) -> list[Any]:
    """The `values` of a list or an object of values."""
    values = item.get("values") or [] if isinstance(item, dict) else None
    if not isinstance(values, list):
        raise JsonError(f"{path} must be an object with a list of values")
    return values


def _bytes(item: Any, path: str) -> bytes:
    if not isinstance(item, str):
        raise JsonError(f"{path} must be base64")
    try:
        return base64.b64decode(item.replace("-", "+").replace("_", "/") + "=" * (-len(item) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise JsonError(f"{path} must be base64") from None


_READERS: Final = {
    "string_value": lambda item, path, depth: _text(item, path),
    "bool_value": lambda item, path, depth: _boolean(item, path),
    "int_value": lambda item, path, depth: _integer(item, path, INT64),
    "double_value": lambda item, path, depth: _double(item, path),
    "array_value": lambda item, path, depth: _list(item, path, depth),
    "kvlist_value": lambda item, path, depth: _pairs(_within(item, path), path, depth + 1),
    "bytes_value": lambda item, path, depth: _bytes(item, path),
}


def to_json(message: Message, value: Mapping[str, Any]) -> dict[str, Any]:
    """The message as OTLP's JSON has it. Members that it does not know are left out."""
    found = {}
    for name, item in value.items():
        field = message.by_name.get(name)
        if field is None or item is None:
            continue
        if field.kind == "attributes":
            found[name] = [{"key": key, "value": any_value(one)} for key, one in item.items()]
        elif field.many:
            found[name] = [_json_of(field, one) for one in item]
        else:
            found[name] = _json_of(field, item)
    return found


def _json_of(field: Field, item: Any) -> Any:
    if field.kind == "message":
        assert field.message is not None
        return to_json(field.message, item)
    if field.kind in ("int64", "fixed64"):
        return str(item)
    return special(item) if field.kind == "double" else item


def special(number: float) -> float | str:
    """A double; JSON has no infinities and no NaN, protobuf writes them as text."""
    return (
        number if math.isfinite(number) else next(text for text, one in _SPECIAL.items() if repr(one) == repr(number))
    )


def any_value(value: Any, depth: int = 0) -> dict[str, Any]:
    """An AnyValue; what OTLP has no type for is written as text."""
    if value is None:
        return {}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int) and value in INT64:
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": special(value)}
    if isinstance(value, bytes):
        return {"bytesValue": base64.b64encode(value).decode()}
    if isinstance(value, list | tuple | Mapping):
        return _nested_value(value, depth + 1)
    return {"stringValue": str(value)}


def _nested_value(value: Any, depth: int) -> dict[str, Any]:
    if depth > MAX_DEPTH:
        return {"stringValue": TOO_DEEP}
    if isinstance(value, Mapping):
        pairs = [{"key": str(key), "value": any_value(one, depth)} for key, one in value.items()]
        return {"kvlistValue": {"values": pairs}}
    return {"arrayValue": {"values": [any_value(one, depth) for one in value]}}
