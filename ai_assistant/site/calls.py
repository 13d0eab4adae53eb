"""A limit on calls of all endpoints together: what keeps a client in a loop from the database."""

from __future__ import annotations

import frappe

from ai_assistant.core.errors import TooManyRequestsError
from ai_assistant.core.session import GUEST

PER_MINUTE = 3000
"""Calls of one user: fifty a second, more than any client of ours makes. The chat's own limits are in the settings."""
GUEST_PER_MINUTE = 600
"""Calls of all guests of one address."""
WINDOW_S = 60


def count_call() -> None:
    """Counts a request in Frappe's cache, as its own rate limiter does. Raises TooManyRequestsError."""
    if not getattr(frappe.local, "request", None):
        return
    user = frappe.session.user
    is_guest = user == GUEST
    limit = GUEST_PER_MINUTE if is_guest else PER_MINUTE
    key = frappe.cache.make_key(f"ai_assistant:calls:{frappe.local.request_ip if is_guest else user}")
    count = frappe.cache.incrby(key, 1)
    if count == 1:
        frappe.cache.expire(key, WINDOW_S)
    if count > limit:
        seconds = frappe.cache.ttl(key)
        if seconds < 0:  # the process died between the two commands
            frappe.cache.expire(key, WINDOW_S)
            seconds = WINDOW_S
        raise TooManyRequestsError(
            f"calls per minute: all {limit} are used; the next is free in {seconds} s", retry_after=seconds
        )
