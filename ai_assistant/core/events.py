"""The `ai_progress` events of the wire contract, as JSON.

One `EventWriter` per task and generation knows the fields that all its events share and numbers them.
"""

from __future__ import annotations

import time
from typing import Any, Final

import msgspec

from ai_assistant.core.task import Task

EVENT_NAME: Final = "ai_progress"
WIRE_VERSION: Final = 1
MAX_EVENT_BYTES: Final = 32 * 1024
TERMINAL_TYPES: Final = frozenset({"completion", "error", "cancelled"})

#: What the frame of an event may take of MAX_EVENT_BYTES beside its text.
FRAME_BYTES: Final = 2048

_encode = msgspec.json.Encoder().encode


def now_ms() -> int:
    """The server's clock: epoch milliseconds."""
    return time.time_ns() // 1_000_000


class EventWriter:
    """Writes the events of one task in one generation. Not thread-safe: a task has one producer at a time."""

    __slots__ = ("_accepted_ms", "_common", "_gen", "_task_id", "last_ms", "seq")

    def __init__(self, task: Task):
        self._task_id = task.ref.id
        self._gen = task.gen
        self._accepted_ms = task.accepted_ms
        self.seq = task.seq
        """Number of the last event written."""
        self.last_ms = 0
        """Its `elapsed_ms`."""
        common = {
            "trace_id": task.trace_id,
            "message_id": task.message_id,
            "conversation": task.conversation,
            "subject": task.subject,
        }
        self._common = {key: value for key, value in common.items() if value}

    def write(self, type_: str, text: str = "", partial: bool = False, **fields: Any) -> bytes:
        """The next event as JSON. `fields` are those that its type adds."""
        self.seq += 1
        return self.write_at(self.seq, type_, text, partial, **fields)

    def write_at(self, seq: int, type_: str, text: str = "", partial: bool = False, **fields: Any) -> bytes:
        """An event with a number of its own: a snapshot bears that of the last event it stands for."""
        now = now_ms()
        self.last_ms = elapsed = max(0, now - self._accepted_ms)
        return _encode(
            {
                "v": WIRE_VERSION,
                "task_id": self._task_id,
                "gen": self._gen,
                "seq": seq,
                "type": type_,
                "text": text,
                "partial": partial,
                "ts": now,
                "elapsed_ms": elapsed,
                **self._common,
                **fields,
            }
        )

    def elapsed_ms(self) -> int:
        """Milliseconds since the task was accepted, by this machine's clock; never negative."""
        return max(0, now_ms() - self._accepted_ms)


def cut_text(text: str, limit: int = MAX_EVENT_BYTES - FRAME_BYTES) -> list[str]:
    """`text` in pieces whose JSON form is at most `limit` bytes each; characters stay whole."""
    if len(text) * 6 <= limit:  # six bytes is the longest escape of one character
        return [text]
    if len(_encode(text)) <= limit:
        return [text]
    pieces: list[str] = []
    start = 0
    while start < len(text):
        end = min(len(text), start + limit)
        while len(_encode(text[start:end])) > limit:
            end = start + max(1, (end - start) * 3 // 4)
        pieces.append(text[start:end])
        start = end
    return pieces


def envelope(site: str, room: str) -> tuple[bytes, bytes]:
    """What stands before and behind a message in the JSON that `frappe.publish_realtime` publishes
    (frappe v15.55.1, `frappe/realtime.py`): keys event, message, room, namespace."""
    tail = _encode({"room": room, "namespace": site})
    return b'{"event":"' + EVENT_NAME.encode() + b'","message":', b"," + tail[1:]


def user_room(user: str) -> str:
    """The room that every socket of a user, and no other, has joined."""
    return f"user:{user}"
