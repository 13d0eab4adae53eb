"""Runs one task: from its claim to the event that ends it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any, Literal, TypeVar

import msgspec
import redis.asyncio
from redis.exceptions import RedisError

from ai_assistant.core.chat import ChatRequest
from ai_assistant.core.conversation import StoredMessage
from ai_assistant.core.errors import AssistantError, ChatError, DoesNotExistError, ServiceUnavailableError
from ai_assistant.core.model import ModelConfig
from ai_assistant.core.ports import SiteAccess
from ai_assistant.core.settings import Settings
from ai_assistant.core.task import Outcome, Task, Timings
from ai_assistant.core.usage import Usage
from ai_assistant.gateway import prices
from ai_assistant.gateway.chunks import Chunk, Finish, ReasoningDelta, Status, TextDelta, ThinkingBlock, ToolCallDelta
from ai_assistant.gateway.gateway import Gateway
from ai_assistant.gateway.tokens import estimate_tokens
from ai_assistant.streams import keys as names
from ai_assistant.streams import scripts
from ai_assistant.streams.connection import end_tasks
from ai_assistant.streams.publisher import STALE, UNKNOWN, Publisher
from ai_assistant.streams.settle import end_arguments
from ai_assistant.worker.emitter import Emitter
from ai_assistant.worker.prompt import Prompt, compose, gateway_request
from ai_assistant.worker.site_thread import SiteThreads
from ai_assistant.worker.turns import request_of, turn_of, writing
from ai_assistant.worker.window import Window

log = logging.getLogger("ai_assistant.worker")

SITE_TIMEOUT_S = 15.0
"""How long a site may take to say what the stream needs: its settings, models and the conversation."""
STORE_TIMEOUT_S = 3.0
"""How long the end of an answer waits for its message to be written."""
REDIS_PATIENCE_S = 15.0
CLOSE_TIMEOUT_S = 5.0
LARGE_PROMPT = 100_000
"""Bytes of a request beyond which its prompt is composed in a thread."""
CHARS_PER_TOKEN = 4
Stop = Literal["cancelled", "lost", "gone", "handed", "shutdown"]
"""Why a stream is stopped: `lost` another worker has the task or it ended, `gone` Redis forgot it, `handed` this worker
lets go of it."""
Result = TypeVar("Result")


class Tools(msgspec.Struct):
    """What every runner of a worker uses."""

    gateway: Gateway
    publisher: Publisher
    window: Window
    sites: SiteThreads
    redis: redis.asyncio.Redis
    keys: names.ScopeKeys


class Preparation(msgspec.Struct):
    """What the site said before the stream."""

    settings: Settings
    models: list[ModelConfig]


class Runner:
    """One task in this worker."""

    def __init__(self, task: Task, tools: Tools):
        self.task = task
        self._tools = tools
        self._stopped: asyncio.Future[Stop] = asyncio.get_running_loop().create_future()
        self._by: str | None = None
        self._settings = Settings()
        self._emitter = Emitter(task, tools.publisher, tools.window, self._on_lost)
        self._finish: Finish | None = None
        self._model: ModelConfig | None = None
        self._answered_by: tuple[str, str] | None = None
        self._trimmed = 0
        self._budget: int | None = None
        self._begun = False
        self._queue_ms = self._emitter.writer.elapsed_ms()

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
        elif why == "cancelled" and not finished(stream):
            await self._end("cancelled", "cancelled", by=self._by)
        elif why == "shutdown" and not finished(stream):
            await self._fail(stopped_error())
        else:
            await self._end_stream(stream)

    async def _keep_what_came(self) -> None:
        """Redis came back empty: nobody but this worker can write the conversation's message any more."""
        await self._store(self._outcome("failed", stopped_error(), None))

    async def _end_stream(self, stream: asyncio.Future[None]) -> None:
        error = asyncio.CancelledError("the stream was cancelled") if stream.cancelled() else stream.exception()
        if error is None:
            await self._complete()
        elif isinstance(error, ChatError):
            await self._fail(error)
        else:
            log.error("task %s failed inside", self.task.ref.id, exc_info=error)
            await self._fail(failed_inside(error))

    async def _stream(self) -> None:
        request = request_of(self.task)
        ready = await self._on_site(self._prepare)
        self._settings = ready.settings
        self._emitter.limit_log(ready.settings.max_log_bytes)
        if not ready.models:
            raise ChatError("invalid_request", f"The model {self.task.model} was removed or disabled; choose another")
        self._model = ready.models[0]
        prompt = await self._prompt(request, ready, await self._begin(request))
        await self._load_budget(prompt)
        mode = ready.settings.modes.get(request.mode)
        ask = gateway_request(request, prompt.messages, mode)
        async with aclosing(self._tools.gateway.stream(ask, ready.models)) as stream:
            async for chunks in stream:
                for chunk in chunks:
                    self._take(chunk)
                if self._budget is not None:
                    self._check_budget()

    async def _on_site(self, work: Callable[[SiteAccess], Result]) -> Result:
        """What the site says, within a limit: its database may be locked."""
        try:
            return await asyncio.wait_for(self._tools.sites.run(self.task.ref.site, work), SITE_TIMEOUT_S)
        except (asyncio.TimeoutError, TimeoutError):
            raise ChatError("internal", "The database did not answer in time. Try again.", retryable=True) from None

    def _prepare(self, access: SiteAccess) -> Preparation:
        """In the site's thread: settings and models."""
        models = access.models()
        candidates = [models[name] for name in self.task.candidates if name in models and models[name].enabled]
        return Preparation(settings=access.settings(), models=candidates)

    async def _begin(self, request: ChatRequest) -> list[StoredMessage]:
        """Writes the turn and gives the conversation's messages before it. A new conversation has none, so that
        its answer need not wait for a store that fails: the turn is then written with the answer."""
        turn = turn_of(self.task, request)
        if turn is None:
            return []
        if not turn.is_new and await self._announced(turn.conversation):
            turn.is_new = True  # its first task was accepted just before, and may not have been taken yet
        try:
            history = await self._on_site(lambda access: access.conversations.begin(turn))
        except DoesNotExistError as error:
            raise ChatError("invalid_request", error.message) from error
        except Exception as error:
            if not turn.is_new:
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
        await self._recall_thinking(prompt.messages)
        self._trimmed = prompt.trimmed
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

    async def _recall_thinking(self, messages: list[dict[str, Any]]) -> None:
        """Puts back the signed thinking before tool calls whose client did not send it along."""
        ref = self.task.ref
        bare = [m for m in messages if m.get("tool_calls") and not m.get("thinking_blocks")]
        if not bare:
            return
        keys = [names.thinking_key(ref.site, ref.user, m["tool_calls"][0]["id"]) for m in bare]
        kept = await patiently(lambda: self._tools.redis.mget(keys))
        for message, blocks in zip(bare, kept, strict=True):
            if blocks:
                message["thinking_blocks"] = msgspec.json.decode(blocks)

    async def _keep_thinking(self, blocks: list[dict[str, Any]]) -> None:
        ref = self.task.ref
        for call in self._emitter.transcript.ordered_calls():
            key = names.thinking_key(ref.site, ref.user, call.id)
            try:
                await self._tools.redis.set(key, msgspec.json.encode(blocks), ex=self._settings.task_ttl_s)
            except (RedisError, OSError) as error:  # the client has the blocks too, in `completion`
                log.warning("task %s: its thinking is not kept: %s", ref.id, error)

    async def _load_budget(self, prompt: Prompt) -> None:
        budget = self._settings.limits.tokens_per_day
        if budget:
            key = names.TaskKeys(self.task.ref).tokens
            used = int(await patiently(lambda: self._tools.redis.get(key)) or 0)
            self._budget = budget - used - estimate_tokens(prompt.messages)
            self._check_budget()

    def _check_budget(self) -> None:
        transcript = self._emitter.transcript
        spent = (transcript.text_chars + transcript.reasoning_chars) // CHARS_PER_TOKEN
        if self._budget is not None and spent > self._budget:
            raise ChatError(
                "budget_exceeded",
                f"Your {self._settings.limits.tokens_per_day} tokens per day are used up; the limit ends at 00:00 UTC.",
            )

    def _take(self, chunk: Chunk) -> None:
        if isinstance(chunk, TextDelta):
            self._emitter.text(chunk.text)
        elif isinstance(chunk, ReasoningDelta):
            self._emitter.reasoning(chunk.text)
        elif isinstance(chunk, ToolCallDelta):
            self._emitter.tool_call(chunk.index, chunk.id, chunk.name, chunk.arguments)
        elif isinstance(chunk, ThinkingBlock):
            self._emitter.transcript.thinking_blocks.append(chunk.block)
        elif isinstance(chunk, Status):
            self._answered_by = (chunk.model, chunk.provider)
            self._emitter.status(**msgspec.structs.asdict(chunk))
        else:
            self._finish = chunk

    async def _complete(self) -> None:
        if self._finish is None:
            await self._fail(ChatError("internal", "The stream ended without its end mark; try again."))
            return
        self._emitter.close()
        message = self._emitter.transcript.message()
        if message.thinking_blocks and message.tool_calls:
            await self._keep_thinking(message.thinking_blocks)
        finish = self._finish
        await self._end(
            "completed",
            "completion",
            text=message.content,
            finish_reason="tool_calls" if message.tool_calls and finish.reason == "stop" else finish.reason,
            tool_calls=message.tool_calls,
            thinking_blocks=message.thinking_blocks,
            trimmed_messages=self._trimmed,
        )

    async def _fail(self, error: ChatError) -> None:
        await self._end("failed", "error", error=error)

    async def _end(
        self,
        status: Literal["completed", "failed", "cancelled"],
        type_: str,
        *,
        error: ChatError | None = None,
        **fields: Any,
    ) -> None:
        """Writes the conversation, then ends the task with its last event."""
        if status != "completed":
            self._emitter.close()
        outcome = self._outcome(status, error, fields.get("finish_reason"))
        if not await self._is_own():
            log.warning("task %s: its end (%s) is not ours to tell any more", self.task.ref.id, status)
            return
        unsaved = await self._store(outcome)
        fields = {"text": outcome.message.content, **(error.as_dict() if error else {}), **fields}
        if status == "completed":
            fields |= {
                "usage": outcome.usage,
                "timings": outcome.timings,
                "model": outcome.model,
                "provider": outcome.provider,
            }
        event = self._emitter.writer.write(type_, **fields)
        usage = outcome.usage or Usage()
        keys, args = end_arguments(
            self._tools.keys,
            self.task,
            self._emitter.writer.seq,
            "own",
            outcome,
            event,
            tokens=usage.total_tokens,
            unsaved=unsaved,
        )
        answer = await self._tools.publisher.command(scripts.END, keys, args)
        if answer is None or answer < 0:
            log.warning("task %s: its end (%s) could not be recorded (%s)", self.task.ref.id, status, answer)
        self._summary(outcome, error)

    def _outcome(
        self, status: Literal["completed", "failed", "cancelled"], error: ChatError | None, finish_reason: Any
    ) -> Outcome:
        emitter, finish = self._emitter, self._finish
        model, provider = self._answered_by or (self.task.model, self._model.provider if self._model else None)
        timings = Timings(
            queue_ms=self._queue_ms,
            ttft_ms=emitter.first_delta_ms,
            reasoning_ms=emitter.reasoning_ms,
            total_ms=emitter.writer.elapsed_ms(),
        )
        return Outcome(
            status=status,
            message=emitter.transcript.message(),
            finish_reason=finish_reason,
            model=model,
            provider=provider,
            usage=finish.usage if finish else self._estimated_usage(),
            timings=timings,
            error=error.as_dict() if error else None,
            trimmed_messages=self._trimmed,
        )

    def _estimated_usage(self) -> Usage | None:
        """Of a broken answer: what it brought was paid for, and counts against the user's budget."""
        transcript = self._emitter.transcript
        tokens = -(-(transcript.text_chars + transcript.reasoning_chars) // CHARS_PER_TOKEN)
        if not tokens:
            return None
        return Usage(completion_tokens=tokens, total_tokens=tokens, estimated=True)

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

    def _summary(self, outcome: Outcome, error: ChatError | None) -> None:
        timings, usage = outcome.timings, outcome.usage or Usage()
        log.info(
            "task %s %s%s model=%s gen=%d events=%d chars=%d reasoning_chars=%d ttft_ms=%s total_ms=%s tokens=%d",
            self.task.ref.id,
            outcome.status,
            f" ({error.code})" if error else "",
            outcome.model,
            self.task.gen,
            self._emitter.events + 1,
            self._emitter.transcript.text_chars,
            self._emitter.transcript.reasoning_chars,
            timings.ttft_ms,
            timings.total_ms,
            usage.total_tokens,
        )


def finished(stream: asyncio.Future[None]) -> bool:
    """Whether the stream came to an end of its own."""
    return stream.done() and not stream.cancelled()


def failed_inside(error: BaseException) -> ChatError:
    """What a user is told of a failure of ours."""
    text = str(error.args[0]).rstrip(".") if isinstance(error, AssistantError) else "Something failed inside the server"
    message = f"{text}. Try again; the administrator finds more in the log."
    return ChatError("internal", message, retryable=isinstance(error, ServiceUnavailableError))


def stopped_error() -> ChatError:
    """What a user is told when the server stops."""
    return ChatError(
        "worker_lost", "The server was stopped in the middle of the answer. What had arrived is kept; try again."
    )


async def patiently(read: Callable[[], Awaitable[Result]]) -> Result:
    """What Redis says, waiting out a short absence of it."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + REDIS_PATIENCE_S
    while True:
        try:
            return await read()
        except (RedisError, OSError) as error:
            if loop.time() > deadline:
                raise
            log.warning("Redis is away, trying again: %s", error)
            await asyncio.sleep(0.5)
