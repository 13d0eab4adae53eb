"""Errors that reach a caller: HTTP errors in Frappe's classes, and the codes of the `error` event.

AssistantError
├── ApiError                  an HTTP answer; carries Frappe's status and class name
│   ├── ValidationError       417
│   ├── AuthenticationError   401
│   ├── PermissionError_      403
│   ├── DoesNotExistError     404
│   ├── TooManyRequestsError  429
│   └── ServiceUnavailableError 503
├── ChatError                 the end of a task; carries a code of the wire contract
└── ConfigError               a wrong setting; names its key
"""

from __future__ import annotations

from typing import Literal

ErrorCode = Literal[
    "invalid_request",
    "provider_auth",
    "provider_rate_limited",
    "provider_unavailable",
    "provider_timeout",
    "stream_interrupted",
    "context_length_exceeded",
    "content_filtered",
    "budget_exceeded",
    "worker_lost",
    "no_worker",
    "internal",
]

#: Codes after which the same request may succeed later without any change to it.
RETRYABLE_CODES = frozenset(
    {
        "provider_rate_limited",
        "provider_unavailable",
        "provider_timeout",
        "stream_interrupted",
        "worker_lost",
        "no_worker",
    }
)


class AssistantError(Exception):
    """Base of every error that this package raises on purpose."""


class ApiError(AssistantError):
    """An HTTP answer other than 200. `exc_type` is the class name in Frappe's error body."""

    http_status = 417
    exc_type = "ValidationError"

    def __init__(self, message: str, *, retry_after: float | None = None):
        """`message` names the field and what to do; `retry_after` is in seconds, sent as `Retry-After`."""
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after


class ValidationError(ApiError):
    """The request is wrong; the message names the field and what to send instead."""


class AuthenticationError(ApiError):
    """Nobody is logged in, or the credentials are wrong."""

    http_status = 401
    exc_type = "AuthenticationError"


class PermissionError_(ApiError):
    """The user is known and may not do this. The trailing underscore keeps Python's own name free."""

    http_status = 403
    exc_type = "PermissionError"


class DoesNotExistError(ApiError):
    """There is no such thing, or it belongs to another user: the two are not told apart."""

    http_status = 404
    exc_type = "DoesNotExistError"


class TooManyRequestsError(ApiError):
    """A limit of the user is reached; the message says which one and when it ends."""

    http_status = 429
    exc_type = "TooManyRequestsError"


class ServiceUnavailableError(ApiError):
    """Redis is away, or the backlog is full: try again after `retry_after` seconds."""

    http_status = 503
    exc_type = "ServiceUnavailable"


class ChatError(AssistantError):
    """A failure that ends a task: becomes its `error` event."""

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        retryable: bool | None = None,
        retry_after: float | None = None,
        status: int | None = None,
    ):
        """`message` says what to do next and holds no secret; `retry_after` is in seconds; `status` is the
        provider's HTTP status where there was one."""
        super().__init__(message)
        self.code: ErrorCode = code
        self.message = message
        self.retryable = code in RETRYABLE_CODES if retryable is None else retryable
        self.retry_after = retry_after
        self.status = status

    def as_dict(self) -> dict[str, object]:
        """The `error` object of a task."""
        return {"code": self.code, "message": self.message, "retryable": self.retryable}


class ConfigError(AssistantError):
    """A setting is wrong. `key` is its dotted path, for example `models[0].api_key`."""

    def __init__(self, key: str, message: str):
        super().__init__(f"{key}: {message}")
        self.key = key
        self.message = message
