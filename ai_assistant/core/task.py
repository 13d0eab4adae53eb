"""A task: one request to a model, from its acceptance to its end."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from ai_assistant.core.usage import Usage

TaskStatus = Literal["queued", "running", "completed", "failed", "cancelled"]
FINAL_STATUSES = frozenset({"completed", "failed", "cancelled"})


class TaskRef(msgspec.Struct, frozen=True, order=True):
    """Names a task for good: ids are a user's own, so two users may choose the same one."""

    site: str
    user: str
    id: str


class Timings(msgspec.Struct, kw_only=True):
    """Milliseconds since the task was accepted, but `queue_ms` and `reasoning_ms`, which are durations."""

    queue_ms: int | None = None
    ttft_ms: int | None = None
    """To the first delta of any kind."""
    reasoning_ms: int | None = None
    total_ms: int | None = None


class Message(msgspec.Struct, kw_only=True, omit_defaults=False):
    """The assistant's message of a task."""

    role: str = "assistant"
    content: str = ""
    reasoning: str = ""
    tool_calls: list[dict[str, Any]] = msgspec.field(default_factory=list)
    thinking_blocks: list[dict[str, Any]] = msgspec.field(default_factory=list)
    """Signed blocks that some providers want back with the results of tools; send them as they are."""


class Outcome(msgspec.Struct, kw_only=True):
    """How a task ended; kept with the task and written into the conversation."""

    status: Literal["completed", "failed", "cancelled"]
    message: Message
    finish_reason: str | None = None
    model: str | None = None
    provider: str | None = None
    usage: Usage | None = None
    timings: Timings = msgspec.field(default_factory=Timings)
    error: dict[str, Any] | None = None
    trimmed_messages: int = 0
    """Messages of the conversation that were left out since they did not fit the model's context."""
    result: Any = None
    """What a program's own task has come to."""


class Task(msgspec.Struct, kw_only=True):
    """A task as it stands in Redis, and what clients are shown of it by `view`."""

    ref: TaskRef
    status: TaskStatus
    gen: int
    seq: int
    mode: str
    model: str
    candidates: list[str] = msgspec.field(default_factory=list)
    """The model and the fallbacks that its user may use, in order."""
    accepted_ms: int
    """Epoch milliseconds at which it was accepted; `elapsed_ms` of events counts from here."""
    conversation: str | None = None
    message_id: str | None = None
    subject: str | None = None
    """What it is about, for filtering on the client: `Receipt/R-1`."""
    trace_id: str
    request: bytes = b"{}"
    """JSON of `core.chat.ChatRequest`."""
    worker: str | None = None
    shown: bool = False
    """Whether a delta was published: from then on the task is not started over."""
    cancel_by: str | None = None
    outcome: Outcome | None = None

    @property
    def is_final(self) -> bool:
        """Whether it has ended."""
        return self.status in FINAL_STATUSES

    def view(self) -> dict[str, Any]:
        """The task of the wire contract."""
        outcome = self.outcome
        message = outcome.message if outcome else Message()
        of_programs = {"subject": self.subject, "result": outcome.result if outcome else None}
        return {
            "task_id": self.ref.id,
            "status": self.status,
            "message": msgspec.to_builtins(message),
            "finish_reason": outcome.finish_reason if outcome else None,
            "model": (outcome.model if outcome else None) or self.model,
            "provider": outcome.provider if outcome else None,
            "usage": msgspec.to_builtins(outcome.usage) if outcome and outcome.usage else None,
            "timings": msgspec.to_builtins(outcome.timings if outcome else Timings()),
            "conversation": self.conversation,
            "message_id": self.message_id,
            "trace_id": self.trace_id,
            "error": outcome.error if outcome else None,
            "trimmed_messages": outcome.trimmed_messages if outcome else 0,
            **{name: value for name, value in of_programs.items() if value is not None},
        }
