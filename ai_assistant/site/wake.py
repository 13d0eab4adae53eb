"""Wakes the bench's worker: one background job for all sites, where tasks wait and no daemon is alive."""

from __future__ import annotations

import logging
import os
from typing import Any

import frappe
from redis.exceptions import RedisError

from ai_assistant.core.session import ADMINISTRATOR
from ai_assistant.core.task import TaskRef
from ai_assistant.streams import keys as names
from ai_assistant.streams.lease import Lease
from ai_assistant.streams.tasks import Tasks
from ai_assistant.worker.limits import Limits

log = logging.getLogger("ai_assistant.site")

METHOD = "ai_assistant.site.job.run"
QUEUE = "long"
JOB_ID = "ai_assistant_worker_"
"""How the ids of these jobs begin, behind the site that Frappe puts before them; the lease's token follows."""
LOOK_AT = 100
"""Tasks that a process without a site looks through for one whose site is there."""
CONF = "ai_assistant_job_"
"""Prefix of the limits in the site or common configuration: `ai_assistant_job_idle_s` and so on. For tests."""


def wake_if_needed(tasks: Tasks, *, is_wanted: bool = False) -> bool:
    """Asks for a job where one is needed, for tasks or (`is_wanted`) for something else that waits; whether it did.
    Never raises: the chat that called is accepted already, and whoever reads it next tries again."""
    messages = frappe.local.message_log
    known = len(messages)
    try:
        return Lease(tasks).wake(enqueue, is_queued, is_wanted=is_wanted)
    except Exception:
        log.exception("no worker could be woken; the next reader of a waiting task tries again")
        del messages[known:]  # v16 throws when its queue is full, and the user of this request would be shown that
        return False


def wake_from_outside(tasks: Tasks) -> bool:
    """The same for a process that has no site open: the job is one of a site whose task waits."""
    try:
        ref = first_waiting(tasks)
    except (RedisError, OSError) as error:
        log.warning("whether tasks wait cannot be seen: %s", error)
        return False
    if ref is None:
        return False
    frappe.init(site=ref.site)
    try:
        frappe.local.session.user = ADMINISTRATOR
        return wake_if_needed(tasks)
    finally:
        frappe.destroy()


def first_waiting(tasks: Tasks) -> TaskRef | None:
    """The first task of the queue, or the first whose conversation is to be written, of a site that is there: one that
    was dropped can run no job."""
    entries: list[Any] = tasks.client.xrange(tasks.keys.queue, count=LOOK_AT)  # type: ignore[assignment]
    members: list[Any] = tasks.client.zrange(tasks.keys.unsaved, 0, LOOK_AT - 1)  # type: ignore[assignment]
    refs = [names.decode_ref(member) for member in [*(fields[b"task"] for _, fields in entries), *members]]
    return next((ref for ref in refs if os.path.isfile(os.path.join(ref.site, "site_config.json"))), None)


def enqueue(token: str, *, queue: str = QUEUE, is_brief: bool = False) -> None:
    """Puts the job of that token into a queue of RQ; its arguments are no secret."""
    frappe.enqueue(
        METHOD,
        queue=queue,
        timeout=limits().longest_s,
        job_id=JOB_ID + token,
        enqueue_after_commit=False,
        token=token,
        is_brief=is_brief,
    )


def is_queued(token: str) -> bool:
    """Whether the job of that token waits in any queue of the bench."""
    from frappe.utils.background_jobs import get_queue, get_queue_list

    return any(job.endswith(JOB_ID + token) for name in get_queue_list() for job in get_queue(name).get_job_ids())


def limits() -> Limits:
    """The limits of a job, with what the configuration changes."""
    values = {name: frappe.conf.get(CONF + name) for name in Limits.__struct_fields__}
    return Limits(**{name: float(value) for name, value in values.items() if value is not None})
