"""The background job that runs the worker for all sites of the bench, while no daemon does."""

from __future__ import annotations

import asyncio
import functools
import signal
from typing import TYPE_CHECKING

import frappe

from ai_assistant.site import bench
from ai_assistant.site.wake import limits
from ai_assistant.streams.keys import PREFIX

RECOVER_AGAIN_S = 3600

if TYPE_CHECKING:
    from ai_assistant.site.job_runner import RqRunner
    from ai_assistant.streams.tasks import Tasks


def run(token: str, is_brief: bool = False) -> str:
    """Called by RQ; gives the reason of its end. See `worker.tenure`.

    The job's own connection to the database is closed: the worker opens its own for each unit of work. Frappe opens it
    again after the job.
    """
    from ai_assistant.site.logs import configure_logs

    configure_logs()
    frappe.db.commit()  # nosemgrep: ends the transaction that Frappe began for this job
    frappe.db.close()
    return asyncio.run(work(token, is_brief))


async def work(token: str, is_brief: bool) -> str:
    """The tenure on an event loop."""
    from ai_assistant.site.job_runner import RqRunner
    from ai_assistant.site.opener import BenchOpener
    from ai_assistant.site.tracing import traces_redis_urls
    from ai_assistant.streams.lease import Lease
    from ai_assistant.worker.options import WorkerOptions
    from ai_assistant.worker.tenure import Tenure
    from ai_assistant.worker.worker import Worker

    until, tasks = limits(), bench.tasks()
    options = WorkerOptions(kind="job", hands_over=True, grace_s=until.grace_s, trace_redis_urls=traces_redis_urls())
    sites = functools.partial(sites_to_recover, tasks)
    worker = Worker(bench.redis_url(), bench.scope(), BenchOpener(), sites=sites, options=options)
    runner = RqRunner()
    stop_on_term(runner)
    return await Tenure(worker, Lease(tasks), runner, token, limits=until, is_brief=is_brief).run()


def sites_to_recover(tasks: Tasks) -> list[str]:
    """The sites whose unfinished messages are to be looked after: all of them, but not with each of the jobs that come
    and go, for it opens every site's database. Only tasks that Redis lost leave such messages."""
    key = f"{PREFIX}:{tasks.keys.scope}:recovered"
    return bench.sites() if tasks.client.set(key, 1, nx=True, ex=RECOVER_AGAIN_S) else []


def stop_on_term(runner: RqRunner) -> None:
    """SIGTERM ends the job in order. RQ leaves it to the system, which would kill it in the middle of every stream; a
    worker of RQ that does not fork keeps its own handling."""
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, runner.end)
