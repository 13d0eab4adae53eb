"""One streamed answer of the upstream: each token at its time, without drift."""

from __future__ import annotations

import asyncio
import json
import time

from .httpwire import Head
from .pace import pace_of
from .stamps import token

#: A clump is written when it is due within this time: timers of libuv count whole milliseconds.
EARLY_NS = 1_000_000
#: A token that is written later than this after its time counts as late.
LATE_NS = 5_000_000


class Watch:
    """How late the upstream wrote, since the last look."""

    def __init__(self) -> None:
        self.tokens = 0
        self._late = 0
        self._latest_ns = 0

    def note(self, tokens: int, late_ns: int) -> None:
        """`tokens` were written `late_ns` after they were due."""
        self.tokens += tokens
        if late_ns > LATE_NS:
            self._late += tokens
        if late_ns > self._latest_ns:
            self._latest_ns = late_ns

    def take(self) -> dict[str, float]:
        """Tokens since the start; late ones and the longest delay since the last call."""
        figures = {"tokens": self.tokens, "late_tokens": self._late, "latest_ms": round(self._latest_ns / 1e6, 2)}
        self._late = self._latest_ns = 0
        return figures


class Stream:
    """The answer to one request. The first token is written together with the answer's first byte."""

    __slots__ = (
        "_began",
        "_loop",
        "_number",
        "_pace",
        "_prefix",
        "_suffix",
        "_timer",
        "_transport",
        "_usage",
        "_watch",
    )

    def __init__(self, transport: asyncio.WriteTransport, model: str, usage: bool, watch: Watch):
        self._transport = transport
        self._pace = pace_of(model)
        self._usage = usage
        self._watch = watch
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._number = 0
        self._began = 0
        frame = (
            f'data: {{"id":"chatcmpl-bench","object":"chat.completion.chunk","created":{int(time.time())},'
            f'"model":{json.dumps(model)},"choices":'
        )
        self._prefix = frame
        self._suffix = "}\n\n"

    def start(self) -> None:
        """Writes the head and the first clump, and plans the rest."""
        self._transport.write(Head.answer(200, "text/event-stream; charset=utf-8", None))
        self._write('[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]')
        self._began = time.monotonic_ns()
        self._tick()

    def stop(self) -> None:
        """The client has gone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        """Writes every clump that is due and waits for the next."""
        while self._number < self._pace.tokens:
            wait = self._began + self._pace.due_ns(self._number) - time.monotonic_ns()
            if wait > EARLY_NS:
                self._timer = self._loop.call_later(wait / 1e9, self._tick)
                return
            self._clump(max(0, -wait))
        self._end()

    def _clump(self, late_ns: int) -> None:
        count = min(self._pace.clump, self._pace.tokens - self._number)
        for _ in range(count):
            self._write(f'[{{"index":0,"delta":{{"content":"{token(self._number)}"}},"finish_reason":null}}]')
            self._number += 1
        self._watch.note(count, late_ns)

    def _end(self) -> None:
        self._timer = None
        self._write('[{"index":0,"delta":{},"finish_reason":"stop"}]')
        if self._usage:
            tokens = self._pace.tokens
            used = f'"usage":{{"prompt_tokens":8,"completion_tokens":{tokens},"total_tokens":{8 + tokens}}}'
            self._write(f"[],{used}")
        self._chunk("data: [DONE]\n\n")
        self._transport.write(b"0\r\n\r\n")

    def _write(self, choices: str) -> None:
        self._chunk(f"{self._prefix}{choices}{self._suffix}")

    def _chunk(self, text: str) -> None:
        data = text.encode()
        self._transport.write(b"%x\r\n%b\r\n" % (len(data), data))
