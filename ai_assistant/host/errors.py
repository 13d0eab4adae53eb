"""The host's own HTTP errors, and every error's body in Frappe's form.

ApiError (core)
├── BadRequestError       400  the body is no JSON, or too deeply nested
├── LoginError            401  the text also stands under `message`, as in Frappe
├── TokenFormatError      400  an Authorization header that cannot be decoded
├── CsrfError             400  exc_type CSRFTokenError, as in Frappe
├── CrossOriginError      403  a write with a cookie from another origin
├── MethodNotFoundError   404  no such path below /api
├── BodyTooLargeError     413
└── UnknownHostError      421  a Host name that this server was not started for
"""

from __future__ import annotations

import json
import logging
import secrets
from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy.exc import OperationalError
from starlette.responses import Response

from ai_assistant.core.errors import ApiError, AuthenticationError, PermissionError_, ServiceUnavailableError

log = logging.getLogger(__name__)

#: How many times each thing went wrong since the process started; shown by `status`.
ERROR_COUNTS: Counter[str] = Counter()


class BadRequestError(ApiError):
    """The body cannot be read."""

    http_status = 400
    exc_type = "BadRequest"


class LoginError(AuthenticationError):
    """A login that failed."""


class TokenFormatError(ApiError):
    """An Authorization header of scheme Basic that is not base64."""

    http_status = 400
    exc_type = "InvalidAuthorizationToken"


class CsrfError(ApiError):
    """A session that was given a CSRF token wrote without it."""

    http_status = 400
    exc_type = "CSRFTokenError"


class CrossOriginError(PermissionError_):
    """A page of another origin tried to write with the user's cookie."""


class MethodNotFoundError(ApiError):
    """Nothing is served at this path."""

    http_status = 404
    exc_type = "DoesNotExistError"


class BodyTooLargeError(ApiError):
    """The body is longer than the host accepts."""

    http_status = 413
    exc_type = "RequestEntityTooLarge"


class UnknownHostError(ApiError):
    """The Host header names a server that this one is not: the defence against DNS rebinding."""

    http_status = 421
    exc_type = "MisdirectedRequest"


def error_body(exc_type: str, message: str, more: Mapping[str, Any]) -> bytes:
    """Frappe's error body: `_server_messages` is JSON in JSON in JSON, as its clients expect."""
    shown = {"message": message, "title": "Message", "indicator": "red", "raise_exception": 1}
    body = {
        **more,
        "exception": f"frappe.exceptions.{exc_type}: {message}",
        "exc_type": exc_type,
        "_server_messages": json.dumps([json.dumps(shown)]),
    }
    return msgspec.json.encode(body)


def error_response(error: BaseException, more: Mapping[str, Any] | None = None) -> Response:
    """The HTTP answer to `error`: an ApiError speaks for itself, anything else is logged and told by an id only.

    `more` are further members of the body.
    """
    if isinstance(error, OperationalError):  # the disk is full or read-only, or a database server is away
        log.error("the database cannot be used: %s", error.orig)
        error = ServiceUnavailableError(
            "The database cannot be used at the moment. Try again later; the administrator finds more in the log.",
            retry_after=10,
        )
    if isinstance(error, ApiError):
        return api_error_response(error, dict(more or {}))
    reference = secrets.token_hex(6)
    ERROR_COUNTS["unexpected"] += 1
    log.error("unexpected error %s", reference, exc_info=error)
    text = f"Something went wrong on the server. Its log has the details under {reference}."
    return Response(error_body("InternalError", text, more or {}), 500, media_type="application/json")


def api_error_response(error: ApiError, more: dict[str, Any]) -> Response:
    """The HTTP answer to an error that was raised on purpose."""
    ERROR_COUNTS[error.exc_type] += 1
    headers = {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(max(1, round(error.retry_after)))
    if isinstance(error, ServiceUnavailableError):
        log.warning("answered 503: %s", error.message)
    message = printable(error.message)
    if isinstance(error, LoginError):
        more["message"] = message
    body = error_body(error.exc_type, message, more)
    return Response(body, error.http_status, headers, "application/json")


def printable(text: str) -> str:
    """`text` without lone surrogates, which no UTF-8 answer can carry."""
    return text.encode("utf-8", "replace").decode("utf-8")
