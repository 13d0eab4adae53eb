"""The core's errors as Frappe answers them: status by class, text under `_server_messages`."""

from __future__ import annotations

import logging
from typing import NoReturn

import frappe

from ai_assistant.core.errors import (
    ApiError,
    AuthenticationError,
    DoesNotExistError,
    PermissionError_,
    ServiceUnavailableError,
    TooManyRequestsError,
    ValidationError,
)

log = logging.getLogger("ai_assistant.site")


class ServiceUnavailable(frappe.InReadOnlyMode):
    """Redis is away, or the backlog is full. Of the classes that Frappe writes no Error Log for (v15 `utils/error.py`):
    each refused call would leave one, with the text of its messages, and another copy in `logs/frappe.log`."""

    http_status_code = 503


class InternalServerError(ServiceUnavailable):
    """Something that should not have happened. What is known of it is logged by `report`."""

    http_status_code = 500


CLASSES: dict[type[ApiError], type[Exception]] = {
    ValidationError: frappe.ValidationError,
    AuthenticationError: frappe.AuthenticationError,
    PermissionError_: frappe.PermissionError,
    DoesNotExistError: frappe.DoesNotExistError,
    TooManyRequestsError: frappe.TooManyRequestsError,
    ServiceUnavailableError: ServiceUnavailable,
}


def throw(error: ApiError) -> NoReturn:
    """Raises Frappe's exception for `error`. The Desk shows its text as HTML, and it may hold what a caller sent."""
    frappe.local.flags.ai_assistant_retry_after = error.retry_after
    frappe.local.flags.disable_traceback = True  # it is an answer, not a failure
    text = error.message.encode("utf-8", "replace").decode()
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    kind = next((CLASSES[each] for each in type(error).__mro__ if each in CLASSES), frappe.ValidationError)
    # v15 names it only where tracebacks are shown; clients read it everywhere
    frappe.local.response["exception"] = f"{kind.__module__}.{kind.__name__}: {error.message}"
    frappe.throw(text, kind)
    raise AssertionError  # frappe.throw always raises, but does not say so in its type


def report(error: Exception) -> NoReturn:
    """Raises what Frappe answers itself (less than 500) as it is, else InternalServerError, after an Error Log of our
    own: Frappe's holds the values of all variables, people's messages among them."""
    if getattr(error, "http_status_code", 500) < 500:
        raise error
    traceback = frappe.get_traceback()
    try:
        frappe.log_error(f"AI Assistant: {type(error).__name__}", traceback, defer_insert=True)
    except Exception:  # noqa: BLE001  # redis_cache, which holds what is deferred, may be away too
        log.error("no Error Log could be written of this:\n%s", traceback)
    frappe.local.flags.disable_traceback = True
    frappe.throw(frappe._("Something went wrong. The administrator finds it in the Error Log."), InternalServerError)
    raise AssertionError  # frappe.throw always raises, but does not say so in its type


def add_retry_after(response=None, request=None):
    """Hook `after_request`: tells a refused caller when to try again. v15 has no other way to an error's headers."""
    seconds = frappe.local.flags.get("ai_assistant_retry_after")
    if seconds is not None and response is not None:
        response.headers["Retry-After"] = str(max(1, round(seconds)))
