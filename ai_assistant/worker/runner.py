"""Runs one task: from its claim to the event that ends it."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Literal

import msgspec
import redis.asyncio

from ai_assistant.core.chat import ChatRequest
from ai_assistant.core.conversation import FinalMessage, StoredMessage, Turn, title_of
from ai_assistant.core.errors import AssistantError, ChatError
from ai_assistant.core.model import ModelConfig
from ai_assistant.core.ports import SiteAccess
from ai_assistant.core.settings import Settings
from ai_assistant.core.task import Outcome, Task, Timings
from ai_assistant.core.usage import Usage
from ai_assistant.gateway.chunks import Chunk, Finish, ReasoningDelta, Status, TextDelta, ThinkingBlock, ToolCallDelta
from ai_assistant.gateway.gateway import Gateway
from ai_assistant.gateway.prices import context_window
from ai_assistant.gateway.tokens import estimate_tokens
from ai_assistant.streams import keys as names
from ai_assistant.streams import scripts
from ai_assistant.streams.publisher import Command, Publisher
from ai_assistant.streams.settle import end_arguments
from ai_assistant.worker.emitter import Emitter
from ai_assistant.worker.prompt import Prompt, compose, gateway_request
from ai_assistant.worker.site_thread import SiteThreads
from ai_assistant.worker.window import Window

log = logging.getLogger("ai_assistant.worker")

STORE_TIMEOUT_S = 10.0
CHARS_PER_TOKEN = 4
Stop = Literal["cancelled", "lost", "shutdown"]

_request = msgspec.json.Decoder(ChatRequest)


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
    history: list[StoredMessage]


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
        self._queue_ms = self._emitter.writer.elapsed_ms()

    @property
    def shown(self) -> bool:
        """Whether a delta went out."""
        return self.task.shown

    def stop(self, why: Stop, by: str | None = None) -> None:
        """Ends the stream soon: cancelled by a user, lost to another worker, or given up at shutdown."""
        if not self._stopped.done():
            self._by = by
            self._stopped.set_result(why)

    def _on_lost(self, why: str) -> None:
        log.warning("task %s: %s", self.task.ref.id, why)
        self.stop("lost")

    async def run(self) -> None:
        """Streams the answer and ends the task; a task that was lost is left as it is."""
        if self.task.cancel_by:
            self.stop("cancelled", self.task.cancel_by)
        stream = asyncio.ensure_future(self._stream())
        await asyncio.wait({stream, self._stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not stream.done():
            stream.cancel()
            await asyncio.wait({stream})
        if self._stopped.done() and (stream.cancelled() or self._stopped.result() == "lost"):
            await self._end_stopped(self._stopped.result())
        else:
            await self._end_stream(stream)

    async def _end_stopped(self, why: Stop) -> None:
        if why == "lost":
            self._emitter.discard()
            return
        if why == "cancelled":
            await self._end("cancelled", "cancelled", by=self._by)
            return
        error = ChatError(
            "worker_lost", "The server was stopped in the middle of the answer. What had arrived is kept; try again."
        )
        await self._fail(error)

    async def _end_stream(self, stream: asyncio.Future[None]) -> None:
        error = stream.exception()
        if error is None:
            await self._complete()
        elif isinstance(error, ChatError):
            await self._fail(error)
        else:
            log.error("task %s failed inside", self.task.ref.id, exc_info=error)
            text = error.args[0] if isinstance(error, AssistantError) else "Something failed inside the server"
            await self._fail(ChatError("internal", f"{text}. Try again; the administrator finds more in the log."))

    async def _stream(self) -> None:
        request = _request.decode(self.task.request)
        ready = await self._tools.sites.run(self.task.ref.site, lambda access: self._prepare(access, request))
        self._settings = ready.settings
        if not ready.models:
            raise ChatError("invalid_request", f"The model {self.task.model} was removed or disabled; choose another")
        self._model = ready.models[0]
        prompt = await self._prompt(request, ready)
        await self._load_budget(prompt)
        mode = ready.settings.modes.get(request.mode)
        ask = gateway_request(request, prompt.messages, mode)
        async for chunks in self._tools.gateway.stream(ask, ready.models):
            for chunk in chunks:
                self._take(chunk)
            if self._budget is not None:
                self._check_budget()

    def _prepare(self, access: SiteAccess, request: ChatRequest) -> Preparation:
        """In the site's thread: settings, models, and the rows of the conversation."""
        models = access.models()
        candidates = [models[name] for name in self.task.candidates if name in models and models[name].enabled]
        history: list[StoredMessage] = []
        if self.task.conversation and self.task.message_id:
            history = access.conversations.begin(
                Turn(
                    user=self.task.ref.user,
                    conversation=self.task.conversation,
                    is_new=request.conversation == "new",
                    message_id=self.task.message_id,
                    task_id=self.task.ref.id,
                    model=self.task.model,
                    messages=request.messages,
                    title=title_of(request.messages),
                )
            )
        return Preparation(settings=access.settings(), models=candidates, history=history)

    async def _prompt(self, request: ChatRequest, ready: Preparation) -> Prompt:
        model = ready.models[0]
        mode = ready.settings.modes.get(request.mode)
        prompt = compose(request, mode, ready.history, context_window(model), estimate_tokens)
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
        kept = await self._tools.redis.mget(
            [names.thinking_key(ref.site, ref.user, m["tool_calls"][0]["id"]) for m in bare]
        )
        for message, blocks in zip(bare, kept, strict=True):
            if blocks:
                message["thinking_blocks"] = msgspec.json.decode(blocks)

    async def _keep_thinking(self, blocks: list[dict[str, Any]]) -> None:
        ref = self.task.ref
        for call in self._emitter.transcript.ordered_calls():
            key = names.thinking_key(ref.site, ref.user, call.id)
            await self._tools.redis.set(key, msgspec.json.encode(blocks), ex=self._settings.task_ttl_s)

    async def _load_budget(self, prompt: Prompt) -> None:
        budget = self._settings.limits.tokens_per_day
        if budget:
            used = int(await self._tools.redis.get(names.TaskKeys(self.task.ref).tokens) or 0)
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
        stored = await self._store(outcome)
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
            self._settings.task_ttl_s,
            tokens=usage.total_tokens,
            store=not stored,
        )
        done: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._tools.publisher.submit(Command(scripts.END, keys, args, done=done.set_result))
        answer = await done
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

    async def _store(self, outcome: Outcome) -> bool:
        """Whether the conversation is written (or there is none). A store that fails must not hold up the answer: a
        worker tries it again from the queue."""
        task = self.task
        if not (task.conversation and task.message_id):
            return True
        final = FinalMessage(
            user=task.ref.user,
            conversation=task.conversation,
            message_id=task.message_id,
            task_id=task.ref.id,
            outcome=outcome,
        )
        work = self._tools.sites.run(task.ref.site, lambda access: access.conversations.finish(final))
        try:
            await asyncio.wait_for(work, STORE_TIMEOUT_S)
        except Exception as error:  # noqa: BLE001  # whatever a host's database raises; logged, and tried again
            log.error("task %s: its message could not be written, will be tried again: %s", task.ref.id, error)
            return False
        return True

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
