"""Generators as observations: current while they run, not between, and ended with them, however that comes.

An observation begins with the first item that is asked for, and ends as completed when the generator does, as cancelled
when it is left unfinished (closed, or collected), as failed when it raises.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable, Generator
from contextvars import Token
from typing import Any

from ai_assistant.tracing.context import CURRENT
from ai_assistant.tracing.span import Span

MAX_ITEMS = 200
"""Items that are kept; of texts, all characters up to the limit of a payload."""


def trace_generator(generator: Generator[Any, Any, Any], span: Span) -> Generator[Any, Any, Any]:
    """The generator, with `span` as the current observation inside it."""
    items = Items(span)
    step: Callable[[], Any] = lambda: next(generator)  # noqa: E731
    try:
        while True:
            token = CURRENT.set(span)
            try:
                item = step()
            finally:
                CURRENT.reset(token)
            items.add(item)
            try:
                sent = yield item
                step = (lambda value: lambda: generator.send(value))(sent)
            except GeneratorExit:
                close_within(generator, span)
                raise
            except BaseException as error:  # noqa: BLE001  # thrown in by the caller: the generator's to handle
                step = (lambda raised: lambda: generator.throw(raised))(error)
    except StopIteration as stop:
        items.end("completed", stop.value)
        return stop.value
    except GeneratorExit:
        items.end("cancelled")
        raise
    except BaseException as error:
        items.keep()
        span.end_with(error)
        raise


def close_within(generator: Generator[Any, Any, Any], span: Span) -> None:
    """Closes it, its own `finally` blocks running within the observation."""
    token = CURRENT.set(span)
    try:
        generator.close()
    finally:
        CURRENT.reset(token)


async def trace_async_generator(
    generator: AsyncGenerator[Any, Any], begin: Callable[[], Span | None]
) -> AsyncGenerator[Any, Any]:
    """The async generator, with the observation that `begin` gives as the current one inside it."""
    span = begin()
    items = Items(span)
    step: Callable[[], Any] = generator.__anext__
    try:
        while True:
            token = CURRENT.set(span) if span is not None else None
            try:
                item = await step()
            finally:
                leave(token)
            items.add(item)
            try:
                sent = yield item
                step = (lambda value: lambda: generator.asend(value))(sent)
            except GeneratorExit:
                await aclose_within(generator, span)
                raise
            except BaseException as error:  # noqa: BLE001  # thrown in by the caller: the generator's to handle
                step = (lambda raised: lambda: generator.athrow(raised))(error)
    except StopAsyncIteration:
        items.end("completed")
    except GeneratorExit:
        items.end("cancelled")
        raise
    except BaseException as error:
        items.keep()
        if span is not None:
            span.end_with(error)
        raise


def leave(token: Token[Span | None] | None) -> None:
    """Makes the observation before it the current one again, unless this is another context: of a loop that has ended,
    whose generators are collected elsewhere."""
    if token is not None:
        with contextlib.suppress(ValueError):
            CURRENT.reset(token)


async def aclose_within(generator: AsyncGenerator[Any, Any], span: Span | None) -> None:
    """Closes it within the observation."""
    token = CURRENT.set(span) if span is not None else None
    try:
        await generator.aclose()
    finally:
        leave(token)


class Items:
    """What a generator gave, as far as it is kept."""

    def __init__(self, span: Span | None):
        self._span = span if span is not None and span.state.lane and span.tracer.settings.capture_output else None
        self._ending = span
        self._kept: list[Any] = []
        self._chars = 0
        self.count = 0

    def add(self, item: Any) -> None:
        """One more item. Of mutable ones the state at the end is kept."""
        self.count += 1
        if self._span is None:
            return
        if isinstance(item, str):
            if self._chars < self._span.tracer.settings.max_payload_chars:
                self._chars += len(item)
                self._kept.append(item)
        elif len(self._kept) < MAX_ITEMS:
            self._kept.append(item)

    def keep(self, result: Any = None) -> None:
        """Notes the items as the output: texts joined, else a list."""
        span, kept = self._span, self._kept
        if span is None or "output" in span.fields:
            return
        if result is not None:
            span.update(output=result)
        elif kept and all(type(item) is str for item in kept):
            span.update(output="".join(kept))
        elif kept:
            span.update(output=kept, **({"output_truncated": 1} if len(kept) < self.count else {}))
        span.update(metadata={"items": self.count})

    def end(self, status: str, result: Any = None) -> None:
        """Ends the observation."""
        self.keep(result)
        if self._ending is not None:
            self._ending.end(status=status)
