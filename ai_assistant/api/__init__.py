"""The endpoints `ai_assistant.api.*`: check, authorise, delegate. No logic lives here.

Annotations are real objects (no `from __future__ import annotations`): Frappe validates arguments by them, and would
silently stop doing so for strings. Each accepts the string form too, since forms carry JSON as text.
"""

from typing import Any

from ai_assistant.api.declare import endpoint
from ai_assistant.core import service
from ai_assistant.core.endpoint import TextAnswer, current_host


@endpoint(methods=("POST",))
def chat_completion(
    messages: list | str | None = None,
    mode: str | None = None,
    model: str | None = None,
    provider: str | None = None,
    temperature: float | int | str | None = None,
    max_tokens: int | str | None = None,
    reasoning_effort: str | None = None,
    tools: list | str | None = None,
    tool_choice: dict | str | None = None,
    response_format: dict | str | None = None,
    stop: list | str | None = None,
    conversation: str | None = None,
    metadata: dict | str | None = None,
    task_id: str | None = None,
    wait: bool | int | str | None = None,
    timeout: float | int | str | None = None,
) -> Any:
    """Ask a model: starts a task whose events go out as `ai_progress`, and by default waits for its end."""
    return service.chat_completion(current_host(), dict(locals()))


@endpoint(methods=("POST",))
def cancel(task_id: str | None = None) -> Any:
    """Cancel a task of yours; a finished one stays as it is."""
    return service.cancel(current_host(), task_id)


@endpoint(methods=("GET", "POST"))
def get_task(task_id: str | None = None) -> Any:
    """The state of a task, with its message, usage and error once it has ended."""
    return service.get_task(current_host(), task_id)


@endpoint(methods=("GET", "POST"))
def get_events(task_id: str | None = None, after_seq: int | str | None = None, limit: int | str | None = None) -> Any:
    """The events of a task after `after_seq`: what a client that lost its connection reads to catch up."""
    return service.get_events(current_host(), task_id, after_seq, limit)


@endpoint(methods=("GET", "POST"))
def get_models() -> Any:
    """The models that you may use."""
    return service.get_models(current_host())


@endpoint(methods=("GET", "POST"))
def get_conversations(limit: int | str | None = None, before: str | None = None, search: str | None = None) -> Any:
    """Your conversations, newest first."""
    return service.get_conversations(current_host(), limit, before, search)


@endpoint(methods=("GET", "POST"))
def get_conversation(conversation: str | None = None) -> Any:
    """A conversation with its messages."""
    return service.get_conversation(current_host(), conversation)


@endpoint(methods=("POST",))
def rename_conversation(conversation: str | None = None, title: str | None = None) -> Any:
    """Give a conversation another title."""
    return service.rename_conversation(current_host(), conversation, title)


@endpoint(methods=("POST",))
def delete_conversation(conversation: str | None = None) -> Any:
    """Delete a conversation with its messages."""
    return service.delete_conversation(current_host(), conversation)


@endpoint(methods=("GET", "POST"), allow_guest=True)
def status() -> Any:
    """Whether the service is up; more for a user who is logged in."""
    return service.status(current_host())


@endpoint(methods=("GET",))
def metrics() -> TextAnswer:
    """Figures for Prometheus; for managers and administrators."""
    return service.metrics(current_host())
