"""Values as text: what is kept of arguments and results. Bounded in time and size, and never raises.

Most values are small and plain: those are measured (`room_left`), and then written as JSON in one go. Everything else,
what is large, nested without end, or of a class of its own, is copied piece by piece within the same bounds.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import itertools
import pathlib
import uuid
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any, Final

import msgspec

from ai_assistant.core.text import storable

MAX_DEPTH: Final = 16
MAX_ITEMS: Final = 500
"""Items of one list or object that are kept where not all of it fits."""
MAX_REPR: Final = 500
NODE_COST: Final = 8
"""What a value counts against the limit beside the characters of its text."""
CUT: Final = "… [cut]"

_PLAIN: Final = frozenset({int, float, bool, type(None)})
_encode = msgspec.json.Encoder(uuid_format="canonical", decimal_format="string").encode


def as_text(value: Any, limit: int) -> tuple[str, bool]:
    """`value` as text of at most some `limit` characters, and whether something was left out. A string stays as it
    is, anything else becomes JSON. Values of classes that nobody knows become what `repr` says, shortened."""
    if type(value) is str:
        text, cut = (value, False) if len(value) <= limit else (value[:limit] + CUT, True)
        return text if text.isascii() else storable(text), cut
    try:
        if room_left(value, limit) >= 0:
            return _encode(value).decode(), False
    except (
        TypeError,
        ValueError,
        OverflowError,
        RecursionError,
        RuntimeError,
    ):  # RuntimeError: another thread changed it meanwhile
        pass  # the copy below says what it is
    copier = Copier(limit)
    copied = copier.copy(value)
    text = copied if isinstance(copied, str) else _encode(copied).decode("utf-8", "replace")
    return text, copier.cut


def room_left(value: Any, room: int, depth: int = 0) -> int:
    """`room` less the characters of a plain value; negative as soon as it is used up, and for anything that is not
    plain. So it ends soon for what is huge, and for what holds itself. Each member costs NODE_COST at once, and leaves
    are looked at without a call: this is on the way of every traced call."""
    kind = type(value)
    if kind is dict:
        members: Any = value.values()
    elif kind is list or kind is tuple:
        members = value
    elif kind is str:
        return room - len(value)
    else:
        return room if kind in _PLAIN else -1
    room -= NODE_COST * len(value)
    if room < 0 or depth > MAX_DEPTH:
        return -1
    for member in members:
        kind = type(member)
        if kind is str:
            room -= len(member)
        elif kind not in _PLAIN:
            room = room_left(member, room, depth + 1)
            if room < 0:
                return -1
    return room


class Copier:
    """Copies one value into plain data within a limit of characters."""

    def __init__(self, limit: int):
        self.cut = False
        """Whether something was left out."""
        self._room = limit
        self._within: set[int] = set()

    def copy(self, value: Any, depth: int = 0) -> Any:
        """What is kept of `value`."""
        try:
            return self._copy(value, depth)
        except Exception as error:  # noqa: BLE001  # a class may raise anything from anywhere; said in its place
            self.cut = True
            return f"<{type(value).__name__}: {type(error).__name__} while it was read>"

    def _copy(self, value: Any, depth: int) -> Any:
        self._room -= NODE_COST
        kind = type(value)
        if kind in _PLAIN:
            return value if kind is not int or -(2**63) <= value < 2**64 else self._text(str(value))
        if isinstance(value, str):
            return self._text(str(value))
        if self._room < 0:
            self.cut = True
            return CUT
        if id(value) in self._within:
            self.cut = True
            return f"<{kind.__name__}: contains itself>"
        if depth > MAX_DEPTH:
            self.cut = True
            return f"<{kind.__name__}: nested too deeply>"
        self._within.add(id(value))
        try:
            return self._members(value, depth + 1)
        finally:
            self._within.discard(id(value))

    def _members(self, value: Any, depth: int) -> Any:
        if isinstance(value, Mapping):
            return self._object(value.items(), len(value), depth)
        if isinstance(value, bytes | bytearray | memoryview):
            self.cut = True
            return f"<{len(value)} bytes>"
        if isinstance(value, Sequence | Set):
            return self._list(value, len(value), depth)
        for matches, describe in DESCRIBED:
            if matches(value):
                return self.copy(describe(value), depth)
        return self._text(short_repr(value))

    def _object(self, items: Any, count: int, depth: int) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for key, item in itertools.islice(items, MAX_ITEMS):
            if self._room < 0:
                break
            name = self._text(key if isinstance(key, str) else short_repr(key))  # before what it names takes the room
            kept[name] = self.copy(item, depth)
        return self._noted(kept, count)

    def _noted(self, kept: dict[str, Any], count: int) -> dict[str, Any]:
        if len(kept) < count:
            self.cut = True
            kept["…"] = f"{count - len(kept)} more"
        return kept

    def _list(self, items: Any, count: int, depth: int) -> list[Any]:
        kept: list[Any] = []
        for item in itertools.islice(items, MAX_ITEMS):
            if self._room < 0:
                break
            kept.append(self.copy(item, depth))
        if len(kept) < count:
            self.cut = True
            kept.append(f"… {count - len(kept)} more")
        return kept

    def _text(self, text: str) -> str:
        room = max(0, self._room)
        self._room -= len(text)
        if len(text) > room:
            self.cut = True
            text = text[:room] + CUT
        return storable(text)


def short_repr(value: Any) -> str:
    """What `repr` says, shortened; the class alone where that fails."""
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001  # see Copier.copy
        return f"<{type(value).__name__}: repr raised {type(error).__name__}>"
    return text if len(text) <= MAX_REPR else text[:MAX_REPR] + CUT


def is_a(*names: str) -> Callable[[Any], bool]:
    """Whether a value's class is one of these, told by module and name: its library need not be imported."""
    wanted = frozenset(names)

    def matches(value: Any) -> bool:
        return any(f"{base.__module__.partition('.')[0]}.{base.__name__}" in wanted for base in type(value).__mro__)

    return matches


def is_instance(*kinds: type) -> Callable[[Any], bool]:
    """Whether a value is an instance of these classes."""
    return lambda value: isinstance(value, kinds)


def array_summary(value: Any) -> dict[str, Any]:
    """A NumPy array or a tensor: its shape and the first values."""
    first = value.reshape(-1)[:8]
    return {"shape": list(value.shape), "dtype": str(value.dtype), "first": first.tolist()}


def frame_summary(value: Any) -> dict[str, Any]:
    """A table of pandas: its shape, columns and first rows."""
    columns = [str(name) for name in getattr(value, "columns", ())]
    return {"shape": list(value.shape), "columns": columns, "first": value.head(3).to_dict()}


def fields_of_dataclass(value: Any) -> dict[str, Any]:
    """The fields of a dataclass that have a value."""
    return {each.name: getattr(value, each.name) for each in dataclasses.fields(value) if hasattr(value, each.name)}


def fields_of_model(value: Any) -> dict[str, Any]:
    """The fields of a pydantic model, of either version, without its validators and serialisers."""
    return {**value.__dict__, **(getattr(value, "__pydantic_extra__", None) or {})}


def is_dataclass(value: Any) -> bool:
    """Whether it is an instance of one."""
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


DESCRIBED: Final[tuple[tuple[Callable[[Any], bool], Callable[[Any], Any]], ...]] = (
    (is_instance(enum.Enum), lambda value: value.value),
    (is_instance(datetime.datetime, datetime.date, datetime.time), lambda value: value.isoformat()),
    (is_instance(uuid.UUID, decimal.Decimal, pathlib.PurePath, datetime.timedelta), str),
    (is_instance(BaseException), lambda value: f"{type(value).__name__}: {value}"),
    (is_instance(msgspec.Struct), lambda value: {name: getattr(value, name) for name in value.__struct_fields__}),
    (is_dataclass, fields_of_dataclass),
    (is_a("pydantic.BaseModel"), fields_of_model),
    (is_a("numpy.ndarray", "torch.Tensor"), array_summary),
    (is_a("numpy.generic"), lambda value: value.item()),
    (is_a("pandas.DataFrame", "pandas.Series"), frame_summary),
)
"""Classes whose values say more than their `repr`."""
