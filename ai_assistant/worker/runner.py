"""Runs one task: from its claim to the event that ends it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing
from typing import Any, Literal, TypeVar

from ai_assistant.core.chat import ChatRequest
from ai_assistant.core.conversation import StoredMessage
from ai_assistant.core.errors import AssistantError, ChatError, DoesNotExistError
from ai_assistant.core.ports import SiteAccess
from ai_assistant.core.settings import Settings
from ai_assistant.core.task import Outcome, Task
from ai_assistant.gateway import prices
from ai_assistant.gateway.tokens import estimate_tokens
from ai_assistant.streams import keys as names
from ai_assistant.streams import scripts
from ai_assistant.streams.connection import end_tasks, patiently
from ai_assistant.streams.publisher import STALE, UNKNOWN
from ai_assistant.streams.settle import end_arguments
from ai_assistant.worker.answer import Answer
from ai_assistant.worker.budget import Budget
from ai_assistant.worker.chat_trace import ChatTrace, Ended
from ai_assistant.worker.emitter import Emitter, log_emission
from ai_assistant.worker.failures import failed_inside, site_timeout, stopped_error
from ai_assistant.worker.prompt import Prompt, compose, gateway_request
from ai_assistant.worker.thinking import keep_thinking, recall_thinking
from ai_assistant.worker.tools import Preparation, Tools
from ai_assistant.worker.turns import request_of, turn_of, writing

log = logging.getLogger("ai_assistant.worker")

SITE_TIMEOUT_S = 15.0
"""How long a site may take to say what the stream needs: its settings, models and the conversation."""
STORE_TIMEOUT_S = 3.0
"""How long the end of an answer waits for its message to be written."""
CLOSE_TIMEOUT_S = 5.0
LARGE_PROMPT = 100_000
"""Bytes of a request beyond which its prompt is composed in a thread."""
Stop = Literal["cancelled", "lost", "gone", "handed", "shutdown"]
"""Why a stream is stopped: `lost` another worker has the task or it ended, `gone` Redis forgot it, `handed` this worker
lets go of it."""
Result = TypeVar("Result")


class Runner:
    """One task in this worker."""

    def __init__(self, task: Task, tools: Tools):
        self.task = task
        self._tools = tools
        self._stopped: asyncio.Future[Stop] = asyncio.get_running_loop().create_future()
        self._by: str | None = None
        self._settings = Settings()
        self._emitter = Emitter(task, tools.publisher, tools.window, self._on_lost, meters=tools.meters)
        self._answer = Answer(task, self._emitter)
        tools.meters.queue_wait.observe(self._answer.queue_ms / 1000)
        self._begun = False
        self._trace: ChatTrace | None = None

    @property
    def shown(self) -> bool:
        """Whether a delta went out."""
        return self.task.shown

    def stop(self, why: Stop, by: str | None = None) -> None:
        """Ends the stream soon."""
        if not self._stopped.done():
            self._by = by
            self._stopped.set_result(why)

    def _on_lost(self, answer: int | None) -> None:
        log.warning("task %s: its events are not taken any more (%s)", self.task.ref.id, answer)
        self.stop("gone" if answer == UNKNOWN else "lost")

    async def run(self) -> None:
        """Streams the answer and ends the task; a task that was lost is left as it is."""
        if self.task.cancel_by:
            self.stop("cancelled", self.task.cancel_by)
        stream = asyncio.ensure_future(self._stream())
        try:
            await asyncio.wait({stream, self._stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await self._stop_stream(stream)
        try:
            await self._end_run(stream)
        except Exception as error:
            log.exception("task %s could not be ended", self.task.ref.id)
            await self._fail(failed_inside(error))

    async def _stop_stream(self, stream: asyncio.Future[None]) -> None:
        if not stream.done():
            await end_tasks([stream], CLOSE_TIMEOUT_S)

    async def _end_run(self, stream: asyncio.Future[None]) -> None:
        why = self._stopped.result() if self._stopped.done() else None
        if why in ("lost", "gone", "handed"):
            self._emitter.discard()
            if why == "gone":
                await self._keep_what_came()
            error = None if why == "handed" else stopped_error()
            await self._end_trace(self._answer.outcome("failed", error), why)
        elif why == "cancelled" and not finished(stream):
            await self._cancel()
        elif why == "shutdown" and not finished(stream):
            await self._fail(stopped_error())
        else:
            await self._end_stream(stream)

    async def _keep_what_came(self) -> None:
        """Redis came back empty: nobody but this worker can write the conversation's message any more."""
        await self._store(self._answer.outcome("failed", stopped_error()))

    async def _end_stream(self, stream: asyncio.Future[None]) -> None:
        error = asyncio.CancelledError("the stream was cancelled") if stream.cancelled() else stream.exception()
        if error is None:
            await self._complete()
        elif isinstance(error, ChatError):
            await self._fail(error)
        else:
            foreseen = isinstance(error, AssistantError)  # a site in maintenance, or one that was dropped
            log.error("task %s failed inside: %s", self.task.ref.id, error, exc_info=None if foreseen else error)
            await self._fail(failed_inside(error))

    async def _stream(self) -> None:
        request = request_of(self.task)
        ready = await self._on_site(self._prepare)
        self._settings = ready.settings
        self._emitter.limit_log(ready.settings.max_log_bytes)
        self._begin_trace(request, ready)
        if not ready.models:
            raise ChatError("invalid_request", f"The model {self.task.model} was removed or disabled; choose another")
        self._answer.provider = ready.models[0].provider
        prompt = await self._prompt(request, ready, await self._begin(request))
        per_day = ready.settings.limits.tokens_per_day
        budget = await Budget.load(self._tools.redis, self.task.ref, per_day, prompt.messages)
        mode = ready.settings.modes.get(request.mode)
        ask = gateway_request(request, prompt.messages, mode)
        budget.check(self._emitter.transcript)
        async with aclosing(self._tools.gateway.stream(ask, ready.models, self._trace)) as stream:
            async for chunks in stream:
                for chunk in chunks:
                    self._answer.take(chunk)
                budget.check(self._emitter.transcript)

    async def _on_site(self, work: Callable[[SiteAccess], Result]) -> Result:
        """What the site says, within a limit: its database may be locked."""
        try:
            return await asyncio.wait_for(self._tools.sites.run(self.task.ref.site, work), SITE_TIMEOUT_S)
        except (asyncio.TimeoutError, TimeoutError):
            raise site_timeout() from None

    def _prepare(self, access: SiteAccess) -> Preparation:
        """In the site's thread: settings and models."""
        models = access.models()
        candidates = [models[name] for name in self.task.candidates if name in models and models[name].enabled]
        return Preparation(settings=access.settings(), models=candidates, trace_redis_url=access.trace_redis_url)

    async def _begin(self, request: ChatRequest) -> list[StoredMessage]:
        """Writes the turn and gives the conversation's messages before it. A new conversation has none, so that
        its answer need not wait for a store that fails: the turn is then written with the answer."""
        turn = turn_of(self.task, request)
        if turn is None:
            return []
        has_history = not turn.is_new
        if not turn.is_new and await self._announced(turn.conversation):
            turn.is_new = True  # its first task was accepted just before, and may not have been taken yet
        try:
            history = await self._on_site(lambda access: access.conversations.begin(turn))
        except DoesNotExistError as error:
            raise ChatError("invalid_request", error.message) from error
        except Exception as error:
            if has_history:
                raise
            log.error("task %s: its conversation cannot be written yet: %s", self.task.ref.id, error)
            return []
        self._begun = True
        return history

    async def _announced(self, conversation: str) -> bool:
        ref = self.task.ref
        key = names.conversation_key(ref.site, ref.user, conversation)
        return bool(await patiently(lambda: self._tools.redis.exists(key)))

    async def _prompt(self, request: ChatRequest, ready: Preparation, history: list[StoredMessage]) -> Prompt:
        model = ready.models[0]
        mode = ready.settings.modes.get(request.mode)
        await prices.load()
        arguments = request, mode, history, prices.context_window(model), estimate_tokens
        large = len(self.task.request) > LARGE_PROMPT or len(history) > 100
        prompt = await asyncio.to_thread(compose, *arguments) if large else compose(*arguments)
        await recall_thinking(self._tools.redis, self.task.ref, prompt.messages)
        self._answer.trimmed = prompt.trimmed
        if prompt.trimmed:
            self._emitter.status(
                state="connecting",
                detail=f"The {prompt.trimmed} oldest messages do not fit the model's context and were left out",
                attempt=1,
                model=model.name,
                provider=model.provider,
                trimmed_messages=prompt.trimmed,
            )
        return prompt

    async def _complete(self) -> None:
        if self._answer.finish is None:
            await self._fail(ChatError("internal", "The stream ended without its end mark; try again."))
            return
        self._emitter.close()
        transcript = self._emitter.transcript
        if transcript.thinking_blocks and transcript.calls:
            calls, ttl_s = transcript.ordered_calls(), self._settings.task_ttl_s
            await keep_thinking(self._tools.redis, self.task.ref, calls, transcript.thinking_blocks, ttl_s)
        await self._end(self._answer.outcome("completed"))

    async def _fail(self, error: ChatError) -> None:
        self._emitter.close()
        await self._end(self._answer.outcome("failed", error))

    async def _cancel(self) -> None:
        self._emitter.close()
        await self._end(self._answer.outcome("cancelled"), by=self._by)

    async def _end(self, outcome: Outcome, **fields: Any) -> None:
        """Writes the conversation, then ends the task with its last event."""
        ref = self.task.ref
        if not await self._is_own():
            log.warning("task %s: its end (%s) is not ours to tell any more", ref.id, outcome.status)
            await self._end_trace(outcome, "lost")
            return
        unsaved = await self._store(outcome)
        event = self._answer.last_event(outcome, **fields)
        seq, tokens = self._emitter.writer.seq, outcome.usage.total_tokens if outcome.usage else 0
        keys, args = end_arguments(
            self._tools.keys, self.task, seq, "own", outcome, event, tokens=tokens, unsaved=unsaved
        )
        log_emission(ref.id, seq, event)
        answer = await self._tools.publisher.command(scripts.END, keys, args)
        if answer is None or answer < 0:
            log.warning("task %s: its end (%s) could not be recorded (%s)", ref.id, outcome.status, answer)
        self._answer.log_summary(outcome)
        self._tools.meters.ended(outcome)
        await self._end_trace(outcome, None if answer is not None and answer >= 0 else "lost")

    def _begin_trace(self, request: ChatRequest, ready: Preparation) -> None:
        queue_ms, url = self._answer.queue_ms, ready.trace_redis_url
        self._trace = self._tools.traces.begin(self.task, request, ready.settings, queue_ms=queue_ms, redis_url=url)
        if self._trace:
            self._emitter.marks = self._trace.marks

    async def _end_trace(self, outcome: Outcome, why: str | None) -> None:
        """`why` the task's end is not this worker's to tell, where it is not."""
        if self._trace:
            await self._trace.end(Ended(outcome=outcome, by=self._by, is_told=why is None, why=why), self._emitter)

    async def _is_own(self) -> bool:
        """Whether the conversation may be written: not when another worker has the task meanwhile, or a reader has
        ended it, while this process stood still."""
        if not self.task.conversation:
            return True  # END itself is guarded
        keys = [names.TaskKeys(self.task.ref).task]
        return await self._tools.publisher.command(scripts.OWN, keys, [self.task.gen]) != STALE

    async def _store(self, outcome: Outcome) -> int:
        """Writes the conversation's message; gives what is left to write, as the END script wants it. A store that
        fails must not hold up the answer: a worker tries it again."""
        write = writing(self.task, outcome, None if self._begun else request_of(self.task))
        if write is None:
            return 0
        try:
            await asyncio.wait_for(self._tools.sites.run(self.task.ref.site, write), STORE_TIMEOUT_S)
        except DoesNotExistError:
            log.info("task %s: its conversation was deleted meanwhile", self.task.ref.id)
            return 0
        except Exception as error:  # noqa: BLE001  # whatever a host's database raises; logged, and tried again
            log.error("task %s: its message is not written yet, will be tried again: %r", self.task.ref.id, error)
            return 1 if self._begun else 2
        return 0


def finished(stream: asyncio.Future[None]) -> bool:
    """Whether the stream came to an end of its own."""
    return stream.done() and not stream.cancelled()
