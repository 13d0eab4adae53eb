"""Reads and writes protobuf by the tables of `otlp_schema`.

The encoding is https://protobuf.dev/programming-guides/encoding/. Unknown fields are skipped, text that is not
UTF-8 gets replacement characters, and values nested deeper than MAX_DEPTH are replaced by a note.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, Final

from ai_assistant.traces.otlp_schema import PACKED, Field, Message

MAX_DEPTH: Final = 32
"""Levels of lists and objects within an attribute's value."""
TOO_DEEP: Final = f"(nested deeper than {MAX_DEPTH} levels)"
MAX_FIELDS: Final = 2_000_000
"""Fields of one body, at all levels: each costs a microsecond and may cost a dict."""
INT64: Final = range(-(1 << 63), 1 << 63)

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_WIRE: Final = {
    "string": BYTES, "hex": BYTES, "attributes": BYTES, "message": BYTES,
    "int64": VARINT, "uint64": VARINT, "uint32": VARINT, "int32": VARINT, "enum": VARINT, "fixed32": FIXED32,
    "fixed64": FIXED64, "double": FIXED64,
}  # fmt: skip
_double = struct.Struct("<d")


class ProtoError(ValueError):
    """Bytes that are not the message they should be."""


def decode(message: Message, data: bytes) -> dict[str, Any]:
    """The message as a dict. Raises ProtoError."""
    return _Reader(data).message(message, 0, len(data))


class _Reader:
    """Reads one body. Positions instead of pieces: nothing is copied but the values."""

    __slots__ = ("data", "left")

    def __init__(self, data: bytes):
        self.data = data
        self.left = MAX_FIELDS

    def message(self, message: Message, at: int, end: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while at < end:
            number, wire, low, at = self.field(at, end)
            field = message.by_number.get(number)
            if field is None:
                continue
            if wire != _WIRE[field.kind]:
                if not (field.many and wire == BYTES and field.kind in PACKED):
                    raise ProtoError(f"{message.name}.{field.name} has the wire type {wire}")
                found.setdefault(field.name, []).extend(self.unpacked(field, low, at))
            elif field.kind == "attributes":
                self.add_pair(found.setdefault(field.name, {}), low, at, 0)
            elif field.many:
                found.setdefault(field.name, []).append(self.value(field, low, at))
            else:
                found[field.name] = self.value(field, low, at)
        return found

    def field(self, at: int, end: int) -> tuple[int, int, int, int]:
        """Number and wire type of the field at `at`, where its value begins and where it ends; of a varint `low` is
        the value itself."""
        self.left -= 1
        if self.left < 0:
            raise ProtoError(f"it has more than {MAX_FIELDS} fields; send less at once")
        key, at = self.varint(at, end)
        wire = key & 7
        if wire == BYTES:
            size, at = self.varint(at, end)
            low, at = at, at + size
        elif wire == VARINT:
            low, at = self.varint(at, end)
        elif wire in (FIXED64, FIXED32):
            low, at = at, at + (8 if wire == FIXED64 else 4)
        else:
            raise ProtoError(f"there is no wire type {wire}")
        if at > end:
            raise ProtoError("it ends in the middle of a field")
        return key >> 3, wire, low, at

    def varint(self, at: int, end: int) -> tuple[int, int]:
        data = self.data
        value = shift = 0
        while at < end:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value & 0xFFFF_FFFF_FFFF_FFFF, at
            shift += 7
            if shift > 63:
                raise ProtoError("a number has more than ten bytes")
        raise ProtoError("it ends in the middle of a number")

    def value(self, field: Field, low: int, end: int) -> Any:
        kind = field.kind
        if kind == "string":
            return self.data[low:end].decode("utf-8", "replace")
        if kind == "hex":
            return self.data[low:end].hex()
        if kind == "message":
            assert field.message is not None
            return self.message(field.message, low, end)
        return self.number(kind, low, end)

    def number(self, kind: str, low: int, end: int) -> Any:
        if kind in ("fixed64", "fixed32"):
            return int.from_bytes(self.data[low:end], "little")
        if kind == "double":
            return _double.unpack_from(self.data, low)[0]
        return signed(low) if kind in ("int64", "int32", "enum") else low

    def unpacked(self, field: Field, low: int, end: int) -> list[Any]:
        if (end - low) % 8:
            raise ProtoError(f"{field.name} is no list of 8-byte numbers")
        return [self.number(field.kind, at, at + 8) for at in range(low, end, 8)]

    def add_pair(self, found: dict[str, Any], at: int, end: int, depth: int) -> None:
        """Puts a KeyValue into `found`."""
        key, value = "", None
        while at < end:
            number, wire, low, at = self.field(at, end)
            if wire != BYTES:
                continue
            if number == 1:
                key = self.data[low:at].decode("utf-8", "replace")
            elif number == 2:
                value = self.any(low, at, depth)
        found[key] = value

    def any(self, at: int, end: int, depth: int) -> Any:
        """An AnyValue; of several members the last counts."""
        if depth > MAX_DEPTH:
            return TOO_DEEP
        value: Any = None
        while at < end:
            number, wire, low, at = self.field(at, end)
            if number == 1 and wire == BYTES:
                value = self.data[low:at].decode("utf-8", "replace")
            elif number == 2 and wire == VARINT:
                value = bool(low)
            elif number == 3 and wire == VARINT:
                value = signed(low)
            elif number == 4 and wire == FIXED64:
                value = _double.unpack_from(self.data, low)[0]
            elif number == 5 and wire == BYTES:
                value = self.list(low, at, depth + 1)
            elif number == 6 and wire == BYTES:
                value = self.object(low, at, depth + 1)
            elif number == 7 and wire == BYTES:
                value = self.data[low:at]
        return value

    def list(self, at: int, end: int, depth: int) -> list[Any]:
        """An ArrayValue."""
        found = []
        while at < end:
            number, wire, low, at = self.field(at, end)
            if number == 1 and wire == BYTES:
                found.append(self.any(low, at, depth))
        return found

    def object(self, at: int, end: int, depth: int) -> dict[str, Any]:
        """A KeyValueList."""
        found: dict[str, Any] = {}
        while at < end:
            number, wire, low, at = self.field(at, end)
            if number == 1 and wire == BYTES:
                self.add_pair(found, low, at, depth)
        return found


def signed(number: int) -> int:
    """A varint of a type that may be negative."""
    return number - (1 << 64) if number >> 63 else number


def encode(message: Message, value: Mapping[str, Any]) -> bytes:
    """The message as protobuf. Members that it does not know are left out; `None` counts as not there."""
    parts: list[bytes] = []
    for name, item in value.items():
        field = message.by_name.get(name)
        if field is not None and item is not None:
            _write(parts, field, item)
    return b"".join(parts)


def _write(parts: list[bytes], field: Field, item: Any) -> None:
    if field.kind == "attributes":
        parts.extend(_sized(field.number, _pair(key, one)) for key, one in item.items())
    elif field.many and field.kind in PACKED:
        parts.append(_sized(field.number, b"".join(_bytes_of(field, one)[1] for one in item)))
    else:
        for one in item if field.many else (item,):
            wire, body = _bytes_of(field, one)
            parts.append(_sized(field.number, body) if wire == BYTES else _key(field.number, wire) + body)


def _bytes_of(field: Field, item: Any) -> tuple[int, bytes]:
    """The wire type and the value itself, without its length."""
    kind = field.kind
    if kind == "message":
        assert field.message is not None
        return BYTES, encode(field.message, item)
    if kind == "string":
        return BYTES, text_bytes(item)
    if kind == "hex":
        return BYTES, bytes.fromhex(item)
    if kind == "double":
        return FIXED64, _double.pack(item)
    if kind in ("fixed64", "fixed32"):
        return _WIRE[kind], int(item).to_bytes(8 if kind == "fixed64" else 4, "little")
    return VARINT, _varint_bytes(int(item))


def text_bytes(text: str) -> bytes:
    """UTF-8; a lone surrogate becomes `?`."""
    return text.encode("utf-8", "replace")


def _key(number: int, wire: int) -> bytes:
    return _varint_bytes(number << 3 | wire)


def _sized(number: int, body: bytes) -> bytes:
    """A field of bytes."""
    return _key(number, BYTES) + _varint_bytes(len(body)) + body


def _varint_bytes(value: int) -> bytes:
    value &= 0xFFFF_FFFF_FFFF_FFFF
    if value < 0x80:
        return bytes((value,))
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def _pair(key: str, value: Any) -> bytes:
    """A KeyValue."""
    return _sized(1, text_bytes(key)) + _sized(2, _any_bytes(value, 0))


def _any_bytes(value: Any, depth: int) -> bytes:
    """An AnyValue; what protobuf has no type for is written as text."""
    if value is None:
        return b""
    if isinstance(value, str):
        return _sized(1, text_bytes(value))
    if isinstance(value, bool):
        return _key(2, VARINT) + _varint_bytes(value)
    if isinstance(value, int) and value in INT64:
        return _key(3, VARINT) + _varint_bytes(value)
    if isinstance(value, float):
        return _key(4, FIXED64) + _double.pack(value)
    if isinstance(value, bytes):
        return _sized(7, value)
    if isinstance(value, list | tuple | Mapping):
        return _nested_bytes(value, depth + 1)
    return _sized(1, text_bytes(str(value)))


def _nested_bytes(value: Any, depth: int) -> bytes:
    """An AnyValue that holds others."""
    if depth > MAX_DEPTH:
        return _sized(1, TOO_DEEP.encode())
    if isinstance(value, Mapping):
        pairs = (_sized(1, text_bytes(str(key))) + _sized(2, _any_bytes(one, depth)) for key, one in value.items())
        return _sized(6, b"".join(_sized(1, pair) for pair in pairs))
    return _sized(5, b"".join(_sized(1, _any_bytes(one, depth)) for one in value))
