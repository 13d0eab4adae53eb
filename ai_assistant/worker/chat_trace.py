"""A chat's trace: what the worker sees of a task, from its claim to its end, as observations.

Nothing is done per token. Per event that goes out two numbers are noted (`Marks`); what begins is told when it begins,
everything else when an attempt or the chat ends.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec

from ai_assistant.core.chat import ChatRequest
from ai_assistant.core.conversation import plain_text, title_of
from ai_assistant.core.errors import ChatError
from ai_assistant.core.task import Outcome, Task
from ai_assistant.gateway.chunks import Finish
from ai_assistant.gateway.observer import Attempt, Sent
from ai_assistant.tracing.span import Span
from ai_assistant.tracing.tracer import Tracer
from ai_assistant.worker.chat_trace_attempt import LARGE_BYTES, AttemptTrace, answer_of, failure, now_us
from ai_assistant.worker.chat_trace_marks import MOST_CALLS, Marks
from ai_assistant.worker.chat_trace_request import without_media
from ai_assistant.worker.emitter import Emitter

SOURCE: Final = "chat"
END_TIMEOUT_S: Final = 5.0
"""How long the end of a trace may keep its task's runner."""
TITLE_CHARS: Final = 1000
"""Characters of a message that are looked at for its first line."""
LARGE_ANSWER: Final = 32 * 1024
"""Characters of an answer, or of its marks, beyond which a thread writes them down."""

Step = TypeVar("Step", bound=Callable[..., Any])


class Ended(msgspec.Struct, kw_only=True):
    """How a chat ended in this worker."""

    outcome: Outcome
    by: str | None = None
    """Who cancelled it."""
    is_told: bool = True
    """Whether the end is the task's: else another worker goes on with it, or has ended it."""
    why: str | None = None
    """Why it is not."""


def harmless(step: Step) -> Step:
    """A step of tracing: what fails in it is counted and logged, and harms no chat."""

    @functools.wraps(step)
    def run(trace: ChatTrace, *args: Any, **kwargs: Any) -> Any:
        try:
            return step(trace, *args, **kwargs)
        except Exception as error:  # noqa: BLE001  # counted and logged there
            trace.tracer.failed(f"a chat's {step.__name__}", error)
            return None

    return run  # type: ignore[return-value]  # the same function, but for what it raises


class ChatTrace:
    """The trace of one task in one worker; an `Observer` of the gateway."""

    def __init__(self, tracer: Tracer, task: Task, request: ChatRequest, queue_ms: int, *, with_content: bool):
        """Tells that the chat runs. `queue_ms`: from the task's acceptance to this worker."""
        self.tracer = tracer
        self.marks = Marks()
        self._accepted_us = task.accepted_ms * 1000
        self._request = request
        self._is_large = len(task.request) > LARGE_BYTES
        self._with_content = with_content
        self._attempts: list[AttemptTrace] = []
        self._seq = task.seq
        self._pending: list[asyncio.Future[None]] = []
        self._ended = False
        self._root = self._begin(task, queue_ms)

    def _begin(self, task: Task, queue_ms: int) -> Span:
        request = self._request
        fields = {
            "user": task.ref.user,
            "task_id": task.ref.id,
            "conversation": task.conversation,
            "message_id": task.message_id,
            "mode": task.mode,
            "source": SOURCE,
            "title": self._title(),
            "metadata": self._metadata(),
        }
        return self.tracer.start(
            SOURCE,
            "agent",
            trace_id=task.trace_id,
            at=self._accepted_us if task.gen == 1 else now_us(),
            trace={name: value for name, value in fields.items() if value is not None},
            model=task.model,
            attempt=task.gen,
            input=self._input() if not self._is_large else None,
            metadata={"queue_ms": queue_ms, "messages": len(request.messages)},
        )

    def _title(self) -> str | None:
        """The first line of the last message of the user's."""
        asked = [message for message in self._request.messages if message.get("role") == "user"]
        if not (asked and self._with_content):
            return None
        return title_of([{"role": "user", "content": plain_text(asked[-1].get("content"))[:TITLE_CHARS]}])

    def _metadata(self) -> str | None:
        """What the client has said beside the question: its own words, too."""
        metadata = self._request.metadata if self._with_content else None
        return msgspec.json.encode(metadata).decode() if metadata else None

    def _input(self) -> Any:
        return without_media(self._request.messages) if self._with_content else None

    @harmless
    def attempt_started(self, attempt: Attempt) -> None:
        """See `Observer`."""
        span = self.tracer.start(
            attempt.model,
            "generation",
            parent=self._root,
            model=attempt.model,
            provider=attempt.provider,
            attempt=attempt.number,
        )
        self._attempts.append(AttemptTrace(span, attempt, with_content=self._with_content))

    @harmless
    def request_sent(self, sent: Sent) -> None:
        """See `Observer`."""
        self._attempts[-1].sent(sent)

    @harmless
    def answer_began(self, status: int | None) -> None:
        """See `Observer`."""
        self._attempts[-1].answered(status)

    @harmless
    def attempt_ended(self, error: ChatError | None, finish: Finish | None, chunks: int) -> None:
        """See `Observer`. An attempt that failed and brought nothing is told of now; of another one, the rest is known
        at the chat's end."""
        attempt = self._attempts[-1]
        attempt.ended(error, finish, chunks)
        if error is not None and not len(self.marks):
            self._do(attempt.end_failed, attempt.is_large)

    def _do(self, work: Callable[[], None], is_large: bool) -> None:
        """Does it now, or, where it takes long, in a thread."""
        if is_large:
            self._pending.append(asyncio.get_running_loop().run_in_executor(None, work))
        else:
            work()

    async def end(self, ended: Ended, emitter: Emitter) -> None:
        """Tells how the chat ended, and lets go of what it kept. Does not raise."""
        if self._ended:
            return
        self._ended = True
        try:
            await self._settle()
            self._do(functools.partial(self._end, ended, emitter), self._takes_long(emitter))
            await self._settle()
        except Exception as error:  # noqa: BLE001  # counted and logged there
            self.tracer.failed("a chat's end", error)

    async def _settle(self) -> None:
        """Waits for what is done in threads."""
        pending, self._pending = self._pending, []
        if pending:
            await asyncio.wait_for(asyncio.gather(*pending), END_TIMEOUT_S)

    def _takes_long(self, emitter: Emitter) -> bool:
        transcript = emitter.transcript
        chars = transcript.text_chars + transcript.reasoning_chars + 16 * len(self.marks)
        attempt = self._attempts[-1] if self._attempts else None
        return self._is_large or chars > LARGE_ANSWER or (attempt is not None and attempt.is_large)

    def _end(self, ended: Ended, emitter: Emitter) -> None:
        outcome = ended.outcome
        status = outcome.status if ended.is_told else "interrupted"
        attempt = self._attempts[-1] if self._attempts else None
        if attempt is not None:
            self._tell_tools(outcome, attempt.span)
            if not attempt.span.ended:
                attempt.end_as(outcome, status, self._firsts(outcome))
        self._tell_trace(ended, emitter)
        self._end_root(ended, status)

    def _firsts(self, outcome: Outcome) -> dict[str, int | None]:
        """When the first delta, piece of thinking and piece of text went out: epoch microseconds, at the end of the
        millisecond, so that nothing seems to come before the bytes that it was made of."""
        marks = self.marks
        found = {
            "first_delta": outcome.timings.ttft_ms,
            "first_reasoning": marks.first_reasoning_ms,
            "first_text": marks.first_text_ms,
        }
        return {name: None if ms is None else self._accepted_us + ms * 1000 + 999 for name, ms in found.items()}

    def _tell_tools(self, outcome: Outcome, parent: Span) -> None:
        """The calls that the model asked for. Who sent the tools runs them: an observation lasts as long as its
        arguments took to come."""
        for call in outcome.message.tool_calls[:MOST_CALLS]:
            came = self.marks.of_call(call["id"]) or (None, None)
            began, over = (None if ms is None else self._accepted_us + ms * 1000 for ms in came)
            span = self.tracer.start(
                call["function"]["name"] or "tool", "tool", parent=parent, at=began, tool_call_id=call["id"]
            )
            arguments = call["function"]["arguments"] if self._with_content else None
            span.end(at=over, status="completed", input=arguments, metadata={"run_by": "client"})

    def _tell_trace(self, ended: Ended, emitter: Emitter) -> None:
        """Counts, and the end where it is the task's: the counts include the events before this worker's, and the
        last one."""
        last = 1 if ended.is_told else 0
        fields: dict[str, Any] = {
            "chunks_received": sum(attempt.chunks for attempt in self._attempts),
            "events_emitted": self._seq + emitter.events + last,
            "events_persisted": self._seq + emitter.taken + last,
        }
        if ended.is_told:
            fields["status"] = ended.outcome.status
        if ended.by and ended.outcome.status == "cancelled":
            fields["cancelled_by"] = ended.by
        self.tracer.set_trace(self._root, fields)

    def _end_root(self, ended: Ended, status: str) -> None:
        outcome = ended.outcome
        values: dict[str, Any] = {
            "model": outcome.model,
            "provider": outcome.provider,
            "finish_reason": outcome.finish_reason,
            "ttft_ms": outcome.timings.ttft_ms,
            "reasoning_ms": outcome.timings.reasoning_ms,
            "marks": msgspec.json.encode(self.marks.as_dict()).decode() if len(self.marks) else None,
            "metadata": self._about(ended),
        }
        if self._with_content:
            values |= {"output": answer_of(outcome), "reasoning": outcome.message.reasoning or None}
            if self._is_large:
                values["input"] = self._input()
        if outcome.error:
            error = outcome.error
            values |= failure(str(error["code"]), str(error["message"]), with_content=self._with_content)
        over = max(now_us(), self._accepted_us)  # the clock of whoever accepted it may be ahead of ours
        self._root.end(at=over, status=status, **values)

    def _about(self, ended: Ended) -> dict[str, Any]:
        found = {
            "attempts": len(self._attempts),
            "trimmed_messages": ended.outcome.trimmed_messages or None,
            "cancelled_by": ended.by,
            "not_ended_here": ended.why,
        }
        return {name: value for name, value in found.items() if value is not None}
