"""Watches the SDKs' streams go by.

A stream stays the object that the SDK made: it only becomes an instance of a class derived from its own, which reads
each chunk after the SDK and before the program. So helpers, `with`, `close` and `response` work as they did.

A loop that is left ends the observation: most programs then drop the stream without a word. What a program reads of
it later is not in the trace.
"""

from __future__ import annotations

import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final

from ai_assistant.tracing.integrations.answers import Answer
from ai_assistant.tracing.integrations.recording import harmless

WATCH: Final = "_tracing_watch"


class Watch:
    """Follows one stream. `reading` is true while the SDK itself is at work: what it closes then has ended, while what
    is closed at any other time the program wants no more of."""

    __slots__ = ("answer", "owner", "reading")

    def __init__(self, answer: Answer, owner: int):
        self.answer = answer
        self.owner = owner
        self.reading = False

    def next(self, read: Callable[[], Any]) -> Any:
        """The next chunk, as `read` gives it; what it raises is noted and goes on its way."""
        self.reading = True
        try:
            item = read()
        except BaseException as error:
            self._raised(error)
            raise
        finally:
            self.reading = False
        self.answer.add(item)
        return item

    async def anext(self, read: Callable[[], Any]) -> Any:
        """As `next`, of an asynchronous stream."""
        self.reading = True
        try:
            item = await read()
        except BaseException as error:
            self._raised(error)
            raise
        finally:
            self.reading = False
        self.answer.add(item)
        return item

    def dropped(self) -> None:
        """The program wants no more of it."""
        if not self.reading:
            self.answer.dropped()

    def _raised(self, error: BaseException) -> None:
        if isinstance(error, (StopIteration, StopAsyncIteration)):
            self.answer.finished()
        elif isinstance(error, GeneratorExit):
            self.answer.dropped()
        else:
            self.answer.failed(error)


@harmless
def watch_stream(stream: Any, answer: Answer) -> bool:
    """Reads the stream into `answer` as the program reads it. False for what is no stream of an SDK."""
    kind = type(stream)
    response = getattr(stream, "response", None)
    if response is None or not (hasattr(kind, "__next__") or hasattr(kind, "__anext__")) or WATCH in vars(stream):
        return False
    watch = Watch(answer, id(stream))
    setattr(stream, WATCH, watch)
    stream.__class__ = watched_class(kind)
    if not isinstance(stream, kind):  # versions of the Anthropic SDK that decide by a metaclass what is a stream
        stream.__class__ = kind
        stream._iterator = (WatchedAsync if hasattr(kind, "__anext__") else WatchedSync)(stream._iterator, watch)
    watch_close(response, watch)
    return True


def watched_class(kind: type) -> type:
    """The class that reads along, derived from the stream's. Only from that one: an instance can change to a class
    that is laid out as its own, which one with a second base is not."""
    derived = _classes.get(kind)
    if derived is None:
        methods = async_methods(kind) if hasattr(kind, "__anext__") else sync_methods(kind)
        names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__}
        derived = _classes[kind] = type(kind.__name__, (kind,), {**names, **methods, "__del__": deleted})
    return derived


_classes: dict[type, type] = {}


def sync_methods(kind: Any) -> dict[str, Any]:
    """How a synchronous stream is iterated."""

    def __iter__(self: Any) -> Iterator[Any]:
        watch: Watch = getattr(self, WATCH)
        read = kind.__iter__(self).__next__
        while True:
            try:
                item = watch.next(read)
            except StopIteration:
                return
            try:
                yield item
            except GeneratorExit:
                watch.dropped()
                raise

    def __next__(self: Any) -> Any:
        return getattr(self, WATCH).next(lambda: kind.__next__(self))

    return {"__iter__": __iter__, "__next__": __next__}


def async_methods(kind: Any) -> dict[str, Any]:
    """How an asynchronous stream is iterated."""

    async def __aiter__(self: Any) -> AsyncIterator[Any]:
        watch: Watch = getattr(self, WATCH)
        read = kind.__aiter__(self).__anext__
        while True:
            try:
                item = await watch.anext(read)
            except StopAsyncIteration:
                return
            try:
                yield item
            except GeneratorExit:
                watch.dropped()
                raise

    async def __anext__(self: Any) -> Any:
        return await getattr(self, WATCH).anext(lambda: kind.__anext__(self))

    return {"__aiter__": __aiter__, "__anext__": __anext__}


class WatchedSync:
    """Stands before the iterator within a stream whose class cannot be changed. It does not hear when a loop over the
    stream is left, only when the stream is closed or dropped."""

    def __init__(self, iterator: Any, watch: Watch):
        self._iterator = iterator
        self._watch = watch

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        return self._watch.next(self._iterator.__next__)

    def __del__(self) -> None:
        self._watch.dropped()


class WatchedAsync:
    """As `WatchedSync`, of an asynchronous stream."""

    def __init__(self, iterator: Any, watch: Watch):
        self._iterator = iterator
        self._watch = watch

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> Any:
        return await self._watch.anext(self._iterator.__anext__)

    def __del__(self) -> None:
        self._watch.dropped()


def deleted(self: Any) -> None:
    """`__del__` of a watched stream."""
    watch = self.__dict__.get(WATCH)
    if watch is not None and watch.owner == id(self):  # not a copy of it, which the Anthropic SDK makes
        watch.dropped()


def watch_close(response: Any, watch: Watch) -> None:
    """Tells `watch` when the response is closed: the SDKs' helpers close it, not the stream."""
    kind, alive = type(response), weakref.ref(response)  # not the response itself, which would hold itself

    def close() -> None:
        watch.dropped()
        if (found := alive()) is not None:
            kind.close(found)

    async def aclose() -> None:
        watch.dropped()
        if (found := alive()) is not None:
            await kind.aclose(found)

    response.close, response.aclose = close, aclose
