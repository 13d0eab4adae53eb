"""A load on the wire of a host: chats started over HTTP, their events read from Socket.IO."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import Callable
from typing import Any

import aiohttp

from .api import Api, ApiError, open_http
from .job import Credential, Job
from .realtime import Event, Realtime
from .task_watch import Tally, TaskWatch

#: Sockets that are opened at a time.
OPENING = 25
PROMPT = "Say the tokens."


class Chats:
    """Use as an async context manager; inside it every user is logged in and every socket open."""

    def __init__(self, job: Job, on_mark: Callable[[int], None]):
        self._job = job
        self._on_mark = on_mark
        self._http = open_http()
        self._apis: list[Api] = []
        self._sockets: list[Realtime] = []
        self._idle: list[Realtime] = []
        self._watches: dict[str, TaskWatch] = {}
        self._errors: list[str] = []
        self._strange = 0
        self._finished = 0
        self._random = random.Random(20)

    async def __aenter__(self) -> Chats:
        self._apis = [await self._login(user) for user in self._job.users]
        self._sockets = [await self._socket(api, self._on_event) for api in self._apis]
        await self._open_idle()
        return self

    async def __aexit__(self, *_exc: Any) -> None:
        for socket in (*self._sockets, *self._idle):
            socket.close()
        await self._http.close()

    async def run(self) -> list[TaskWatch]:
        """Runs every chat to its end."""
        delays = [self._random.random() * self._job.spread_s for _ in range(self._job.streams)]
        await asyncio.gather(*(self._stream(i, delay) for i, delay in enumerate(delays)))
        return list(self._watches.values())

    def tally(self, watches: list[TaskWatch]) -> Tally:
        """The sums, with what went wrong outside of the chats."""
        tally = Tally(problems=list(self._errors[:10]))
        for watch in watches:
            tally.add(watch)
        closed = [socket.closed for socket in (*self._sockets, *self._idle) if socket.closed]
        if closed:
            tally.problems.append(f"{len(closed)} sockets were closed: {closed[0]}")
        if self._strange:
            tally.problems.append(f"{self._strange} events came to sockets that had not asked for them")
        return tally

    async def _login(self, who: Credential) -> Api:
        api = Api(self._http, self._job.url)
        await api.login(who.user, who.password)
        return api

    async def _socket(self, api: Api, on_event: Callable[[Event, int], None]) -> Realtime:
        socket = Realtime(self._job.site, on_event)
        await socket.connect(self._job.socket_url or self._job.url, api.headers, page=self._job.url)
        return socket

    async def _open_idle(self) -> None:
        """The sockets of other users, who ask nothing and must hear nothing."""
        if not self._job.idle_sockets:
            return
        apis = [await self._login(user) for user in self._job.idle_users]
        left = self._job.idle_sockets
        while left > 0:
            batch = [self._socket(apis[(left - i) % len(apis)], self._on_stray) for i in range(min(OPENING, left))]
            self._idle += await asyncio.gather(*batch)
            left -= len(batch)

    def _on_event(self, event: Event, now: int) -> None:
        watch = self._watches.get(event.task_id)
        if watch is None:
            self._strange += 1
        else:
            watch.take(event, now)

    def _on_stray(self, _event: Event, _now: int) -> None:
        self._strange += 1

    async def _stream(self, number: int, delay: float) -> None:
        await asyncio.sleep(delay)
        api = self._apis[number % len(self._apis)]
        for _ in range(self._job.rounds):
            await self._chat(api)
            self._finished += 1
            if self._finished in self._job.marks:
                await self._pause_at(self._finished)

    async def _pause_at(self, mark: int) -> None:
        """Tells the parent and gives it the time to measure."""
        self._on_mark(mark)
        await asyncio.sleep(1.0)

    async def _chat(self, api: Api) -> None:
        watch = TaskWatch(str(uuid.uuid4()), self._job.tokens)
        self._watches[watch.task_id] = watch
        more = {"conversation": "new"} if self._job.conversation else {}
        watch.asked_ns = time.monotonic_ns()
        try:
            await api.call(
                "chat_completion",
                messages=[{"role": "user", "content": PROMPT}],
                model=self._job.model,
                task_id=watch.task_id,
                wait=False,
                **more,
            )
            await asyncio.wait_for(asyncio.shield(watch.done), self._job.timeout_s)
        except (ApiError, aiohttp.ClientError, asyncio.TimeoutError) as error:
            self._errors.append(f"{watch.task_id}: {type(error).__name__} {error}")
