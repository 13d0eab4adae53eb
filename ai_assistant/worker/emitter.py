"""Turns the pieces of one answer into numbered events, joining those that come closer together than a frame."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

import msgspec

from ai_assistant.core.events import EventWriter, cut_text, envelope, user_room
from ai_assistant.core.task import Task
from ai_assistant.core.text import storable
from ai_assistant.streams import scripts
from ai_assistant.streams.keys import TaskKeys
from ai_assistant.streams.publisher import Command, Emission, Publisher
from ai_assistant.worker.chat_trace_marks import Marks
from ai_assistant.worker.meters import Meters
from ai_assistant.worker.transcript import Call, Transcript
from ai_assistant.worker.window import Window

log = logging.getLogger("ai_assistant.worker.events")

MS = 0.001


class Emitter:
    """The one producer of a task's events while this worker has it.

    At most one delta of a task is on its way to Redis at a time: what arrives meanwhile is joined, so that a slow
    Redis makes fewer and larger events instead of a queue.
    """

    def __init__(
        self,
        task: Task,
        publisher: Publisher,
        window: Window,
        lost: Callable[[int | None], None],
        *,
        max_log_bytes: int = 4 * 1024 * 1024,
        meters: Meters | None = None,
    ):
        """`lost` is told the publisher's answer when an event was not taken: from then on nothing will be."""
        self.transcript = Transcript()
        self.writer = EventWriter(task)
        self.first_delta_ms: int | None = None
        self.marks: Marks | None = None
        """Where the time of each delta is noted, if anywhere."""
        self.taken = 0
        """Events that Redis has taken."""
        self._task = task
        self._keys = TaskKeys(task.ref)
        self._prefix, self._suffix = envelope(task.ref.site, user_room(task.ref.user))
        self._publisher = publisher
        self._window = window
        self._lost = lost
        self._meters = meters or Meters()
        self._loop = asyncio.get_running_loop()
        self._kind: str | Call | None = None
        self._held: list[str] = []
        self._last_sent = 0.0
        self._in_flight = 0
        self._timer: asyncio.Handle | None = None
        self._reasoning_since: int | None = None
        self._reasoning_segment = 0
        self.reasoning_ms: int | None = None
        self.limit_log(max_log_bytes)
        self._log_bytes = 0
        self._checkpoint: tuple[int, Transcript] | None = None
        self._debug = log.isEnabledFor(logging.DEBUG)
        self.events = 0
        self._over = False

    def limit_log(self, max_log_bytes: int) -> None:
        """Bounds the task's event log: each half of it, when full, makes a snapshot of what is older."""
        self._log_limit = max_log_bytes // 2

    def reasoning(self, text: str) -> None:
        """The next piece of the model's thinking."""
        if not text:
            return
        if self._reasoning_since is None:
            self._reasoning_since = self.writer.elapsed_ms()
        self._push("reasoning", text)

    def text(self, text: str) -> None:
        """The next piece of the answer."""
        if not text:
            return
        self.close_reasoning()
        self._push("text", text)

    def tool_call(self, index: int, id_: str | None, name: str | None, arguments: str) -> None:
        """The next piece of a tool call; its first piece is shown at once, for its name."""
        self.close_reasoning()
        known = index in self.transcript.calls
        call = self.transcript.call(index, storable(id_ or ""), storable(name or ""))
        if known:
            self._push(call, arguments)
            return
        self.flush()
        self._kind = call
        self._held = [storable(arguments)]
        self.flush(always=True)

    def status(self, **fields: Any) -> None:
        """A `status` event; sent at once."""
        self.flush()
        self._send(self.writer.write("status", **fields), "status")

    def close_reasoning(self) -> None:
        """Ends a stretch of thinking; does nothing where there is none."""
        if self._reasoning_since is None:
            return
        self.flush()
        took = max(0, self.writer.elapsed_ms() - self._reasoning_since)
        self.reasoning_ms = (self.reasoning_ms or 0) + took
        chars = self.transcript.reasoning_chars - self._reasoning_segment
        self._reasoning_segment = self.transcript.reasoning_chars
        self._reasoning_since = None
        self._send(self.writer.write("reasoning", reasoning_ms=took, chars=chars, truncated=False), "reasoning")

    def close(self) -> None:
        """Sends what is held and closes what is open: thinking, then the tool calls, in their order."""
        self.close_reasoning()
        self.flush()
        for call in self.transcript.ordered_calls():
            event = self.writer.write("tool_call", tool_call_id=call.id, name=call.name, arguments=call.text())
            self._send(event, "tool_call")
        self._stop_timer()

    def discard(self) -> None:
        """Forgets what is held: the task is not this worker's any more."""
        self._held = []
        self._stop_timer()

    def _push(self, kind: str | Call, text: str) -> None:
        if kind != self._kind:
            self.flush()
            self._kind = kind
        self._held.append(storable(text))
        if self.first_delta_ms is None:
            self.flush()
            return
        if self._timer is None and not self._in_flight:
            self._wait()

    def _left(self) -> float:
        """Seconds until the next delta may go out. By the clock itself: the loop's may be some milliseconds behind."""
        return self._last_sent + self._window.seconds() - time.monotonic()

    def _wait(self) -> None:
        """Even what may go out at once goes by the loop, behind the rest of what one network read brought: a clump of
        tokens is one delta."""
        left = self._left()
        self._timer = self._loop.call_later(max(MS, left), self._due) if left > 0 else self._loop.call_soon(self._due)

    def _due(self) -> None:
        self._timer = None
        if self._in_flight:
            return
        if self._left() > 0:  # uvloop's timers count whole milliseconds
            self._wait()
        else:
            self.flush()

    def flush(self, always: bool = False) -> None:
        """Sends what is held, cut where it is too long for one event. `always`: an empty piece too."""
        if not self._held:
            return
        text = self._held[0] if len(self._held) == 1 else "".join(self._held)
        self._held = []
        self._stop_timer()
        if not text and not always:
            return
        if self.first_delta_ms is None:
            self.first_delta_ms = self.writer.elapsed_ms()
        for piece in cut_text(text):
            self._send_delta(piece)

    def _send_delta(self, piece: str) -> None:
        kind, transcript = self._kind, self.transcript
        if kind == "text":
            offset = transcript.text_chars
            if not offset:
                self._meters.first_text.observe(self.writer.elapsed_ms() * MS)
            transcript.add_text(piece)
            self._send(self.writer.write("text", piece, True, offset=offset), "text", True)
        elif kind == "reasoning":
            offset = transcript.reasoning_chars
            if not offset:
                self._meters.first_reasoning.observe(self.writer.elapsed_ms() * MS)
            transcript.add_reasoning(piece)
            self._send(self.writer.write("reasoning", piece, True, offset=offset), "reasoning", True)
        else:
            assert isinstance(kind, Call)
            kind.pieces.append(piece)
            event = self.writer.write("tool_call", "", True, tool_call_id=kind.id, name=kind.name, arguments=piece)
            self._send(event, "tool_call", True)
        if self.marks is not None:
            self.marks.add(kind, self.writer.last_ms, len(piece))

    def _send(self, message: bytes, type_: str, delta: bool = False) -> None:
        if self._over:
            return
        self.events += 1
        self._last_sent = time.monotonic()
        self._in_flight += 1
        seq = self.writer.seq
        if self._debug:
            log_emission(self._task.ref.id, seq, message)
        self._publisher.submit(
            Emission(
                task=self._keys.task,
                log=self._keys.log,
                gen=self._task.gen,
                seq=seq,
                shown=delta and not self._task.shown,
                message=message,
                prefix=self._prefix,
                suffix=self._suffix,
                done=self._sent,
                type=type_,
            )
        )
        if delta:
            self._task.shown = True
        self._log_bytes += len(message)
        if self._log_bytes > self._log_limit:
            self._fold(seq)

    def _sent(self, answer: int | None) -> None:
        self._in_flight -= 1
        if answer is None or answer < 0:
            self.discard()
            if not self._over:
                self._over = True
                self._lost(answer)
            return
        self.taken += 1
        if self._held and self._timer is None and not self._in_flight:
            self._wait()

    def _fold(self, seq: int) -> None:
        """Keeps the log within its bound: what is older than the last checkpoint becomes a snapshot."""
        self._log_bytes = 0
        if self._checkpoint:
            at, then = self._checkpoint
            snapshot = self.writer.write_at(
                at, "snapshot", then.text(), reasoning=then.reasoning(), tool_calls=then.tool_calls()
            )
            self._publisher.submit(
                Command(scripts.COMPACT, [self._keys.task, self._keys.log], [self._task.gen, snapshot, at])
            )
        self._checkpoint = (seq, self.transcript.copy())

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None


class _Kind(msgspec.Struct):
    type: str


def log_emission(task_id: str, seq: int, message: bytes) -> None:
    """One line at DEBUG for an event: its kind and size, none of its content."""
    if log.isEnabledFor(logging.DEBUG):
        log.debug("ai_progress task=%s seq=%d bytes=%d %s", task_id, seq, len(message), kind_of(message))


def kind_of(message: bytes) -> str:
    """The type of an event, for the log."""
    return msgspec.json.decode(message, type=_Kind).type
