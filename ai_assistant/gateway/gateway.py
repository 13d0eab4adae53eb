"""The gateway: one answer from the first model that gives one, as normalised chunks."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from ai_assistant.core.errors import ChatError
from ai_assistant.core.model import ModelConfig
from ai_assistant.gateway import prices
from ai_assistant.gateway.breaker import CircuitBreaker
from ai_assistant.gateway.chunks import Chunk, Status
from ai_assistant.gateway.client import make_client
from ai_assistant.gateway.completion import AnswerCollector, Completion
from ai_assistant.gateway.observer import Observer
from ai_assistant.gateway.providers import CHAT_PROVIDERS, endpoint
from ai_assistant.gateway.request import GatewayRequest
from ai_assistant.gateway.retry import Backoff
from ai_assistant.gateway.run import ModelRun, Shared
from ai_assistant.gateway.slots import Slots
from ai_assistant.gateway.tally import Tally

#: Bound of one answer: text, reasoning and arguments together, in characters.
MAX_ANSWER = 4 * 1024 * 1024


class Gateway:
    """Streams from every provider. One per process: it owns the connection pool, the breakers and the limits."""

    def __init__(
        self,
        *,
        max_connections: int = 1024,
        keepalive_connections: int = 64,
        backoff: Backoff = Backoff(),  # noqa: B008 - immutable
        breaker_threshold: int = 8,
        breaker_cooldown: float = 15.0,
        max_answer: int = MAX_ANSWER,
    ):
        """`max_connections` over all providers; `breaker_cooldown` in seconds; `max_answer` in characters."""
        self._shared = Shared(
            client=make_client(max_connections, keepalive_connections), backoff=backoff, max_answer=max_answer
        )
        self._max_connections = max_connections
        self._threshold = breaker_threshold
        self._cooldown = breaker_cooldown
        self._breakers: dict[str, CircuitBreaker] = {}
        self._slots: dict[str, Slots] = {}
        self._counts: Counter[str] = Counter()
        self.tally = Tally()
        """What calls have brought, for monitoring."""

    def stream(
        self, request: GatewayRequest, candidates: Sequence[ModelConfig], observer: Observer | None = None
    ) -> AsyncGenerator[list[Chunk], None]:
        """Stream one answer: `Status` chunks, then deltas, then one list that ends in `Finish` with its usage.

        `candidates[0]` is the model asked for, the rest its fallbacks in order. Raises `ChatError`; after the
        first delta there is neither retry nor fallback. Closing the generator, or cancelling the task that reads
        it, closes the provider's connection. `observer` is told of each attempt.
        """
        return self._answer(request, candidates, observer, stream=True)

    async def complete(self, request: GatewayRequest, candidates: Sequence[ModelConfig]) -> Completion:
        """One whole answer by a plain call that is not streamed at the provider either. Raises `ChatError`."""
        collector = AnswerCollector()
        names = {model.name: model for model in candidates}
        used = None
        async with aclosing(self._answer(request, candidates, None, stream=False)) as answer:
            async for chunks in answer:
                collector.add(chunks)
                used = next((names[chunk.model] for chunk in chunks if isinstance(chunk, Status)), used)
        assert used is not None
        return collector.completion(model=used.model_id, provider=used.provider)

    async def aclose(self) -> None:
        """Close every pooled connection."""
        await self._shared.client.aclose()

    def stats(self) -> dict[str, Any]:
        """Figures for metrics: streams open and queued per endpoint, breakers, counts since the start, pool."""
        return {
            "providers": {key: {"open": slots.open, "queued": slots.queued} for key, slots in self._slots.items()},
            "breakers": {
                name: {"state": breaker.state, "failures": breaker.failures} for name, breaker in self._breakers.items()
            },
            **{name: self._counts[name] for name in ("answers", "failures", "retries", "fallbacks")},
            "pool": {
                "max_connections": self._max_connections,
                "in_use": sum(slots.open for slots in self._slots.values()),
            },
        }

    async def _answer(
        self, request: GatewayRequest, candidates: Sequence[ModelConfig], observer: Observer | None, *, stream: bool
    ) -> AsyncGenerator[list[Chunk], None]:
        failure: ChatError | None = None
        await prices.load()
        for model in candidates:
            run = self._run(request, model, observer, stream=stream)
            if failure is not None:
                self._counts["fallbacks"] += 1
                yield [run.status("fallback", f"{failure.message} Asking {model.label} instead.")]
            delay: float | None = 0.0
            while delay is not None:
                if delay:
                    self._counts["retries"] += 1
                    yield [run.retrying(delay)]
                    await asyncio.sleep(delay)
                call = None
                try:
                    if not run.try_acquire():
                        yield [run.status("queued", run.queue_detail())]
                        await run.acquire()
                    yield [run.status("connecting", f"Asking {model.label}.")]
                    call = self.tally.begin(model)
                    await run.open()
                    while (chunks := await run.read()) is not None:
                        if chunks:
                            call.took(chunks)
                            yield chunks
                    self._counts["answers"] += 1
                    return
                except ChatError as error:
                    self._counts["failures"] += 1
                    if call is not None:
                        call.failed(error.code, counts=run.is_asking)
                    failure, delay = run.failed(error)
                finally:
                    if call is not None:
                        call.ended()
                    await run.close()
        raise failure or ChatError("invalid_request", "model: no model was given; choose one of get_models.")

    def _run(self, request: GatewayRequest, model: ModelConfig, observer: Observer | None, *, stream: bool) -> ModelRun:
        provider = CHAT_PROVIDERS.get(model.provider)
        key = f"{model.provider} {endpoint(model, provider.base if provider else None) or 'default'}"
        breaker = self._breakers.get(model.name)
        if breaker is None:
            breaker = CircuitBreaker(threshold=self._threshold, cooldown=self._cooldown)
            self._breakers[model.name] = breaker
        slots = self._slots.setdefault(key, Slots())
        return ModelRun(self._shared, request, model, breaker, slots, observer, stream=stream)
