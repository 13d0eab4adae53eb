"""Which task is current: kept in a context variable, as the observation is."""

from __future__ import annotations

from contextvars import ContextVar, Token
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ai_assistant.tracing.task_handle import Task

CURRENT_TASK: ContextVar[Task | None] = ContextVar("ai_assistant_task", default=None)


def current_task() -> Task | None:
    """The task whose `with` is the innermost one around this line, if any."""
    return CURRENT_TASK.get()


def leave(token: Token[Task | None] | None) -> None:
    """Makes the task before it the current one again."""
    if token is None:
        return
    try:
        CURRENT_TASK.reset(token)
    except ValueError:  # entered in another context
        CURRENT_TASK.set(None)
