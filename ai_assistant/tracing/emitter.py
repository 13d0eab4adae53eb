"""Hands typed events to whoever wants them (S4.2): functions and coroutines, each with a bounded queue of its own.

emitter = Emitter()
emitter.add(write_to_log)                       # everything
emitter.add(push_to_browser, ToolProgress)      # a coroutine function, only these
emitter.add(tracing_handler)                    # onto the current observation
emitter.emit(ToolStarted(name="ocr"))           # from a function or a coroutine: it never waits
emitter.flush(2)                                # or: await emitter.aflush(2)
"""

from __future__ import annotations

import asyncio
import atexit
import inspect
import os
import threading
import time
import weakref
from typing import Any, Final

from ai_assistant.tracing.subscription import Handler, Inline, Looped, Subscription, Threaded
from ai_assistant.tracing.typed_events import Event, kind_of

BUFFER: Final = 10_000
"""Events that wait for one handler, at most."""
EXIT_S: Final = 2.0
"""How long a program that ends waits for handlers."""


class Emitter:
    """Where a program says what it is doing. Thread-safe."""

    def __init__(self, *, buffer: int = BUFFER):
        """`buffer`: events that may wait for each handler; after that the oldest give way. Raises ValueError."""
        if isinstance(buffer, bool) or not isinstance(buffer, int) or buffer < 1:
            raise ValueError(f"buffer must be a whole number of events from 1, not {buffer!r}")
        self._buffer = buffer
        self._lock = threading.Lock()
        self._subscriptions: list[tuple[Subscription, tuple[type[Event] | str, ...]]] = []
        self._routes: dict[type, tuple[Subscription, ...]] = {}
        self._own_loop: asyncio.AbstractEventLoop | None = None
        self._pid = os.getpid()
        self._closed = False
        self.refused = 0
        """Events that came after `close`."""
        _living.add(self)

    def add(self, handler: Handler, *kinds: type[Event] | str, inline: bool | None = None) -> Handler:
        """Calls `handler` with every event, or with those of these classes (and what is derived from them) or kinds.

        A coroutine function runs on the loop that is running now, else on one of the emitter's own; a function runs in
        a thread of its own, or, with `inline`, within `emit`. Gives the handler back. Raises TypeError for what is
        no handler or no kind of event, ValueError where a coroutine function is to run inline.
        """
        if not callable(handler):
            raise TypeError(f"handler must be a function or a coroutine function, not {handler!r}")
        for kind in kinds:
            if not (isinstance(kind, str) or (isinstance(kind, type) and issubclass(kind, Event))):
                raise TypeError(f"kinds must be classes of events or their names, not {kind!r}")
        wants_inline = getattr(handler, "inline", False) if inline is None else inline
        subscription = self._subscription(handler, bool(wants_inline))
        with self._lock:
            self._subscriptions.append((subscription, kinds))
            self._routes = {}
        return handler

    def remove(self, handler: Handler) -> bool:
        """Calls `handler` no more; what waits for it is still handled. Gives whether it was there."""
        with self._lock:
            kept = [each for each in self._subscriptions if each[0].handler != handler]
            found = len(kept) < len(self._subscriptions)
            self._subscriptions = kept
            self._routes = {}
        return found

    def emit(self, event: Event) -> bool:
        """Hands an event on and returns at once; False after `close`. Whatever handlers do, it does not raise."""
        if self._closed:
            self.refused += 1
            return False
        if self._pid != os.getpid():
            self._after_fork()
        subscriptions = self._routes.get(type(event))
        for subscription in self._route(type(event)) if subscriptions is None else subscriptions:
            subscription.offer(event)
        return True

    def flush(self, timeout: float = 5.0) -> bool:
        """Waits until everything emitted so far is handled; False when `timeout` seconds were not enough. Raises
        RuntimeError on a loop that handlers need: `await aflush()` there."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        if loop and any(each.runs_on(loop) for each in self._all() if isinstance(each, Looped)):
            raise RuntimeError("flush() would block the event loop that handlers run on: use `await aflush()`")
        return self._wait(timeout)

    async def aflush(self, timeout: float = 5.0) -> bool:
        """As `flush`, without blocking the loop."""
        return await asyncio.to_thread(self._wait, timeout)

    def close(self, timeout: float = 5.0) -> bool:
        """Takes no more events and waits for what is on its way, as `flush` does."""
        self._closed = True
        done = self.flush(timeout)
        self._end_loop()
        return done

    async def aclose(self, timeout: float = 5.0) -> bool:
        """As `close`, without blocking the loop."""
        self._closed = True
        done = await self.aflush(timeout)
        self._end_loop()
        return done

    def status(self) -> dict[str, dict[str, int]]:
        """By handler's name: events `handled`, `failed`, `dropped` and `waiting`."""
        found: dict[str, dict[str, int]] = {}
        for each in self._all():
            counts = found.setdefault(each.name, dict.fromkeys(("handled", "failed", "dropped", "waiting"), 0))
            for name, count in each.counts().items():
                counts[name] += count
        return found

    def _subscription(self, handler: Handler, inline: bool) -> Subscription:
        name = getattr(handler, "__qualname__", None) or type(handler).__qualname__
        if not is_coroutine_function(handler):
            return (Inline if inline else Threaded)(handler, name, self._buffer)
        if inline:
            raise ValueError(f"inline: {name} is a coroutine function, which cannot run within emit()")
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            return Looped(handler, name, self._buffer, self._loop)
        return Looped(handler, name, self._buffer, lambda: running)

    def _all(self) -> list[Subscription]:
        with self._lock:
            return [subscription for subscription, _ in self._subscriptions]

    def _route(self, event_type: type[Event]) -> tuple[Subscription, ...]:
        with self._lock:
            found = tuple(each for each, kinds in self._subscriptions if wants(kinds, event_type))
            self._routes = {**self._routes, event_type: found}
        return found

    def _wait(self, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        return all(each.wait(deadline) for each in self._all())

    def _loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._own_loop is None:
                self._own_loop = asyncio.new_event_loop()
                threading.Thread(target=run_loop, args=(self._own_loop,), name="event handlers", daemon=True).start()
            return self._own_loop

    def _end_loop(self) -> None:
        with self._lock:
            loop, self._own_loop = self._own_loop, None
        if loop and self._pid == os.getpid():
            loop.call_soon_threadsafe(loop.stop)

    def _after_fork(self) -> None:
        """A child has none of its parent's threads, and perhaps locks that they held."""
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._own_loop = None
        for subscription, _ in self._subscriptions:
            subscription.forget()


def run_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Runs a loop until it is stopped."""
    try:
        loop.run_forever()
    finally:
        loop.close()


def wants(kinds: tuple[type[Event] | str, ...], event_type: type[Event]) -> bool:
    """Whether a handler for these kinds, none of which means all, gets events of the class."""
    name = kind_of(event_type)
    return not kinds or any(kind == name if isinstance(kind, str) else issubclass(event_type, kind) for kind in kinds)


def is_coroutine_function(handler: Handler) -> bool:
    """Whether calling it gives a coroutine; also for objects with an asynchronous `__call__`, and partials."""
    while hasattr(handler, "func"):  # functools.partial
        handler = handler.func  # type: ignore[attr-defined]
    called: Any = getattr(handler, "__call__", None)  # noqa: B004  # the method itself is looked at
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(called)


_living: weakref.WeakSet[Emitter] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for emitter in list(_living):
        emitter.close(EXIT_S)
