"""The worker as a process of its own: `bench ai-worker`."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from typing import TYPE_CHECKING

import click
import frappe

from ai_assistant.core.errors import AssistantError, ConfigError
from ai_assistant.site import bench
from ai_assistant.site.logs import configure_logs
from ai_assistant.site.opener import BenchOpener
from ai_assistant.site.tracing import traces_redis_urls
from ai_assistant.site.wake import wake_from_outside
from ai_assistant.streams.connection import AWAY, request_client
from ai_assistant.streams.tasks import Tasks
from ai_assistant.worker.options import MAX_TASKS, WorkerOptions

if TYPE_CHECKING:
    from ai_assistant.worker.traces import TraceConsumers
    from ai_assistant.worker.worker import Worker

log = logging.getLogger("ai_assistant.site")

REDIS_WAIT_S = 60.0


def start(
    max_tasks: int | None,
    grace: float,
    log_level: str | None,
    metrics_port: int | None = None,
    metrics_host: str = "127.0.0.1",
    only_traces: bool = False,
) -> None:
    """Works for every site of the bench until a signal; ends the process with a line and code 2 when it cannot.

    `only_traces`: it stores traces and takes no tasks.
    """
    try:
        with frappe.init_site():
            configure_logs(log_level)
            url, scope, trace_urls = bench.redis_url(), bench.scope(), traces_redis_urls()
        tasks = reachable(url, scope)
    except AssistantError as error:
        click.echo(f"ai-worker: {error}", err=True)
        sys.exit(2)
    if only_traces:
        tasks.client.close()
        asyncio.run(consume(trace_urls))
        return
    options = WorkerOptions(
        kind="daemon",
        hands_over=True,
        grace_s=grace,
        max_tasks=max_tasks or MAX_TASKS,
        trace_redis_urls=trace_urls,
    )
    try:
        asyncio.run(work(url, scope, options, (metrics_host, metrics_port)))
    except ConfigError as error:
        click.echo(f"ai-worker: {error}", err=True)
        sys.exit(2)
    finally:
        wake_from_outside(tasks)
        tasks.client.close()


def reachable(url: str, scope: str) -> Tasks:
    """The bench's tasks, as soon as its Redis answers: `bench start` starts both at once, and ends all when one ends.

    Raises ConfigError after a while; supervisor then tries again.
    """
    tasks = Tasks(request_client(url), scope)
    deadline = time.monotonic() + REDIS_WAIT_S
    while True:
        try:
            tasks.client.ping()
            return tasks
        except AWAY as error:
            if time.monotonic() > deadline:
                raise ConfigError(
                    "redis_queue", f"no Redis answered within {REDIS_WAIT_S:g} s ({type(error).__name__}); start it"
                ) from error
            log.info("Redis does not answer yet")
            time.sleep(1.0)


async def work(url: str, scope: str, options: WorkerOptions, metrics: tuple[str, int | None] = ("", None)) -> None:
    """One worker. A task names its site, so that sites which come later are served, too. `metrics`: address and port
    of its figures."""
    from ai_assistant.worker.metrics_server import metrics_server
    from ai_assistant.worker.worker import Worker

    worker = Worker(url, scope, BenchOpener(), sites=bench.sites, options=options)
    stop_on_signals(worker)
    log.info("worker %s runs for all sites of %s", worker.id, scope)
    host, port = metrics
    async with metrics_server(worker.families, port, host):
        await worker.run()


async def consume(urls: tuple[str, ...]) -> None:
    """Stores the traces of all sites, and does nothing else."""
    from ai_assistant.worker.traces import TraceConsumers

    consumers = TraceConsumers(urls, BenchOpener())
    stop_on_signals(consumers)
    consumers.serve(await asyncio.get_running_loop().run_in_executor(None, bench.sites))
    log.info("the traces of all sites are stored")
    await consumers.run()


def stop_on_signals(worker: Worker | TraceConsumers) -> None:
    """The first signal stops in order, a second one at once."""

    def stop() -> None:
        if worker.is_stopping:
            os._exit(1)
        log.info("stopping; a second signal stops at once")
        worker.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
