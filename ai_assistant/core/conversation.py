"""Conversations and their messages as stores hold them (DocTypes AI Conversation and AI Message)."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from ai_assistant.core.task import Outcome
from ai_assistant.core.usage import Usage

MessageStatus = Literal["streaming", "completed", "failed", "cancelled", "interrupted"]
"""`interrupted`: the stream broke after text had arrived; `failed`: nothing had arrived."""


class ConversationSummary(msgspec.Struct, kw_only=True):
    """A row of the conversation list. `modified` is ISO 8601 in UTC."""

    name: str
    title: str
    modified: str
    message_count: int


class StoredMessage(msgspec.Struct, kw_only=True):
    """One message of a conversation."""

    name: str
    role: Literal["system", "user", "assistant", "tool"]
    content: str | list[dict[str, Any]] | None
    status: MessageStatus = "completed"
    reasoning: str = ""
    tool_calls: list[dict[str, Any]] = msgspec.field(default_factory=list)
    tool_call_id: str | None = None
    thinking_blocks: list[dict[str, Any]] = msgspec.field(default_factory=list)
    model: str | None = None
    provider: str | None = None
    usage: Usage | None = None
    finish_reason: str | None = None
    error: dict[str, Any] | None = None
    timings: dict[str, Any] | None = None
    task_id: str | None = None
    creation: str = ""


class Turn(msgspec.Struct, kw_only=True):
    """What the worker writes before it asks the model: the new messages and the placeholder of the answer.

    Written twice (a task that was started over), it changes nothing but the placeholder's status.
    """

    user: str
    conversation: str
    is_new: bool
    message_id: str
    """Name of the placeholder; the new messages get names derived from it."""
    task_id: str
    model: str
    messages: list[dict[str, Any]]
    """The new messages of the request, in OpenAI's form."""
    title: str
    """Used when the conversation is new."""


class FinalMessage(msgspec.Struct, kw_only=True):
    """What the worker writes after the stream."""

    user: str
    conversation: str
    message_id: str
    task_id: str
    outcome: Outcome

    @property
    def status(self) -> MessageStatus:
        """The message's status: a failed stream that brought text is `interrupted`, not `failed`."""
        if self.outcome.status == "failed":
            message = self.outcome.message
            return "interrupted" if message.content or message.reasoning else "failed"
        return self.outcome.status


class Unfinished(msgspec.Struct, frozen=True, kw_only=True):
    """A placeholder that still says `streaming`."""

    user: str
    conversation: str
    message_id: str
    task_id: str


def title_of(messages: list[dict[str, Any]], limit: int = 60) -> str:
    """A title from the first user message: its first line, cut at a word near `limit` characters."""
    text = next((plain_text(m.get("content")) for m in messages if m.get("role") == "user"), "")
    line = " ".join(text.split("\n", 1)[0].split()) or " ".join(text.split())
    if len(line) <= limit:
        return line or "New conversation"
    cut = line[:limit].rsplit(" ", 1)[0] if " " in line[:limit] else line[:limit]
    return cut.rstrip(".,;:") + "…"


def plain_text(content: str | list[dict[str, Any]] | None) -> str:
    """The text of a message's content; other parts are left out."""
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text", "") for part in content or [] if part.get("type") == "text")
