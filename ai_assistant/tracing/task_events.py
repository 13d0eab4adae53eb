"""The events of one task of a program: numbers them, joins deltas that come close together, keeps the log short.

Any thread may speak. What is written is handed to a channel in the order of its number; the caller waits for nobody.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import Any, Final, Literal, Protocol

from ai_assistant.core.errors import ChatError
from ai_assistant.core.events import EventWriter, cut_text
from ai_assistant.core.task import Message, Outcome, Task, Timings
from ai_assistant.core.usage import Usage
from ai_assistant.tracing.capture import storable
from ai_assistant.tracing.task_picture import Checkpoint, Picture, Written

log = logging.getLogger("ai_assistant.tracing")

FRAME_S: Final = 0.016
"""Deltas that come closer together than a frame of a screen are joined."""
PROVIDER: Final = "program"
"""Who answers, where a chat names its provider."""

Ended = Literal["completed", "failed", "cancelled"]
END_TYPES: Final = {"completed": "completion", "failed": "error", "cancelled": "cancelled"}


class Channel(Protocol):
    """Where events go, in order. Nothing here waits. What is not taken gives False: then nothing more will be."""

    max_log_bytes: int

    def open(self, message: bytes) -> bool: ...
    def send(self, message: bytes, seq: int, type_: str) -> bool: ...
    def fold(self, snapshot: bytes, at: int) -> None: ...
    def end(self, message: bytes, seq: int, outcome: Outcome) -> bool: ...
    def join(self) -> None: ...
    def leave(self) -> None: ...
    def flush(self, timeout: float) -> bool: ...


class TaskEvents:
    """The one producer of a task's events. Where Redis has given the task up, it takes everything and sends nothing."""

    def __init__(self, task: Task):
        self.task = task
        self.channel: Channel
        self.is_over = False
        """Whether the end was said, or nobody takes events any more."""
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._writer = EventWriter(task)
        self._written = {"text": Written(), "reasoning": Written()}
        self._held_kind = ""
        self._held: list[str] = []
        self._held_progress: dict[str, Any] = {}
        self._last_sent = 0.0
        self._first_ms: int | None = None
        self._reasoning_since: int | None = None
        self._reasoning_from = 0
        self._reasoning_ms: int | None = None
        self._picture = Picture()
        self._log_bytes = 0
        self._checkpoint: Checkpoint | None = None

    def begin(self) -> None:
        """`start`."""
        with self._lock:
            message = self._writer.write("start", mode=self.task.mode, model=self.task.model)
            self._log_bytes = len(message)
            self._check(self.channel.open(message))

    def text(self, piece: str) -> None:
        """The next piece of an answer in words."""
        if not piece or not self._is_mine():
            return
        with self._lock:
            if not self.is_over:
                self._close_reasoning()
                self._push("text", storable(piece))

    def reasoning(self, piece: str) -> None:
        """The next piece of what is being thought."""
        if not piece or not self._is_mine():
            return
        with self._lock:
            if not self.is_over:
                if self._reasoning_since is None:
                    self._reasoning_since = self._writer.elapsed_ms()
                self._push("reasoning", storable(piece))

    def progress(self, call_id: str, name: str, share: float, message: str | None) -> None:
        """How far a tool is, from 0 to 100; of those that come close together the last one counts."""
        if not self._is_mine():
            return
        with self._lock:
            if self.is_over:
                return
            kind = f"progress {call_id}"
            if self._held_kind != kind:
                self._flush()
            self._held_kind = kind
            before = {"message": self._held_progress.get("message")} if message is None else {"message": message}
            said = {key: value for key, value in before.items() if value is not None}
            self._held_progress = {"tool_call_id": call_id, "name": name, "progress": round(share, 2), **said}
            self._soon()

    def send(self, type_: str, **fields: Any) -> None:
        """An event of any other type; at once, behind what is held."""
        if not self._is_mine():
            return
        with self._lock:
            if not self.is_over:
                self._flush()
                self._send(type_, **fields)

    def end(self, status: Ended, *, by: str = "", error: ChatError | None = None, result: Any = None) -> bool:
        """Says the end, once; whether this was it."""
        if not self._is_mine():
            return False
        with self._lock:
            if self.is_over:
                return False
            self._close_reasoning()
            self._flush()
            self.is_over = True
            outcome = self._outcome(status, error, result)
            fields = self._end_fields(outcome, by)
            message = self._writer.write(END_TYPES[status], outcome.message.content, **fields)
            return self._check(self.channel.end(message, self._writer.seq, outcome))

    def give_up(self) -> None:
        """Nobody takes events of the task any more."""
        self.is_over = True
        self.channel.leave()

    def flush_due(self) -> bool:
        """See `streams.program.Producer`."""
        with self._lock:
            if not self._held_kind or self.is_over:
                return False
            if time.monotonic() - self._last_sent < FRAME_S:
                return True
            self._flush()
            return False

    def elapsed_ms(self) -> int:
        """Since the task began."""
        return self._writer.elapsed_ms()

    def whole_text(self) -> str:
        """The answer in words so far."""
        with self._lock:
            return self._written["text"].whole() + ("".join(self._held) if self._held_kind == "text" else "")

    def _is_mine(self) -> bool:
        """Whether this process may speak: a child of a fork may not, for the task is its parent's. Asked before the
        lock is taken: in a child another thread of the parent may hold it for ever."""
        if self._pid != os.getpid():
            if not self.is_over:
                self.is_over = True
                log.warning("task %s is told of by the process that opened it, not by its child", self.task.ref.id)
            return False
        return not self.is_over

    def _push(self, kind: str, piece: str) -> None:
        if self._held_kind != kind:
            self._flush()
        self._held_kind = kind
        self._held.append(piece)
        self._soon()

    def _soon(self) -> None:
        if time.monotonic() - self._last_sent >= FRAME_S:
            self._flush()
        else:
            self.channel.join()

    def _flush(self) -> None:
        kind, self._held_kind = self._held_kind, ""
        if kind in self._written:
            text, self._held = "".join(self._held), []
            for piece in cut_text(text):
                self._send_delta(kind, piece)
        elif kind:
            fields, self._held_progress = self._held_progress, {}
            self._send("tool_progress", **fields)

    def _send_delta(self, kind: str, piece: str) -> None:
        written = self._written[kind]
        if self._first_ms is None:
            self._first_ms = self._writer.elapsed_ms()
        offset = written.chars
        written.add(piece)
        self._send(kind, piece, True, offset=offset)

    def _close_reasoning(self) -> None:
        if self._reasoning_since is None:
            return
        self._flush()
        took = max(0, self._writer.elapsed_ms() - self._reasoning_since)
        self._reasoning_since = None
        self._reasoning_ms = (self._reasoning_ms or 0) + took
        chars = self._written["reasoning"].chars - self._reasoning_from
        self._reasoning_from += chars
        self._send("reasoning", reasoning_ms=took, chars=chars, truncated=False)

    def _send(self, type_: str, text: str = "", partial: bool = False, **fields: Any) -> None:
        if self.is_over:
            return
        message = self._writer.write(type_, text, partial, **fields)
        self._last_sent = time.monotonic()
        log.debug("ai_progress task=%s seq=%d bytes=%d %s", self.task.ref.id, self._writer.seq, len(message), type_)
        self._picture.take(type_, fields)
        if not self._check(self.channel.send(message, self._writer.seq, type_)):
            return
        self._log_bytes += len(message)
        if self._log_bytes > self.channel.max_log_bytes // 2:
            self._fold()

    def _check(self, is_taken: bool) -> bool:
        if not is_taken:
            log.error("task %s: too many events wait for Redis; it is given up", self.task.ref.id)
            self.give_up()
        return is_taken

    def _fold(self) -> None:
        """Each half of the log, when full, makes a snapshot of what is older."""
        self._log_bytes = 0
        if then := self._checkpoint:
            written = {kind: self._written[kind].whole()[:chars] for kind, chars in then.chars.items()}
            snapshot = self._writer.write_at(
                then.seq, "snapshot", written["text"], reasoning=written["reasoning"], tool_calls=[], **then.picture
            )
            self.channel.fold(snapshot, then.seq)
        chars = {kind: written.chars for kind, written in self._written.items()}
        self._checkpoint = Checkpoint(self._writer.seq, chars, self._picture.fields())

    def _outcome(self, status: Ended, error: ChatError | None, result: Any) -> Outcome:
        timings = Timings(
            queue_ms=0, ttft_ms=self._first_ms, reasoning_ms=self._reasoning_ms, total_ms=self._writer.elapsed_ms()
        )
        message = Message(content=self._written["text"].whole(), reasoning=self._written["reasoning"].whole())
        return Outcome(
            status=status,
            message=message,
            finish_reason="stop" if status == "completed" else None,
            model=self.task.model,
            provider=PROVIDER,
            usage=Usage(),
            timings=timings,
            error=error.as_dict() if error else None,
            result=result,
        )

    def _end_fields(self, outcome: Outcome, by: str) -> dict[str, Any]:
        if outcome.status == "failed":
            return dict(outcome.error or {})
        if outcome.status == "cancelled":
            return {"by": by}
        names = ("finish_reason", "usage", "timings", "model", "provider")
        said = {name: getattr(outcome, name) for name in names}
        return {**said, "tool_calls": [], **({} if outcome.result is None else {"result": outcome.result})}
