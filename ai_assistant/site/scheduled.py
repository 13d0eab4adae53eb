"""What the scheduler does for a site: looks after tasks that neither a worker nor a reader looks after.

Workers sweep every two seconds, and whoever reads a task settles it; this is for the case that neither is there. On an
idle site it is two round trips to Redis and no query. Several sites of a bench may do it at once: each looks after its
own tasks, by its own settings, and every change of a task is one guarded script.
"""

from __future__ import annotations

import time

import frappe
import msgspec
from redis.exceptions import RedisError

from ai_assistant.core.errors import ServiceUnavailableError
from ai_assistant.core.settings import Settings
from ai_assistant.core.task import TaskRef
from ai_assistant.site import bench
from ai_assistant.streams import keys as names
from ai_assistant.streams.tasks import Tasks
from ai_assistant.traces.health import unattended

AT_A_TIME = 2000
"""Tasks that one run looks at."""
ALERT_AGAIN_S = 3600
"""A backlog that stays is reported again after this."""


class Waiting(msgspec.Struct, frozen=True):
    """Tasks of a site that no worker has taken."""

    count: int
    oldest_s: float


def tend_ai_tasks() -> None:
    """The scheduler's event `all`."""
    from ai_assistant.site.anomalies import look_for_anomalies

    tend(bench.tasks())
    look_for_anomalies()


def tend(tasks: Tasks) -> None:
    """Wakes a worker where one is needed, for tasks or for traces, reports a backlog, settles overdue tasks."""
    from ai_assistant.site.tracing import trace_client
    from ai_assistant.site.wake import wake_if_needed

    try:
        has_traces = bool(unattended(trace_client(), [frappe.local.site]))
        if is_idle(tasks) and not has_traces:
            return
        wake_if_needed(tasks, is_wanted=has_traces)
        settings = site_settings()
        alert(tasks, waiting(tasks, frappe.local.site), settings)
        settle(tasks, frappe.local.site, settings)
    except (RedisError, OSError, ServiceUnavailableError) as error:
        frappe.logger(bench.APP).warning("tasks of %s are not looked after: %s", frappe.local.site, error)


def is_idle(tasks: Tasks) -> bool:
    """Whether no site of the bench has a task that is open, queued or to be written. One round trip."""
    with tasks.client.pipeline(transaction=False) as pipe:
        pipe.zcard(tasks.keys.open)
        pipe.zcard(tasks.keys.unsaved)
        pipe.xlen(tasks.keys.queue)
        return not any(pipe.execute())


def site_settings() -> Settings:
    """The settings of the open site."""
    from ai_assistant.site.access import SiteStores

    return SiteStores(with_keys=False).settings()


def waiting(tasks: Tasks, site: str) -> Waiting:
    """How many tasks of the site wait in the bench's queue, and the oldest one's seconds."""
    entries: list[tuple[bytes, dict[bytes, bytes]]] = tasks.client.xrange(tasks.keys.queue, count=AT_A_TIME)  # type: ignore[assignment]
    own = [id_ for id_, fields in entries if names.decode_ref(fields[b"task"]).site == site]
    if not own:
        return Waiting(0, 0.0)
    return Waiting(len(own), max(0.0, time.time() - int(own[0].partition(b"-")[0]) / 1000))


def alert(tasks: Tasks, found: Waiting, settings: Settings) -> bool:
    """Writes an Error Log when tasks wait for longer than they may, or half of the backlog is full; once an hour."""
    if found.oldest_s < settings.no_worker_after_s and found.count * 2 < settings.max_backlog:
        return False
    key = f"{names.PREFIX}:{frappe.local.site}:backlog_alert"
    if not found.count or not tasks.client.set(key, 1, nx=True, ex=ALERT_AGAIN_S):
        return False
    frappe.log_error(
        title=f"AI Assistant: {found.count} tasks wait for a worker",
        message=f"The oldest waits for {found.oldest_s:.0f} s. What is wrong, and what to do about it, says\n"
        f"bench --site {frappe.local.site} ai-assistant doctor",
    )
    return True


def settle(tasks: Tasks, site: str, settings: Settings) -> int:
    """Ends or restarts the overdue tasks of the site; gives the number of those it looked at."""
    members: list[bytes] = tasks.client.zrange(tasks.keys.open, 0, AT_A_TIME - 1)  # type: ignore[assignment]
    own: list[tuple[bytes, TaskRef]] = [
        (member, ref) for member in members if (ref := names.decode_ref(member)).site == site
    ]
    for member, ref in own:
        if tasks.find(ref, settings) is None:  # its keys have expired
            tasks.client.zrem(tasks.keys.open, member)
    return len(own)
