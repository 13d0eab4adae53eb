"""The tracing SDK: makes any Python program's calls into traces. Imports no Frappe, server or LiteLLM.

from ai_assistant import tracing

tracing.init(url="https://site.example.com", api_key="key:secret")

@tracing.traced
def answer(question): ...
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ai_assistant.tracing.client import Client
from ai_assistant.tracing.decorator import traced
from ai_assistant.tracing.propagation import continue_trace, extract, inject, traceparent
from ai_assistant.tracing.span import Span
from ai_assistant.tracing.state import active, client, flush, init, set_trace, shutdown, start_span, status
from ai_assistant.tracing.tracer import Tracer, current

if TYPE_CHECKING:
    from ai_assistant.tracing import testing as testing
    from ai_assistant.tracing import typed_events as typed_events
    from ai_assistant.tracing.emitter import Emitter as Emitter
    from ai_assistant.tracing.event_handler import tracing_handler as tracing_handler
    from ai_assistant.tracing.integrations.anthropic import observe_anthropic as observe_anthropic
    from ai_assistant.tracing.integrations.langchain import callback_handler as callback_handler
    from ai_assistant.tracing.integrations.langgraph import trace_graph as trace_graph
    from ai_assistant.tracing.integrations.litellm import litellm_logger as litellm_logger
    from ai_assistant.tracing.integrations.openai import observe_openai as observe_openai
    from ai_assistant.tracing.integrations.tools import trace_tool as trace_tool
    from ai_assistant.tracing.task_current import current_task as current_task
    from ai_assistant.tracing.task_errors import TaskCancelled as TaskCancelled
    from ai_assistant.tracing.task_errors import TaskFailed as TaskFailed
    from ai_assistant.tracing.task_memory import recorded_tasks as recorded_tasks
    from ai_assistant.tracing.task_start import start_task as start_task
    from ai_assistant.tracing.task_start import task as task

span = start_span
current_span = current

_LAZY = {
    "Emitter": "ai_assistant.tracing.emitter",
    "callback_handler": "ai_assistant.tracing.integrations.langchain",
    "litellm_logger": "ai_assistant.tracing.integrations.litellm",
    "observe_anthropic": "ai_assistant.tracing.integrations.anthropic",
    "observe_openai": "ai_assistant.tracing.integrations.openai",
    "TaskCancelled": "ai_assistant.tracing.task_errors",
    "TaskFailed": "ai_assistant.tracing.task_errors",
    "current_task": "ai_assistant.tracing.task_current",
    "recorded_tasks": "ai_assistant.tracing.task_memory",
    "start_task": "ai_assistant.tracing.task_start",
    "task": "ai_assistant.tracing.task_start",
    "testing": "ai_assistant.tracing.testing",
    "trace_graph": "ai_assistant.tracing.integrations.langgraph",
    "trace_tool": "ai_assistant.tracing.integrations.tools",
    "tracing_handler": "ai_assistant.tracing.event_handler",
    "typed_events": "ai_assistant.tracing.typed_events",
}
"""What is imported when it is first asked for, and from where."""

__all__ = [
    "Client",
    "Emitter",
    "Span",
    "Tracer",
    "active",
    "callback_handler",
    "client",
    "continue_trace",
    "current",
    "current_span",
    "event",
    "extract",
    "flush",
    "init",
    "inject",
    "litellm_logger",
    "observe_anthropic",
    "observe_openai",
    "progress",
    "score",
    "set_trace",
    "shutdown",
    "span",
    "start_span",
    "status",
    "task",
    "testing",
    "trace_graph",
    "trace_tool",
    "traced",
    "traceparent",
    "typed_events",
    "update",
]


def update(**values: Any) -> None:
    """Notes something on the current observation; see `Span.update`."""
    current().update(**values)


def event(name: str, data: Any = None, **values: Any) -> None:
    """Something that happened now, below the current observation; see `Span.event`."""
    current().event(name, data, **values)


def progress(done: float, total: float = 100.0, message: str | None = None) -> None:
    """How far the current observation is."""
    current().progress(done, total, message)


def score(name: str, value: float | str | bool, comment: str | None = None) -> None:
    """A judgement of the current observation's result."""
    current().score(name, value, comment)


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(_LAZY[name])
    return module if name in ("testing", "typed_events") else getattr(module, name)
