"""How a task stands: its texts, the latest values, the tools. What a snapshot says when the log becomes too long."""

from __future__ import annotations

from typing import Any, Final

import msgspec

PICTURE_NAMES: Final = 256
"""Values and tools that a snapshot repeats: the latest ones."""
PICTURE_BYTES: Final = 256 * 1024


class Written:
    """Text that grows."""

    __slots__ = ("_pieces", "chars")

    def __init__(self) -> None:
        self.chars = 0
        self._pieces: list[str] = []

    def add(self, piece: str) -> None:
        """One more piece."""
        self.chars += len(piece)
        self._pieces.append(piece)

    def whole(self) -> str:
        """All of it."""
        self._pieces = ["".join(self._pieces)]
        return self._pieces[0]


class Checkpoint(msgspec.Struct, frozen=True):
    """How a task stood after one of its events."""

    seq: int
    chars: dict[str, int]
    picture: dict[str, Any]


class Picture:
    """The latest value of each name and the state of each tool: what a snapshot says beside the texts."""

    def __init__(self) -> None:
        self._data: dict[str, msgspec.Raw] = {}
        self._tools: dict[str, dict[str, Any]] = {}
        self._bytes = 0

    def take(self, type_: str, fields: dict[str, Any]) -> None:
        """What an event says."""
        if type_ == "data":
            self._forget(fields["name"])
            self._data[fields["name"]] = fields["data"]
            self._bytes += len(bytes(fields["data"]))
            while len(self._data) > PICTURE_NAMES or self._bytes > PICTURE_BYTES:
                self._forget(next(iter(self._data)))
        elif type_.startswith("tool_"):
            before = self._tools.pop(fields["tool_call_id"], {})
            kept = {name: value for name, value in fields.items() if name not in ("arguments", "result")}
            self._tools[fields["tool_call_id"]] = {**before, **kept, "type": type_}
            while len(self._tools) > PICTURE_NAMES:
                del self._tools[next(iter(self._tools))]

    def fields(self) -> dict[str, Any]:
        """As fields of the event."""
        return {
            "data": [{"name": name, "data": data} for name, data in self._data.items()],
            "tools": [dict(tool) for tool in self._tools.values()],
        }

    def _forget(self, name: str) -> None:
        if name in self._data:
            self._bytes -= len(bytes(self._data.pop(name)))
