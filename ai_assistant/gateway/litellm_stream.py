"""LiteLLM's stream object, with what it lacks: a way out of its endless loop, and the truth about the end."""

from __future__ import annotations

import asyncio
from typing import Any

#: Pieces without any content, one after the other, after which a stream is given up.
_MOST_EMPTY = 10_000


class StreamHandle:
    """Wraps LiteLLM's `CustomStreamWrapper`.

    When a Gemini stream ends in broken JSON, LiteLLM's parser returns nothing for ever without ever waiting: the
    event loop, and every other stream with it, would stand still. So each piece gives the loop a turn (and the time
    limits their chance), and too many empty ones are an error.
    """

    def __init__(self, wrapper: Any):
        self._wrapper = wrapper

    async def open(self) -> None:
        """Send the request where LiteLLM has put that off, and stand between it and its parser."""
        fetch = getattr(self._wrapper, "fetch_stream", None)
        if fetch is not None:
            await fetch()
        inner = getattr(self._wrapper, "completion_stream", None)
        if inner is not None and hasattr(inner, "__aiter__"):
            self._wrapper.completion_stream = _Patient(inner)

    async def next(self) -> Any:
        """The next chunk; raises `StopAsyncIteration` at the end, and LiteLLM's exceptions."""
        return await self._wrapper.__anext__()

    @property
    def complete(self) -> bool:
        """Whether the provider itself named a reason for the end; LiteLLM makes one up where it did not."""
        names = ("received_finish_reason", "intermittent_finish_reason")
        if not hasattr(self._wrapper, names[0]):
            return True
        return any(getattr(self._wrapper, name, None) for name in names)

    async def aclose(self) -> None:
        """Close the provider's connection."""
        await self._wrapper.aclose()


class _Patient:
    """An async iterator that hands on what another yields, without its `None`s."""

    def __init__(self, inner: Any):
        self._inner = inner
        self._iterator = inner.__aiter__()

    def __aiter__(self) -> _Patient:
        return self

    async def __anext__(self) -> Any:
        for _ in range(_MOST_EMPTY):
            piece = await self._iterator.__anext__()
            await asyncio.sleep(0)  # LiteLLM takes 0.4 ms for a piece: many that wait would hold the loop for seconds
            if piece is not None:
                return piece
        raise RuntimeError("the stream holds nothing but empty pieces")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)
