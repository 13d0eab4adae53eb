"""How a task of a program ends other than by coming to its end, and what its user is told of it."""

from __future__ import annotations

from ai_assistant.core.errors import ApiError, ChatError

MAX_MESSAGE = 1000


class TaskCancelled(Exception):
    """The user wants no more: `Task.check_cancelled` raises it. The task's `with` ends it as cancelled, and there the
    exception ends."""

    def __init__(self, by: str):
        super().__init__(f"cancelled by {by}")
        self.by = by


class TaskFailed(Exception):
    """Ends a task, or a tool, with a message that is meant for its user. The messages of all other exceptions stay
    inside, since they may hold anything."""

    def __init__(self, message: str, *, retryable: bool = False):
        """`message` says what to do next; `retryable`: whether the same may succeed later without any change."""
        super().__init__(message)
        self.message = message
        self.retryable = retryable


def chat_error_of(name: str, error: BaseException) -> ChatError:
    """The `error` event for an exception."""
    if isinstance(error, ChatError):
        return error
    if isinstance(error, TaskFailed):
        return ChatError("internal", shown_message(error), retryable=error.retryable)
    if isinstance(error, ApiError):
        return ChatError("internal", shown_message(error))
    return ChatError("internal", f"{name} failed ({type(error).__name__}). The log of its program says why; try again.")


def shown_message(error: BaseException) -> str:
    """What a user may be told of an exception: its message where that was written for users, else its class."""
    if isinstance(error, TaskFailed | ChatError | ApiError):
        return error.message[:MAX_MESSAGE] or type(error).__name__
    return type(error).__name__
