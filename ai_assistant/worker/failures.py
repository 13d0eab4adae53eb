"""What a user is told when the fault is ours."""

from __future__ import annotations

from ai_assistant.core.errors import AssistantError, ChatError, ServiceUnavailableError


def failed_inside(error: BaseException) -> ChatError:
    """A failure of ours: its own words where it was raised on purpose, none of them else."""
    retryable = isinstance(error, ServiceUnavailableError)
    if isinstance(error, AssistantError):
        return ChatError("internal", str(error.args[0]), retryable=retryable)
    text = "Something failed inside the server. Try again; the administrator finds more in the log."
    return ChatError("internal", text, retryable=retryable)


def stopped_error() -> ChatError:
    """The server stops."""
    return ChatError(
        "worker_lost", "The server was stopped in the middle of the answer. What had arrived is kept; try again."
    )


def site_timeout() -> ChatError:
    """The site's database is locked or away."""
    return ChatError("internal", "The database did not answer in time. Try again.", retryable=True)
