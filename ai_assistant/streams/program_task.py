"""One task of a program in Redis: turns its numbered events into what the program's thread sends."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Final

from ai_assistant.core.events import envelope, user_room
from ai_assistant.core.settings import Settings
from ai_assistant.core.task import Outcome, Task
from ai_assistant.streams import keys as names
from ai_assistant.streams import scripts
from ai_assistant.streams.program import Producer, Program
from ai_assistant.streams.publisher import STALE, Command, Emission
from ai_assistant.streams.record import fields_of
from ai_assistant.streams.settle import end_arguments

TTL_S: Final = Settings().task_ttl_s
MAX_LOG_BYTES: Final = Settings().max_log_bytes

Opened = Callable[[int | None], None]


class ProgramTask:
    """Sends what a producer says. Nothing here waits for Redis."""

    def __init__(self, program: Program, producer: Producer, on_open: Opened):
        """`on_open` is told the script's answer: 1 or 0 it is there, -2 the id is taken, `None` Redis stayed away."""
        self.max_log_bytes = MAX_LOG_BYTES
        self._program = program
        self._producer = producer
        self._on_open = on_open
        self._task: Task = producer.task
        self._keys = names.TaskKeys(self._task.ref)
        self._prefix, self._suffix = envelope(self._task.ref.site, user_room(self._task.ref.user))
        self._is_told = False
        self._is_left = False

    def open(self, message: bytes) -> bool:
        """Creates the task, which runs from now on, with its first event."""
        scope = self._program.keys
        args = [
            self._keys.member,
            f"{self._program.name}:{uuid.uuid4().hex}",
            self._program.name,
            TTL_S,
            message,
            self._prefix,
            self._suffix,
            names.REALTIME_CHANNEL,
            *fields_of(self._task),
        ]
        keys = [self._keys.task, self._keys.log, scope.open, scope.totals]
        return self._program.submit(Command(scripts.OPEN, keys, args, self._opened))

    def send(self, message: bytes, seq: int, type_: str) -> bool:
        """The next event; False when it was not taken, and then none will be."""
        return self._program.submit(
            Emission(
                task=self._keys.task,
                log=self._keys.log,
                gen=self._task.gen,
                seq=seq,
                shown=False,  # the task was made as shown
                message=message,
                prefix=self._prefix,
                suffix=self._suffix,
                done=self._sent,
                type="tool" if type_.startswith("tool_") else type_,
            )
        )

    def fold(self, snapshot: bytes, at: int) -> None:
        """The log up to event `at` is replaced by a snapshot."""
        keys, args = [self._keys.task, self._keys.log], [self._task.gen, snapshot, at]
        self._program.submit(Command(scripts.COMPACT, keys, args))

    def end(self, message: bytes, seq: int, outcome: Outcome) -> bool:
        """The last event, and how the task ended."""
        keys, args = end_arguments(self._program.keys, self._task, seq, "own", outcome, message, unsaved=0)
        return self._program.submit(Command(scripts.END, keys, args, self._ended))

    def join(self) -> None:
        """Asks the producer within a frame for what it holds."""
        self._program.join(self._producer)

    def leave(self) -> None:
        """The task is not this program's any more: it beats no longer, and the next reader ends it."""
        self._is_left = True
        self._program.detach(self._producer)

    def flush(self, timeout: float) -> bool:
        """Whether everything was delivered within `timeout` seconds."""
        return self._program.flush(timeout)

    def _opened(self, answer: int | None) -> None:
        if answer in (0, 1):
            self._program.attach(self._producer)
            if self._is_left:  # given up while it was being opened
                self._program.detach(self._producer)
        self._on_open(answer)
        if answer not in (0, 1):
            self._lost("gone" if answer != STALE else "taken")

    def _sent(self, answer: int | None) -> None:
        if answer is None or answer < 0:
            self._lost("gone" if answer != STALE else "lost")

    def _ended(self, answer: int | None) -> None:
        self._program.detach(self._producer)
        self._sent(answer)

    def _lost(self, why: str) -> None:
        if not self._is_told:
            self._is_told = True
            self._producer.heard(why)
