"""Web requests that wait for a task's end, kept few: Frappe's production server has one process per request.

At most a quarter of the web slots wait at once, and one where there are fewer than eight; the others get the running
task, whose end they hear by Socket.IO or ask for. No request waits longer than the server lets it live.
"""

from __future__ import annotations

import functools
import logging
import re
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import frappe
import psutil
import redis
from redis.exceptions import RedisError

from ai_assistant.core.settings import Settings
from ai_assistant.core.task import Task, TaskRef
from ai_assistant.site import bench
from ai_assistant.streams import keys as names
from ai_assistant.streams.connection import unavailable_as_503, waiting_client
from ai_assistant.streams.script import Script
from ai_assistant.streams.tasks import Tasks

log = logging.getLogger("ai_assistant.site")

HTTP_TIMEOUT_S = 120
"""What bench writes for gunicorn and nginx where `http_timeout` is not set (frappe-bench 5, supervisor.conf)."""
MARGIN_S = 10
"""Between the longest wait and the server's own limit: for what comes before and after."""
DEV_SLOTS = 16
"""`bench serve` starts a thread per request; a bound is kept all the same."""
LOOK_AGAIN_S = 30.0

# KEYS slots   ARGV 1 token 2 slots 3 held for ms
# returns 1 when the request may wait
TAKE = Script("""
local t = now()
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', t)
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
redis.call('ZADD', KEYS[1], t + tonumber(ARGV[3]), ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
""")


def wait_for_end(ref: TaskRef, timeout: float, settings: Settings) -> Task:
    """The task when it has ended; as it stands when `timeout` seconds have passed or no slot is free."""
    tasks = bench.tasks()
    limit = min(timeout, longest_wait())
    # the snapshot of the database, and its locks if there were any, are not held for minutes
    frappe.db.rollback()
    if not getattr(frappe.local, "request", None):
        return tasks.wait(ref, limit, settings, blocking_client())
    with slot(tasks, limit) as taken:
        return tasks.wait(ref, limit, settings, blocking_client()) if taken else tasks.get(ref, settings)


@contextmanager
def slot(tasks: Tasks, limit: float) -> Iterator[bool]:
    """Whether this request may wait up to `limit` seconds; the slot is free again after the block."""
    key, token = f"{names.PREFIX}:{tasks.keys.scope}:waiting:{socket.gethostname()}", uuid.uuid4().hex
    with unavailable_as_503():
        taken = bool(tasks.run(TAKE, [key], [token, max_waiting(), int((limit + MARGIN_S) * 1000)]))
    try:
        yield taken
    finally:
        if taken:
            release(tasks, key, token)


def release(tasks: Tasks, key: str, token: str) -> None:
    """Gives a slot back. Where Redis is away it frees itself when its time has passed."""
    try:
        tasks.client.zrem(key, token)
    except (RedisError, OSError) as error:
        log.warning("a waiting request's slot could not be given back: %s", error)


def blocking_client() -> redis.Redis:
    """The client for blocking reads, one per process and address."""
    return _blocking_client(bench.redis_url())


@functools.lru_cache(maxsize=8)
def _blocking_client(url: str) -> redis.Redis:
    return waiting_client(url)


def longest_wait() -> float:
    """Seconds that a request may wait before gunicorn or nginx ends it."""
    configured = frappe.conf.get("http_timeout") or HTTP_TIMEOUT_S
    own = server_option(("-t", "--timeout"))
    return max(1.0, min(float(configured), float(own or configured)) - MARGIN_S)


def max_waiting() -> int:
    """How many requests of this machine may wait at once."""
    return max(1, web_slots() // 4)


def web_slots() -> int:
    """Requests that the web server of this machine can answer at the same time."""
    environ = frappe.local.request.environ
    if not environ.get("wsgi.multiprocess"):
        return DEV_SLOTS
    threads = int(server_option(("--threads",)) or 1) if environ.get("wsgi.multithread") else 1
    return processes(int(time.monotonic() / LOOK_AGAIN_S)) * threads


@functools.lru_cache(maxsize=1)
def processes(_period: int) -> int:
    """The web server's processes: the children of this one's parent. Counted, since what the configuration says
    (`gunicorn_workers`) need not be what runs."""
    master = web_master()
    try:
        return max(1, len(master.children())) if master else 1
    except psutil.Error:
        return int(frappe.conf.get("gunicorn_workers") or 1)


def server_option(names: tuple[str, ...]) -> str | None:
    """A number on the command line of the web server's master, such as gunicorn's `-t 120`."""
    line = _command_line()
    for name in names:
        if found := re.search(rf"(?:^|\0){name}[=\0]?(\d+)", line):
            return found.group(1)
    return None


@functools.lru_cache(maxsize=1)
def _command_line() -> str:
    master = web_master()
    try:
        return "\0".join(master.cmdline()) if master else ""
    except psutil.Error:
        return ""


def web_master() -> psutil.Process | None:
    """The process that started this web process: gunicorn's master."""
    try:
        return psutil.Process().parent()
    except psutil.Error:
        return None
