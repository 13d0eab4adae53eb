"""What the sites of one bench share: its Redis, the name of its task queue, its list of sites.

Everything here needs `frappe.init`; nothing needs a database.
"""

from __future__ import annotations

import functools
from typing import Any

import frappe
from frappe.utils import get_bench_id, get_sites

from ai_assistant.core.errors import ServiceUnavailableError
from ai_assistant.core.settings import Settings
from ai_assistant.core.task import Task, TaskRef
from ai_assistant.site.wake import wake_if_needed
from ai_assistant.streams.connection import request_client
from ai_assistant.streams.tasks import Tasks

APP = "ai_assistant"
REDIS_KEY = "ai_assistant_redis_url"
"""Site or common configuration: another URL of the bench's Redis, where `redis_queue`'s own will not do (an ACL user
that may touch RQ's keys only). It must be the server that the realtime server listens to."""

NO_DAEMON = (
    "No daemon runs: a background job answers, which the first chat wakes. A daemon is recommended: "
    "bench ai-assistant setup-worker"
)


def redis_url() -> str:
    """The Redis that carries tasks and events: that of RQ and realtime, which does not evict."""
    url = frappe.conf.get(REDIS_KEY) or frappe.conf.get("redis_queue")
    if not url:
        raise ServiceUnavailableError("redis_queue: is missing in common_site_config.json; run bench setup config")
    return url


def scope() -> str:
    """The name of the bench's task queue; RQ tells benches apart by the same one (v15 `background_jobs.py`)."""
    return str(get_bench_id())


class SiteTasks(Tasks):
    """Tasks whose readers see to it that a worker is there for what is queued."""

    def start(self, task: Task, fingerprint: str, settings: Settings) -> Task:
        """See `Tasks.start`; wakes a worker for it where none is."""
        accepted = super().start(task, fingerprint, settings)
        if accepted.status == "queued":
            wake_if_needed(self)
        return accepted

    def find(self, ref: TaskRef, settings: Settings | None = None) -> Task | None:
        """See `Tasks.find`; a task that waits, for its worker was killed maybe, gets one."""
        task = super().find(ref, settings)
        if task is not None and task.status == "queued":
            wake_if_needed(self)
        return task

    def health(self) -> dict[str, Any]:
        """See `Tasks.health`. Without a worker all is well: the next chat wakes one; `advice` says what is better."""
        answer = super().health()
        if not answer["redis"]["ok"] or any(worker.get("kind") == "daemon" for worker in answer["workers"]):
            return answer
        return answer | {"ok": True, "advice": NO_DAEMON}


def tasks() -> SiteTasks:
    """The tasks of the bench. One client per process and address: its connections outlive the request."""
    return _tasks(redis_url(), scope())


@functools.lru_cache(maxsize=8)
def _tasks(url: str, name: str) -> SiteTasks:
    return SiteTasks(request_client(url), name)


def sites() -> list[str]:
    """The bench's sites that have this app. Opens each one's database: for the start of a worker, not for requests.

    To be called from a thread that has no site open.
    """
    return [site for site in get_sites() if _has_app(site)]


def _has_app(site: str) -> bool:
    from ai_assistant.site.opener import BenchOpener

    try:
        with BenchOpener().open(site):
            return True
    except Exception as error:  # noqa: BLE001  # whatever keeps one site from opening must not keep the others
        frappe.logger(APP).warning("site %s is left out: %s", site, error)
        return False


def conf(name: str, default: Any) -> Any:
    """A value of the site's or the bench's configuration."""
    value = frappe.conf.get(name)
    return default if value is None else value
