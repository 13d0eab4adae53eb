"""The endpoints `ai_assistant.api.*`: check, authorise, delegate. No logic lives here.

Annotations are real objects (no `from __future__ import annotations`): Frappe validates arguments by them, and would
silently stop doing so for strings. Each accepts the string form too, since forms carry JSON as text.
"""

from typing import Any

from ai_assistant.api.declare import endpoint
from ai_assistant.core import service, trace_feed, trace_service
from ai_assistant.core.endpoint import FileAnswer, ProtocolAnswer, TextAnswer, current_host


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


@endpoint(methods=("GET", "POST"), reviewers=True)
def get_traces(
    user: str | None = None,
    model: str | None = None,
    status: str | None = None,
    since: str | int | float | None = None,
    until: str | int | float | None = None,
    conversation: str | None = None,
    session: str | None = None,
    tag: str | None = None,
    min_cost: float | int | str | None = None,
    max_cost: float | int | str | None = None,
    min_duration_ms: int | str | None = None,
    max_duration_ms: int | str | None = None,
    reference_doctype: str | None = None,
    reference_name: str | None = None,
    environment: str | None = None,
    service: str | None = None,
    source: str | None = None,
    complete: bool | int | str | None = None,
    search: str | None = None,
    limit: int | str | None = None,
    cursor: str | None = None,
) -> Any:
    """Traces, newest first: your own, or everybody's for a reviewer."""
    return trace_service.get_traces(current_host(), dict(locals()))


@endpoint(methods=("GET", "POST"), reviewers=True)
def get_trace(trace: str | None = None) -> Any:
    """A trace with its observations in the order of their tree."""
    return trace_service.get_trace(current_host(), trace)


@endpoint(methods=("GET", "POST"), reviewers=True)
def get_trace_payload(trace: str | None = None, span: str | None = None, field: str | None = None) -> Any:
    """One payload of a trace or of one of its observations: a prompt, a response, the reasoning."""
    return trace_service.get_trace_payload(current_host(), trace, span, field)


@endpoint(methods=("GET",), reviewers=True)
def export_trace(trace: str | None = None, format: str | None = None) -> FileAnswer:
    """The whole trace as a document, in JSON or OTLP/JSON."""
    return trace_service.export_trace(current_host(), trace, format)


@endpoint(methods=("POST",), reviewers=True)
def delete_trace(trace: str | None = None) -> Any:
    """Delete a trace with everything of it."""
    return trace_service.delete_trace(current_host(), trace)


@endpoint(methods=("POST",))
def acknowledge(task_id: str | None = None, seq: int | str | None = None) -> Any:
    """Say that you have the events of your task up to `seq`; its trace shows it."""
    return trace_feed.acknowledge(current_host(), task_id, seq)


@endpoint(methods=("POST",), reviewers=True)
def ingest_traces(
    producer: str | None = None, entries: list | str | None = None, beat: dict | str | None = None
) -> Any:
    """Take in what a program elsewhere has traced; as MessagePack or JSON."""
    return trace_feed.ingest_traces(current_host(), dict(locals()))


@endpoint(methods=("POST",), reviewers=True)
def otlp_traces() -> ProtocolAnswer:
    """Take in spans of OpenTelemetry: an OTLP/HTTP export, in protobuf or JSON."""
    return trace_feed.otlp_traces(current_host())


@endpoint(methods=("GET", "POST"), reviewers=True)
def get_dead_letters(limit: int | str | None = None, before: str | None = None) -> Any:
    """Events of traces that could not be stored, and why; for reviewers and administrators."""
    return trace_feed.get_dead_letters(current_host(), limit, before)


@endpoint(methods=("POST",), reviewers=True)
def retry_dead_letters(ids: list | str | None = None) -> Any:
    """Try to store dead letters again; for reviewers and administrators."""
    return trace_feed.retry_dead_letters(current_host(), ids)
