"""A limit on calls of all endpoints together: what keeps a client in a loop from the database."""

from __future__ import annotations

import logging

import frappe
from redis.exceptions import RedisError

from ai_assistant.core.errors import TooManyRequestsError
from ai_assistant.core.session import GUEST

log = logging.getLogger("ai_assistant.site")

PER_MINUTE = 3000
"""Calls of one user: fifty a second, more than any client of ours makes. The chat's own limits are in the settings."""
GUEST_PER_MINUTE = 600
"""Calls of all guests of one address."""
WINDOW_S = 60


def count_call() -> None:
    """Counts a request in Frappe's cache, as its own rate limiter does. Raises TooManyRequestsError.

    Without its cache Frappe goes on; then nothing is counted.
    """
    if not getattr(frappe.local, "request", None):
        return
    is_guest = frappe.session.user == GUEST
    limit = GUEST_PER_MINUTE if is_guest else PER_MINUTE
    try:
        seconds = seconds_left(frappe.local.request_ip if is_guest else frappe.session.user, limit)
    except (RedisError, OSError) as error:
        log.warning("redis_cache is away, calls are not counted: %s", error)
        return
    if seconds:
        raise TooManyRequestsError(
            f"calls per minute: all {limit} are used; the next is free in {seconds} s", retry_after=seconds
        )


def seconds_left(caller: str, limit: int) -> int:
    """Counts a call; gives the seconds until the caller may call again, 0 when he may now."""
    key = frappe.cache.make_key(f"ai_assistant:calls:{caller}")
    count = frappe.cache.incrby(key, 1)
    if count == 1:
        frappe.cache.expire(key, WINDOW_S)
    if count <= limit:
        return 0
    seconds = frappe.cache.ttl(key)
    if seconds < 0:  # the process died between the two commands
        frappe.cache.expire(key, WINDOW_S)
    return max(1, seconds) if seconds >= 0 else WINDOW_S
