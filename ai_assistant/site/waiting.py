"""Web requests that wait for a task's end, kept few: Frappe's production server has one process per request.

At most a quarter of the web slots wait at once, and one where there are fewer than eight; the others get the running
task, whose end they hear by Socket.IO or ask for. No request waits longer than the server lets it live.
"""

from __future__ import annotations

import functools
import time

import frappe
import redis

from ai_assistant.core.settings import Settings
from ai_assistant.core.task import Task, TaskRef
from ai_assistant.site import bench, web_server
from ai_assistant.site.slots import Slot, slot
from ai_assistant.streams.connection import waiting_client

HTTP_TIMEOUT_S = 120
"""What bench writes for gunicorn and nginx where `http_timeout` is not set (frappe-bench 5, supervisor.conf)."""
MARGIN_S = 10
"""Between the longest wait and the server's own limit: for what comes before and after."""
HELD_S = 15.0
"""A waiting request whose process was killed, or that could not tell Redis of its end, blocks its slot for so long."""
KEEP_S = 5.0
"""How often one that waits says so."""


def wait_for_end(ref: TaskRef, timeout: float, settings: Settings) -> Task:
    """The task when it has ended; as it stands when `timeout` seconds have passed or no slot is free."""
    tasks = bench.tasks()
    limit = min(timeout, longest_wait())
    # the snapshot of the database, and its locks if there were any, are not held for minutes; nor is the connection,
    # which may break meanwhile: Frappe opens another one when it needs one
    frappe.db.rollback()
    request = getattr(frappe.local, "request", None)
    if not request:
        return tasks.wait(ref, limit, settings, blocking_client())
    frappe.db.close()
    with slot(tasks, max_waiting(web_server.slots(request.environ)), HELD_S) as own:
        return wait_in(own, ref, limit, settings) if own else tasks.get(ref, settings)


def wait_in(own: Slot, ref: TaskRef, limit: float, settings: Settings) -> Task:
    """Waits up to `limit` seconds, keeping the slot meanwhile."""
    end = time.monotonic() + limit
    while True:
        left = end - time.monotonic()
        task = bench.tasks().wait(ref, max(0.0, min(left, KEEP_S)), settings, blocking_client())
        if task.is_final or left <= KEEP_S:
            return task
        own.keep()


def max_waiting(slots: int) -> int:
    """How many of so many requests may wait."""
    return max(1, slots // 4)


def longest_wait() -> float:
    """Seconds that a request may wait before gunicorn or nginx ends it."""
    configured = float(frappe.conf.get("http_timeout") or HTTP_TIMEOUT_S)
    return max(1.0, min(configured, web_server.timeout_s() or configured) - MARGIN_S)


def blocking_client() -> redis.Redis:
    """The client for blocking reads, one per process and address."""
    return _blocking_client(bench.redis_url())


@functools.lru_cache(maxsize=8)
def _blocking_client(url: str) -> redis.Redis:
    return waiting_client(url)
