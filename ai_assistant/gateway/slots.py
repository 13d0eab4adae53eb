"""Limits the concurrent streams to one provider endpoint; who waits, waits in order."""

from __future__ import annotations

import asyncio
from collections import deque


class Slots:
    """The streams of one endpoint. Models that share an endpoint may differ in the limit they set: each obeys its
    own, counted over all of them."""

    def __init__(self) -> None:
        self._open = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def open(self) -> int:
        """Streams that hold a slot."""
        return self._open

    @property
    def queued(self) -> int:
        """Calls that wait for one."""
        return sum(not future.done() for _, future in self._waiting)

    def try_acquire(self, limit: int) -> bool:
        """Take a slot if one is free and nobody waits."""
        if self._open >= limit or self.queued:
            return False
        self._open += 1
        return True

    async def acquire(self, limit: int) -> None:
        """Wait for a slot. Set a time limit around it; cancelling it gives the place in the queue up."""
        if self.try_acquire(limit):
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((limit, future))
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self.release()
            else:
                self._wake()
            raise

    def release(self) -> None:
        """Give a slot back and wake the next in line."""
        self._open -= 1
        self._wake()

    def _wake(self) -> None:
        while self._waiting:
            limit, future = self._waiting[0]
            if future.done():
                self._waiting.popleft()
                continue
            if self._open >= limit:
                return
            self._waiting.popleft()
            self._open += 1
            future.set_result(None)
