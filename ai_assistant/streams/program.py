"""A program that runs tasks of its own: one thread publishes what they say, in order, and beats for all of them.

Nobody who calls here waits for Redis. While it is away events wait, up to a limit of time and of bytes; then the task
is given up, since an event that is missing would be a gap that no client could close.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import uuid
from collections import Counter, deque
from typing import Final, Protocol

import msgspec
from redis.exceptions import RedisError

import ai_assistant
from ai_assistant.core.task import Task
from ai_assistant.streams import keys as names
from ai_assistant.streams import scripts
from ai_assistant.streams.program_sender import RETRY_S, Sender
from ai_assistant.streams.publisher import MAX_BATCH, OUTAGE_S, Command, Emission
from ai_assistant.streams.queue import GONE_AFTER_MS

log = logging.getLogger("ai_assistant.program")

BEAT_S: Final = 1.0
FRAME_S: Final = 0.016
"""How long deltas that follow each other are joined: one frame of a screen."""
LINGER_S: Final = 2.0
"""How long the thread waits for more when no task is open; the next task starts another."""
MAX_WAITING: Final = 32 * 1024 * 1024
"""Bytes of events that wait for Redis, of all tasks of the program."""
EMISSION_BYTES: Final = 400
"""What an event costs beside its message, about."""
KIND: Final = "program"


class Producer(Protocol):
    """A task of the program, as its publisher sees it."""

    task: Task

    def flush_due(self) -> bool:
        """Sends what was joined for long enough; whether something is still held."""
        ...

    def heard(self, answer: str) -> None:
        """What Redis says of the task: `lost` to a reader who ended it, `gone`, or `by:<user>` who cancelled it."""
        ...

    def abandon(self) -> None:
        """The program ends: ends the task, which nobody will go on with."""
        ...


class Program:
    """All tasks that this process runs in one scope. Use `programs.program_of`."""

    def __init__(self, url: str, scope: str, *, beat_s: float = BEAT_S, outage_s: float = OUTAGE_S):
        """`outage_s`: seconds that events wait for Redis, counted from the first failure."""
        self.name = f"{names.PROGRAM}{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self.keys = names.ScopeKeys(scope)
        self.failures = 0
        """Unexpected failures of this thread; the log has them."""
        self.given_up = 0
        """Events that Redis never took: it was away for too long, or refused them."""
        self._sender = Sender(url, self._beat_now, outage_s=outage_s)  # beats before a reader finds tasks overdue
        self._beat_s = beat_s
        self._started = time.time()
        self._lock = threading.Condition()
        self._queue: deque[Emission | Command] = deque()
        self._bytes = 0
        self._sending = 0
        self._producers: dict[str, Producer] = {}
        self._joining: dict[int, Producer] = {}
        self._thread: threading.Thread | None = None
        self._beat_at = 0.0
        self._published: Counter[str] = Counter()
        """Events that are not in the scope's totals yet, by type."""
        self._booked_at = 0.0
        self._is_silent = False
        """Whether the last heartbeat failed."""

    @property
    def waiting(self) -> int:
        """Events that Redis has not answered yet."""
        with self._lock:
            return len(self._queue) + self._sending

    def submit(self, item: Emission | Command) -> bool:
        """Hands over what is to be sent; False when too much waits already."""
        with self._lock:
            if self._bytes > MAX_WAITING:
                return False
            self._queue.append(item)
            self._bytes += size_of(item)
            self._awake()
        return True

    def join(self, producer: Producer) -> None:
        """Asks for `flush_due` within a frame."""
        with self._lock:
            self._joining[id(producer)] = producer
            self._awake()

    def attach(self, producer: Producer) -> None:
        """Beats for a task from now on: Redis knows it."""
        with self._lock:
            self._producers[names.encode_ref(producer.task.ref)] = producer

    def detach(self, producer: Producer) -> None:
        """The task has ended."""
        with self._lock:
            self._producers.pop(names.encode_ref(producer.task.ref), None)
            self._joining.pop(id(producer), None)

    def flush(self, timeout: float) -> bool:
        """Whether everything submitted so far was answered, or given up, within `timeout` seconds."""
        with self._lock:
            return self._lock.wait_for(lambda: not self._queue and not self._sending, timeout)

    def end(self, timeout: float) -> bool:
        """The process ends: so do its tasks."""
        with self._lock:
            open_ = list(self._producers.values())
        for producer in open_:
            producer.abandon()
        return self.flush(timeout)

    def _awake(self) -> None:
        """With the lock held."""
        self._lock.notify_all()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="ai_assistant tasks", daemon=True)
            try:
                self._thread.start()
            except RuntimeError as error:  # no more threads, or the interpreter is going down
                self._thread = None
                log.error("events of a task cannot be published: %s", error)

    def _work(self) -> None:
        while True:
            try:
                if not self._step():
                    return
            except Exception:
                self.failures += 1
                log.exception("publishing the tasks of this program failed; it goes on")
                time.sleep(RETRY_S[1])

    def _step(self) -> bool:
        """One round: a batch, what was joined, the heartbeat; False when there is nothing left to wait for."""
        batch = self._next()
        if batch is None:
            self._leave()
            return False
        if batch:
            self._send(batch)
        with self._lock:
            joining, self._joining = self._joining, {}
        held = {key: producer for key, producer in joining.items() if producer.flush_due()}
        with self._lock:
            self._joining.update(held)
        if self._producers and time.monotonic() - self._beat_at >= self._beat_s:
            self._beat()
        if self._published and (not self._producers or time.monotonic() - self._booked_at >= self._beat_s):
            self._book()
        return True

    def _next(self) -> list[Emission | Command] | None:
        """The next batch, waited for: empty when something else is due, `None` when the thread is to end."""
        with self._lock:
            if not self._queue:
                self._lock.wait_for(lambda: bool(self._queue), self._patience())
            if not self._queue:
                if self._producers or self._joining:
                    return []
                self._thread = None
                return None
            batch = [self._queue.popleft() for _ in range(min(MAX_BATCH, len(self._queue)))]
            self._sending = len(batch)
            return batch

    def _patience(self) -> float:
        if self._joining:
            return FRAME_S
        if self._producers:
            return max(0.0, self._beat_at + self._beat_s - time.monotonic())
        return LINGER_S

    def _send(self, batch: list[Emission | Command]) -> None:
        answers = self._sender.send(batch)
        for item, answer in zip(batch, answers, strict=True):
            self.given_up += answer is None or answer < 0
            if answer == 1 and isinstance(item, Emission):
                self._published[item.type] += 1
            if item.done:
                try:
                    item.done(answer)
                except Exception:
                    self.failures += 1
                    log.exception("a task could not take the answer to its event")
        with self._lock:
            self._sending = 0
            self._bytes -= sum(map(size_of, batch))
            self._lock.notify_all()

    def _book(self) -> None:
        """Adds what was published to the scope's totals (`totals.py`)."""
        self._booked_at = time.monotonic()
        published, self._published = self._published, Counter()
        grown = [item for type_, count in published.items() for item in (f"events|{type_}", count)]
        try:
            self._sender.run(scripts.COUNT, [self.keys.totals], grown)
        except (RedisError, OSError):
            self._published.update(published)  # the next event meets and reports the same failure

    def _beat(self) -> None:
        try:
            self._beat_now()
        except (RedisError, OSError) as error:
            self.failures += 1
            self._beat_at = time.monotonic() - self._beat_s + RETRY_S[1]  # again soon
            if not self._is_silent:
                log.warning("the heartbeat of this program's tasks failed, trying again: %s", error)
            self._is_silent = True

    def _beat_now(self) -> None:
        with self._lock:
            producers = list(self._producers.values())
        tasks = [names.TaskKeys(producer.task.ref) for producer in producers]
        keys = [self.keys.programs, self.keys.program_info, *(key for each in tasks for key in (each.task, each.log))]
        args = [self.name, self._info(), GONE_AFTER_MS, *(producer.task.gen for producer in producers)]
        reply = self._sender.run(scripts.BEAT, keys, args)
        self._beat_at = time.monotonic()
        self._is_silent = False
        for producer, answer in zip(producers, reply, strict=True):
            if answer:
                producer.heard(answer.decode())

    def _info(self) -> bytes:
        return msgspec.json.encode(
            {
                "kind": KIND,
                "version": ai_assistant.__version__,
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "started": int(self._started * 1000),
                "running": len(self._producers),
                "publish_errors": self._sender.errors,
                "failures": self.failures,
                "given_up": self.given_up,
            }
        )

    def _leave(self) -> None:
        """Nothing is open: the program is listed no longer. Should the next task begin just now, in a thread of its
        own, its first attempt may fail, and its next heartbeat lists the program again."""
        if not self._sender.is_connected:
            return
        try:
            self._sender.client().zrem(self.keys.programs, self.name)
            self._sender.client().hdel(self.keys.program_info, self.name)
        except (RedisError, OSError) as error:
            log.info("the program could not sign off; it is forgotten in a minute: %s", error)
        self._sender.close()


def size_of(item: Emission | Command) -> int:
    """What it takes of memory while it waits, in bytes, about."""
    if isinstance(item, Emission):
        return len(item.message) + EMISSION_BYTES
    return sum(len(arg) for arg in item.args if isinstance(arg, bytes)) + EMISSION_BYTES
