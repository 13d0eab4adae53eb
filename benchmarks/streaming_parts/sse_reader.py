"""A load on an OpenAI-compatible endpoint: streams read as Server-Sent Events, from a proxy or from the upstream."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

import aiohttp

from .api import open_http
from .job import Job
from .realtime import Event
from .stamps import RawReader
from .task_watch import Tally, TaskWatch


class SseChats:
    """Use as an async context manager, like `Chats`."""

    def __init__(self, job: Job):
        self._job = job
        self._http = open_http()
        self._errors: list[str] = []
        self._random = random.Random(20)

    async def __aenter__(self) -> SseChats:
        return self

    async def __aexit__(self, *_exc: Any) -> None:
        await self._http.close()

    async def run(self) -> list[TaskWatch]:
        """Reads every stream to its end."""
        delays = [self._random.random() * self._job.spread_s for _ in range(self._job.streams)]
        return list(await asyncio.gather(*(self._stream(i, delay) for i, delay in enumerate(delays))))

    def tally(self, watches: list[TaskWatch]) -> Tally:
        """The sums. What SSE has no word for (numbers, spacing) stays empty."""
        tally = Tally(problems=list(self._errors[:10]))
        for watch in watches:
            tally.add(watch)
        return tally

    async def _stream(self, number: int, delay: float) -> TaskWatch:
        await asyncio.sleep(delay)
        watch = TaskWatch(f"stream {number}", self._job.tokens)
        watch.asked_ns = time.monotonic_ns()
        try:
            await asyncio.wait_for(self._read(watch), self._job.timeout_s)
        except (aiohttp.ClientError, asyncio.TimeoutError) as error:
            self._errors.append(f"stream {number}: {type(error).__name__} {error}")
        return watch

    async def _read(self, watch: TaskWatch) -> None:
        body = {
            "model": self._job.model,
            "messages": [{"role": "user", "content": "Say the tokens."}],
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        headers = {"Authorization": f"Bearer {self._job.api_key}"} if self._job.api_key else {}
        reader = RawReader(watch.reader)
        timeout = aiohttp.ClientTimeout(total=self._job.timeout_s)
        url = f"{self._job.url}/chat/completions"
        async with self._http.post(url, json=body, headers=headers, timeout=timeout) as answer:
            if answer.status != 200:
                watch.done.set_result(Event("error", code=str(answer.status), message=(await answer.text())[:300]))
                return
            async for data in answer.content.iter_any():
                now = time.monotonic_ns()
                latencies = reader.feed(data, now)
                if latencies and not watch.first_ns:
                    watch.first_ns = now
                watch.latencies += latencies
        watch.completion_equals_deltas = True
        watch.done.set_result(Event("completion"))
