"""One handler of an emitter with a queue of its own, so that a slow or failing one harms nobody else.

Three ways to run a handler: at once in the caller's thread (`Inline`), in a thread of its own (`Threaded`, for
functions), or as a task on an event loop (`Looped`, for coroutines). Each keeps the order of the events.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import Context, copy_context
from typing import Any, Final

from ai_assistant.tracing.typed_events import Event

log = logging.getLogger("ai_assistant.tracing")

Handler = Callable[[Any], Any]
LINGER_S: Final = 1.0
"""How long a handler's thread waits for the next event before it ends; the next event starts another."""


class Subscription:
    """A handler and its events. `emit` is called by anybody, from any thread; it never blocks and never raises."""

    def __init__(self, handler: Handler, name: str, buffer: int):
        self.handler = handler
        self.name = name
        self.handled = 0
        self.failed = 0
        self.dropped = 0
        """Events that gave way to later ones because the handler was too slow, or that nobody was left to handle."""
        self._buffer = buffer
        self._queue: deque[tuple[Context, Event]] = deque()
        self._lock = threading.Condition()
        self._working = False
        self._accepted = 0
        self._logged: set[str] = set()

    def offer(self, event: Event) -> None:
        """Takes an event for the handler, in the context of this moment: its current observation is the handler's."""
        item = (copy_context(), event)
        with self._lock:
            self._accepted += 1
            if len(self._queue) >= self._buffer:
                self._queue.popleft()
                self.dropped += 1
                self._log_once("dropped", "handler %s is too slow: its oldest waiting events are dropped", self.name)
            self._queue.append(item)
            self._lock.notify_all()
            if self._working:
                return
            self._working = True
        self._start()

    def wait(self, deadline: float) -> bool:
        """Whether everything accepted so far is done by then (`time.monotonic`)."""
        with self._lock:
            target = self._accepted
            return self._lock.wait_for(lambda: self._finished >= target, max(0.0, deadline - time.monotonic()))

    def counts(self) -> dict[str, int]:
        """What became of the events."""
        with self._lock:
            waiting = self._accepted - self._finished
            return {"handled": self.handled, "failed": self.failed, "dropped": self.dropped, "waiting": waiting}

    def forget(self) -> None:
        """In the child of a fork: the parent's threads and waiting events are the parent's."""
        self.__init__(self.handler, self.name, self._buffer)

    @property
    def _finished(self) -> int:
        return self.handled + self.failed + self.dropped

    def _start(self) -> None:
        raise NotImplementedError

    def _next(self, linger: float) -> tuple[Context, Event] | None:
        """The next event; `None` after `linger` seconds without one, and then somebody else must be started."""
        with self._lock:
            if not self._queue and linger:
                self._lock.wait_for(lambda: bool(self._queue), linger)
            if self._queue:
                return self._queue.popleft()
            self._working = False
            return None

    def _done(self, error: BaseException | None) -> None:
        with self._lock:
            if error is None:
                self.handled += 1
            else:
                self.failed += 1
                self._log_once(
                    type(error).__qualname__,
                    "handler %s failed; more errors of this type are only counted",
                    self.name,
                    exc_info=error,
                )
            self._lock.notify_all()

    def _drop_all(self, reason: str) -> None:
        with self._lock:
            self.dropped += len(self._queue)
            self._queue.clear()
            self._working = False
            self._log_once(reason, "handler %s cannot run: %s; its events are dropped", self.name, reason)
            self._lock.notify_all()

    def _log_once(self, key: str, message: str, *values: object, exc_info: BaseException | None = None) -> None:
        if key not in self._logged and len(self._logged) < 100:
            self._logged.add(key)
            log.warning(message, *values, exc_info=exc_info)


class Inline(Subscription):
    """Runs in the thread that emits, before `emit` returns: for what takes microseconds."""

    def offer(self, event: Event) -> None:
        """Handles it."""
        with self._lock:
            self._accepted += 1
        error = None
        try:
            self.handler(event)
        except Exception as raised:  # noqa: BLE001  # counted and logged once
            error = raised
        self._done(error)


class Threaded(Subscription):
    """Runs in a thread that lives while there are events."""

    def _start(self) -> None:
        try:
            threading.Thread(target=self._work, name=f"events {self.name}", daemon=True).start()
        except RuntimeError as error:  # no more threads, or the interpreter is going down
            self._drop_all(str(error))

    def _work(self) -> None:
        while (item := self._next(LINGER_S)) is not None:
            context, event = item
            error = None
            try:
                context.run(self.handler, event)
            except Exception as raised:  # noqa: BLE001  # counted and logged once
                error = raised
            self._done(error)


class Looped(Subscription):
    """Runs on an event loop, one event after the other."""

    def __init__(self, handler: Handler, name: str, buffer: int, loop: Callable[[], asyncio.AbstractEventLoop]):
        super().__init__(handler, name, buffer)
        self._loop = loop
        self._task: asyncio.Task[None] | None = None

    def forget(self) -> None:
        """See Subscription."""
        self.__init__(self.handler, self.name, self._buffer, self._loop)

    def offer(self, event: Event) -> None:
        """See Subscription. A loop that was closed before it came to these events never will."""
        super().offer(event)
        if self._loop().is_closed():
            self._drop_all("its event loop is closed")

    def runs_on(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether the handler needs this loop."""
        return self._loop() is loop

    def _start(self) -> None:
        try:
            self._loop().call_soon_threadsafe(self._spawn)
        except RuntimeError:
            self._drop_all("its event loop is closed")

    def _spawn(self) -> None:
        self._task = asyncio.ensure_future(self._work())

    async def _work(self) -> None:
        while (item := self._next(0)) is not None:
            context, event = item
            error: BaseException | None = None
            try:
                answer = context.run(self.handler, event)
                if inspect.isawaitable(answer):
                    await context.run(asyncio.ensure_future, _awaited(answer))
            except asyncio.CancelledError as raised:
                self._done(raised)
                self._drop_all("its event loop has cancelled it")
                raise
            except Exception as raised:  # noqa: BLE001  # counted and logged once
                error = raised
            self._done(error)


async def _awaited(answer: Awaitable[Any]) -> Any:
    return await answer
