"""One attempt at a model as an observation of the type `generation`."""

from __future__ import annotations

import time
from typing import Any, Final

import msgspec

from ai_assistant.core.errors import ChatError
from ai_assistant.core.task import Outcome
from ai_assistant.gateway.chunks import Finish
from ai_assistant.gateway.observer import Attempt, Sent
from ai_assistant.tracing.span import Span
from ai_assistant.worker.chat_trace_request import kept_request

QUOTED: Final = " The provider says: "
"""What stands before a provider's own words, which may repeat the prompt."""


class AttemptTrace:
    """What is learnt of an attempt until its observation ends."""

    def __init__(self, span: Span, attempt: Attempt, *, with_content: bool):
        self.span = span
        self.started_us = now_us()
        self.chunks = 0
        """What came from the provider; known at the end."""
        self._attempt = attempt
        self._with_content = with_content
        self._sent: Sent | None = None
        self._sent_us: int | None = None
        self._first_byte_us: int | None = None
        self._ended_us: int | None = None
        self._status: int | None = None
        self._error: ChatError | None = None
        self._finish: Finish | None = None

    def sent(self, sent: Sent) -> None:
        """The request goes out."""
        self._sent, self._sent_us = sent, now_us()

    def answered(self, status: int | None) -> None:
        """The first bytes have come."""
        self._status, self._first_byte_us = status, now_us()

    def ended(self, error: ChatError | None, finish: Finish | None, chunks: int) -> None:
        """It is over; what else is to be said of it may come later."""
        self._ended_us, self._error, self._finish, self.chunks = now_us(), error, finish, chunks

    @property
    def is_large(self) -> bool:
        """Whether reading its request takes so long that a thread should do it."""
        return self._sent is not None and (self._sent.size is None or self._sent.size > LARGE_BYTES)

    @property
    def has_failed(self) -> bool:
        """Whether it ended with an error of its own."""
        return self._error is not None

    def end_failed(self) -> None:
        """Ends the observation of an attempt that brought nothing."""
        error = self._error
        assert error is not None
        values = failure(error.code, error.message, with_content=self._with_content)
        self._end("failed", values, {"retryable": error.retryable, "retry_after": error.retry_after})

    def end_as(self, outcome: Outcome, status: str, firsts: dict[str, int | None]) -> None:
        """Ends the observation of the attempt whose answer was shown. `firsts`: epoch microseconds of the first delta,
        piece of thinking and piece of text."""
        values: dict[str, Any] = {
            "finish_reason": outcome.finish_reason or (self._finish.reason if self._finish else None),
            "usage": msgspec.structs.asdict(outcome.usage) if outcome.usage else None,
            "ttft_ms": self._since_sent(firsts["first_delta"]),
            "reasoning_ms": outcome.timings.reasoning_ms,
        }
        if self._with_content:
            values["output"] = answer_of(outcome)
            values["reasoning"] = outcome.message.reasoning or None
        if outcome.error and status != "cancelled":
            error = outcome.error
            values |= failure(str(error["code"]), str(error["message"]), with_content=self._with_content)
        times = {f"{name}_ms": self._since_sent(at) for name, at in firsts.items() if name != "first_delta"}
        self._end(status, values, {**times, "response_model": self._finish.model if self._finish else None})

    def _end(self, status: str, values: dict[str, Any], metadata: dict[str, Any]) -> None:
        """Ends the observation. Reads the request: takes milliseconds for a large one."""
        attempt, is_cut = self._attempt, False
        metadata |= {
            "model_id": attempt.model_id,
            "http_status": self._status or (self._error.status if self._error else None),
            "first_byte_ms": self._since_sent(self._first_byte_us),
            "chunks": self.chunks,
        }
        if self._sent is not None:
            kept = kept_request(self._sent, with_content=self._with_content)
            metadata |= kept.metadata
            values["input"], is_cut = kept.body, kept.is_cut
        values["metadata"] = {name: value for name, value in metadata.items() if value is not None}
        self.span.update(**values)
        if is_cut:
            self.span.update(input_truncated=1)
        self.span.end(at=self._ended_us, status=status)
        self._sent = self._finish = None  # their memory is as large as the request

    def _since_sent(self, at: int | None) -> int | None:
        """Milliseconds from the request to a moment, which a step of the clock may have put before it."""
        return None if at is None else max(0, at - (self._sent_us or self.started_us)) // 1000


LARGE_BYTES: Final = 16 * 1024
"""Bytes of a request beyond which a thread reads it: a millisecond at most is spent on the loop."""


def answer_of(outcome: Outcome) -> Any:
    """The answer: its text, or, where tools are called, the message with its calls."""
    message = outcome.message
    if not message.tool_calls:
        return message.content or None
    return {"role": "assistant", "content": message.content or None, "tool_calls": message.tool_calls}


def failure(code: str, message: str, *, with_content: bool) -> dict[str, Any]:
    """An error as columns. Without content a provider's own words are left out."""
    shown = message if with_content else message.split(QUOTED, 1)[0]
    return {"level": "error", "error_type": code, "error_message": shown}


def now_us() -> int:
    """Epoch microseconds."""
    return time.time_ns() // 1000
