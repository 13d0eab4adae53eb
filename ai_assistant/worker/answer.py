"""One answer as it grows: takes the gateway's chunks, and says at the end what became of them."""

from __future__ import annotations

import logging
from typing import Any, Literal

import msgspec

from ai_assistant.core.errors import ChatError
from ai_assistant.core.task import Outcome, Task, Timings
from ai_assistant.core.usage import Usage
from ai_assistant.gateway.chunks import Chunk, Finish, ReasoningDelta, Status, TextDelta, ThinkingBlock, ToolCallDelta
from ai_assistant.worker.budget import usage_of_broken
from ai_assistant.worker.emitter import Emitter

log = logging.getLogger("ai_assistant.worker")

Ended = Literal["completed", "failed", "cancelled"]


class Answer:
    """What the gateway brought for a task, on its way to the emitter."""

    def __init__(self, task: Task, emitter: Emitter):
        self.finish: Finish | None = None
        """The stream's end mark, once it came."""
        self.trimmed = 0
        """Messages of the conversation that were left out."""
        self.model, self.provider = task.model, ""
        self._task = task
        self._emitter = emitter
        self.queue_ms = emitter.writer.elapsed_ms()
        """From the task's acceptance to its runner."""

    def take(self, chunk: Chunk) -> None:
        """The next chunk."""
        emitter = self._emitter
        if isinstance(chunk, TextDelta):
            emitter.text(chunk.text)
        elif isinstance(chunk, ReasoningDelta):
            emitter.reasoning(chunk.text)
        elif isinstance(chunk, ToolCallDelta):
            emitter.tool_call(chunk.index, chunk.id, chunk.name, chunk.arguments)
        elif isinstance(chunk, ThinkingBlock):
            emitter.transcript.thinking_blocks.append(chunk.block)
        elif isinstance(chunk, Status):
            self.model, self.provider = chunk.model, chunk.provider
            emitter.status(**msgspec.structs.asdict(chunk))
        else:
            self.finish = chunk

    def outcome(self, status: Ended, error: ChatError | None = None) -> Outcome:
        """How the task ended, with all that had come."""
        emitter, finish = self._emitter, self.finish
        timings = Timings(
            queue_ms=self.queue_ms,
            ttft_ms=emitter.first_delta_ms,
            reasoning_ms=emitter.reasoning_ms,
            total_ms=emitter.writer.elapsed_ms(),
        )
        return Outcome(
            status=status,
            message=emitter.transcript.message(),
            finish_reason=self._finish_reason() if status == "completed" else None,
            model=self.model,
            provider=self.provider or None,
            usage=finish.usage if finish else usage_of_broken(emitter.transcript),
            timings=timings,
            error=error.as_dict() if error else None,
            trimmed_messages=self.trimmed,
        )

    def _finish_reason(self) -> str | None:
        reason = self.finish.reason if self.finish else None
        return "tool_calls" if reason == "stop" and self._emitter.transcript.calls else reason

    def last_event(self, outcome: Outcome, **fields: Any) -> bytes:
        """The event that ends the task."""
        message = outcome.message
        types = {"completed": "completion", "failed": "error", "cancelled": "cancelled"}
        if outcome.status == "completed":
            fields |= {
                "finish_reason": outcome.finish_reason,
                "tool_calls": message.tool_calls,
                "thinking_blocks": message.thinking_blocks,
                "trimmed_messages": outcome.trimmed_messages,
                "usage": outcome.usage,
                "timings": outcome.timings,
                "model": outcome.model,
                "provider": outcome.provider,
            }
        return self._emitter.writer.write(types[outcome.status], message.content, **(outcome.error or {}), **fields)

    def log_summary(self, outcome: Outcome) -> None:
        """One line for the log, without any content."""
        timings, usage, transcript = outcome.timings, outcome.usage or Usage(), self._emitter.transcript
        log.info(
            "task %s %s%s model=%s gen=%d events=%d chars=%d reasoning_chars=%d ttft_ms=%s total_ms=%s tokens=%d",
            self._task.ref.id,
            outcome.status,
            f" ({outcome.error['code']})" if outcome.error else "",
            outcome.model,
            self._task.gen,
            self._emitter.events + 1,
            transcript.text_chars,
            transcript.reasoning_chars,
            timings.ttft_ms,
            timings.total_ms,
            usage.total_tokens,
        )
