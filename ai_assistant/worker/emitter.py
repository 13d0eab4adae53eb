"""Turns the pieces of one answer into numbered events, joining those that come closer together than a frame."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import msgspec

from ai_assistant.core.events import EventWriter, cut_text, envelope, user_room
from ai_assistant.core.task import Task
from ai_assistant.streams import scripts
from ai_assistant.streams.keys import TaskKeys
from ai_assistant.streams.publisher import Command, Emission, Publisher
from ai_assistant.worker.transcript import Transcript
from ai_assistant.worker.window import Window

log = logging.getLogger("ai_assistant.worker.events")


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
        lost: Callable[[str], None],
        *,
        max_log_bytes: int = 4 * 1024 * 1024,
    ):
        self.transcript = Transcript()
        self.writer = EventWriter(task)
        self.first_delta_ms: int | None = None
        self._task = task
        self._keys = TaskKeys(task.ref)
        self._prefix, self._suffix = envelope(task.ref.site, user_room(task.ref.user))
        self._publisher = publisher
        self._window = window
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._kind: str | None = None
        self._held: list[str] = []
        self._last_sent = 0.0
        self._in_flight = 0
        self._timer: asyncio.TimerHandle | None = None
        self._reasoning_since: int | None = None
        self._reasoning_segment = 0
        self.reasoning_ms: int | None = None
        self._log_limit = max_log_bytes // 2
        self._log_bytes = 0
        self._checkpoint: tuple[int, Transcript] | None = None
        self._debug = log.isEnabledFor(logging.DEBUG)
        self.events = 0

    def reasoning(self, text: str) -> None:
        """The next piece of the model's thinking."""
        if self._reasoning_since is None:
            self._reasoning_since = self.writer.elapsed_ms()
        self._push("reasoning", text)

    def text(self, text: str) -> None:
        """The next piece of the answer."""
        self.close_reasoning()
        self._push("text", text)

    def tool_call(self, index: int, id_: str | None, name: str | None, arguments: str) -> None:
        """The next piece of a tool call; its first piece is shown at once, for its name."""
        self.close_reasoning()
        known = index in self.transcript.calls
        call = self.transcript.call(index, id_, name)
        if known:
            self._push(call.id, arguments)
            return
        self.flush()
        self._kind = call.id
        self._held = [arguments]
        self.flush(always=True)

    def status(self, **fields: Any) -> None:
        """A `status` event; sent at once."""
        self.flush()
        self._send(self.writer.write("status", **fields))

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
        self._send(self.writer.write("reasoning", reasoning_ms=took, chars=chars, truncated=False))

    def close(self) -> None:
        """Sends what is held and closes what is open: thinking, then the tool calls, in their order."""
        self.close_reasoning()
        self.flush()
        for call in self.transcript.ordered_calls():
            self._send(self.writer.write("tool_call", tool_call_id=call.id, name=call.name, arguments=call.text()))
        self._stop_timer()

    def discard(self) -> None:
        """Forgets what is held: the task is not this worker's any more."""
        self._held = []
        self._stop_timer()

    def _push(self, kind: str, text: str) -> None:
        if kind != self._kind:
            self.flush()
            self._kind = kind
        self._held.append(text)
        if self._in_flight:
            return
        if self.first_delta_ms is None:
            self.flush()
            return
        left = self._last_sent + self._window.seconds() - self._loop.time()
        if left <= 0:
            self.flush()
        elif self._timer is None:
            self._timer = self._loop.call_later(left, self._due)

    def _due(self) -> None:
        self._timer = None
        if not self._in_flight:
            self.flush()

    def flush(self, always: bool = False) -> None:
        """Sends what is held, cut where it is too long for one event. `always`: an empty piece too."""
        if not self._held:
            return
        text = self._held[0] if len(self._held) == 1 else "".join(self._held)
        self._held = []
        self._stop_timer()
        if self.first_delta_ms is None:
            self.first_delta_ms = self.writer.elapsed_ms()
        if not text and not always:
            return
        for piece in cut_text(text):
            self._send(self._delta(piece), delta=True)

    def _delta(self, piece: str) -> bytes:
        kind, transcript = self._kind, self.transcript
        if kind == "text":
            offset = transcript.text_chars
            transcript.add_text(piece)
            return self.writer.write("text", piece, True, offset=offset)
        if kind == "reasoning":
            offset = transcript.reasoning_chars
            transcript.add_reasoning(piece)
            return self.writer.write("reasoning", piece, True, offset=offset)
        call = transcript.by_id[str(kind)]
        call.pieces.append(piece)
        return self.writer.write("tool_call", "", True, tool_call_id=call.id, name=call.name, arguments=piece)

    def _send(self, message: bytes, delta: bool = False) -> None:
        self.events += 1
        self._last_sent = self._loop.time()
        self._in_flight += 1
        seq = self.writer.seq
        if self._debug:
            log.debug("ai_progress task=%s seq=%d bytes=%d %s", self._task.ref.id, seq, len(message), kind_of(message))
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
            self._lost("Redis stayed away" if answer is None else f"the task is not ours any more ({answer})")
        elif self._held and self._timer is None and not self._in_flight:
            left = self._last_sent + self._window.seconds() - self._loop.time()
            self._timer = self._loop.call_later(max(0.0, left), self._due)

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


def kind_of(message: bytes) -> str:
    """The type of an event, for the log."""
    return msgspec.json.decode(message, type=_Kind).type
