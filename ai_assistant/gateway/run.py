"""One model asked for one answer: its attempts, its place in the queue, its breaker."""

from __future__ import annotations

import asyncio
import logging

import httpx
import msgspec

from ai_assistant.core.errors import ChatError, ConfigError
from ai_assistant.core.model import ModelConfig
from ai_assistant.gateway import failures
from ai_assistant.gateway.breaker import CircuitBreaker
from ai_assistant.gateway.chunks import Chunk, Finish, Status
from ai_assistant.gateway.deadline import Deadlines, timeout_at
from ai_assistant.gateway.meter import Meter
from ai_assistant.gateway.observer import Attempt, Observer
from ai_assistant.gateway.request import GatewayRequest
from ai_assistant.gateway.retry import Backoff
from ai_assistant.gateway.routing import route
from ai_assistant.gateway.slots import Slots
from ai_assistant.gateway.source import HttpSource, Source

_LOG = logging.getLogger(__name__)
#: Failures that another model would repeat, for they lie in the request.
_NO_FALLBACK = frozenset({"invalid_request", "content_filtered", "budget_exceeded"})
#: Failures that tell something of the provider's health.
_UNHEALTHY = frozenset({"provider_unavailable", "provider_timeout", "provider_rate_limited", "stream_interrupted"})


class Shared(msgspec.Struct, frozen=True, kw_only=True):
    """What all runs of a gateway have in common."""

    client: httpx.AsyncClient
    backoff: Backoff
    max_answer: int


class ModelRun:
    """Call `try_acquire` or `acquire`, `open`, `read` until `None`; after a `ChatError`, `failed`; at last, and
    before each further attempt, `close`."""

    def __init__(
        self,
        shared: Shared,
        request: GatewayRequest,
        model: ModelConfig,
        breaker: CircuitBreaker,
        slots: Slots,
        observer: Observer | None = None,
        *,
        stream: bool,
    ):
        self._shared = shared
        self._request = request
        self._model = model
        self._breaker = breaker
        self._slots = slots
        self._stream = stream
        self._attempt = 1
        self._started = asyncio.get_running_loop().time()
        self._source: Source | None = None
        self._deadlines: Deadlines | None = None
        self._meter = Meter(request, model, shared.max_answer)
        self._holds_slot = False
        self._holds_breaker = False
        self._last: ChatError | None = None
        self._observer = observer
        self._observed = False
        self._error: ChatError | None = None
        self._finish: Finish | None = None
        self._chunks = 0

    @property
    def is_asking(self) -> bool:
        """Whether this attempt has gone as far as the provider: a breaker that is open lets none."""
        return self._source is not None

    def status(self, state: str, detail: str) -> Status:
        """A `Status` of this run."""
        return Status(
            state=state,  # pyright: ignore[reportArgumentType]
            detail=detail,
            attempt=self._attempt,
            model=self._model.name,
            provider=self._model.provider,
        )

    def retrying(self, delay: float) -> Status:
        """The status before the next attempt, which comes in `delay` seconds."""
        why = self._last.message if self._last else ""
        return self.status("retrying", f"{why} Trying again in {delay:.1f} s.".strip())

    def queue_detail(self) -> str:
        """What a person reads while waiting."""
        return f"All {self._model.max_streams} streams of {self._model.provider} are in use; waiting for one."

    def try_acquire(self) -> bool:
        """Take a free slot of the endpoint at once."""
        self._holds_slot = self._slots.try_acquire(self._model.max_streams)
        return self._holds_slot

    async def acquire(self) -> None:
        """Wait for a slot, no longer than the total."""
        limit = self._model.timeouts.total
        try:
            async with timeout_at(self._started + limit):
                await self._slots.acquire(self._model.max_streams)
        except asyncio.TimeoutError as error:
            raise failures.timed_out(self._model, "queue", limit) from error
        self._holds_slot = True

    async def open(self) -> None:
        """Send the request. Raises `ChatError`."""
        self._attempt_started()
        if not self._breaker.allow():
            raise failures.paused(self._model, self._breaker.failures, self._breaker.remaining())
        self._holds_breaker = True
        self._deadlines = Deadlines(self._model.timeouts, stream=self._stream, started=self._started)
        self._source = self._make_source(self._deadlines)
        await self._source.open()

    async def read(self) -> list[Chunk] | None:
        """The next chunks, the `Finish` with its usage filled in; `None` at the end. Raises `ChatError`."""
        assert self._source is not None
        assert self._deadlines is not None
        chunks = await self._source.read()
        if not chunks:
            return chunks
        self._chunks += len(chunks)
        meter = self._meter
        began = meter.begun
        meter.add(chunks)
        if meter.begun and not began:
            self._deadlines.answered()
            self._report(healthy=True)
        if meter.finish is not None:
            self._finish = await asyncio.to_thread(meter.settle) if meter.counts else meter.settle()
            chunks[-1] = self._finish
        return chunks

    def failed(self, error: ChatError) -> tuple[ChatError, float | None]:
        """Judge a failure: returns it with the seconds until the next attempt, or `None` for the next model.
        Raises it where nothing more may be tried."""
        self._attempt_started()  # one that found no free stream
        self._error = error
        _LOG.info(
            "model %s (%s), attempt %d: %s, status %s%s",
            self._model.name,
            self._model.provider,
            self._attempt,
            error.code,
            error.status,
            ", in mid-stream" if self._meter.begun else "",
        )
        if self._meter.begun:
            self._breaker_failed(error)
            raise error
        self._error = error = failures.before_first_delta(error)
        self._breaker_failed(error)
        if error.code in _NO_FALLBACK:
            raise error
        self._last = error
        delay = self._shared.backoff.delay(self._attempt, error)
        if delay is None or self._attempt > self._model.retries or self._breaker.state == "open":
            return error, None
        if asyncio.get_running_loop().time() + delay >= self._started + self._model.timeouts.total:
            return error, None
        self._attempt += 1
        return error, delay

    async def close(self) -> None:
        """Close the connection and give back the slot and the breaker's permission."""
        source, self._source = self._source, None
        try:
            if source is not None:
                await source.aclose()
        finally:
            if self._holds_slot:
                self._holds_slot = False
                self._slots.release()
            if self._holds_breaker:
                self._holds_breaker = False
                self._breaker.abandoned()
            self._attempt_ended()

    def _attempt_started(self) -> None:
        if self._observer is None or self._observed:
            return
        self._observed = True
        self._error, self._chunks = None, 0
        model = self._model
        attempt = Attempt(model=model.name, model_id=model.model_id, provider=model.provider, number=self._attempt)
        self._observer.attempt_started(attempt)

    def _attempt_ended(self) -> None:
        if self._observer is not None and self._observed:
            self._observed = False
            self._observer.attempt_ended(self._error, self._finish, self._chunks)

    def _make_source(self, deadlines: Deadlines) -> Source:
        try:
            wire = route(self._model)
        except ConfigError as error:
            raise ChatError("provider_unavailable", str(error), retryable=False) from error
        if wire is None:
            from ai_assistant.gateway.litellm_wire import LiteLlmSource

            return LiteLlmSource(self._request, self._model, deadlines, self._observer, stream=self._stream)
        return HttpSource(
            self._shared.client, wire, self._request, self._model, deadlines, self._observer, stream=self._stream
        )

    def _breaker_failed(self, error: ChatError) -> None:
        if error.code in _UNHEALTHY:
            self._report(healthy=False)

    def _report(self, *, healthy: bool) -> None:
        """Tell the breaker once per attempt, or that an answer that had begun broke off."""
        if healthy:
            self._breaker.succeeded()
        elif self._holds_breaker:
            self._breaker.failed()
        self._holds_breaker = self._holds_breaker and healthy
