"""Who runs the tasks: daemons, background jobs, and the RQ workers and scheduler that stand behind the jobs."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import msgspec
from redis.exceptions import RedisError

import ai_assistant
from ai_assistant.core.errors import ServiceUnavailableError
from ai_assistant.site.doctor.finding import Finding, Subject, failure, note, ok, warning
from ai_assistant.streams.connection import request_client
from ai_assistant.streams.lease import Lease
from ai_assistant.streams.tasks import Tasks

QUEUE = "long"
"""The RQ queue of the job that serves tasks."""
LATE_S = 10.0
"""A task that waits longer is not being taken."""
SILENT_S = 500.0
"""An RQ worker says that it lives every 405 s when it is idle (rq 1.15.1, `worker_ttl` 420)."""
COMMAND = "ai-worker"
SETUP = "bench ai-assistant setup-worker   (then: bench restart, or bench start again)"


class RqWorker(msgspec.Struct, kw_only=True):
    """An RQ worker as it is registered."""

    name: str
    queues: list[str]
    state: str
    silent_s: float
    alive: bool


def check(subject: Subject) -> Iterator[Finding]:
    """Workers of ours, what waits for them, and what would start one."""
    try:
        yield from in_redis(subject)
    except (ServiceUnavailableError, RedisError) as error:
        text = f"Workers cannot be seen, for Redis does not answer as it should ({error}); see Redis."
        yield failure("workers.redis", text, f"{subject.bench_site} ai-assistant doctor --check redis")
    yield from scheduler(subject)


def in_redis(subject: Subject) -> Iterator[Finding]:
    """What Redis knows of our workers and of RQ's."""
    with request_client(subject.redis_url) as client:
        tasks = Tasks(client, subject.scope)
        workers = tasks.workers()
        yield from running(workers, configured_in(subject.bench_path))
        yield from code(workers, newest_source())
        yield waiting(tasks, workers)
        yield from lease(Lease(tasks).read(), redis_ms(tasks))
        yield from rq(registered(client, subject.scope), bool(daemons(workers)))


def daemons(workers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that stay, unlike jobs, which end when they are idle."""
    return [worker for worker in workers if kind_of(worker) != "job"]


def kind_of(worker: dict[str, Any]) -> str:
    """`daemon` or `job`, as the worker's heartbeat says; one that does not say stays."""
    return str(worker.get("kind") or "daemon")


def running(workers: list[dict[str, Any]], files: list[str]) -> Iterator[Finding]:
    """The workers that live, and whether one stays."""
    for worker in workers:
        about = f"{kind_of(worker)} worker on {worker.get('host')} (process {worker.get('pid')})"
        yield ok(
            "workers.alive",
            f"{about}: {worker.get('running', 0)} tasks now, {worker.get('taken', 0)} since its start "
            f"{duration(age_s(worker))} ago, last heartbeat {worker['age_ms']} ms ago",
            kind=kind_of(worker),
            **{key: worker.get(key) for key in ("worker", "host", "pid", "age_ms", "running", "taken", "version")},
        )
    if daemons(workers):
        return
    if files:
        yield failure(
            "workers.daemon",
            f"No daemon is alive, though {', '.join(files)} would start one. A background job serves chats meanwhile.",
            "sudo supervisorctl status | grep ai-worker   (development: bench start)",
            f"bench {COMMAND}   (in the foreground; shows why it does not start)",
            configured=files,
        )
    else:
        yield note(
            "workers.daemon",
            "No daemon runs: the first chat wakes a background job, which takes a second or two and a long worker. For "
            "more than a few users a daemon is recommended.",
            SETUP,
            configured=[],
        )


def configured_in(bench: Path) -> list[str]:
    """The files of the bench that start a daemon."""
    found = []
    for name in ("Procfile", "config/supervisor.conf"):
        try:
            text = (bench / name).read_text(errors="replace")
        except OSError:
            continue
        lines = [line.strip() for line in text.splitlines()]
        if any(COMMAND in line and not line.startswith(("#", ";")) for line in lines):
            found.append(name)
    return found


def age_s(worker: dict[str, Any]) -> float:
    """How long ago it was started; the machines' clocks should agree."""
    started = worker.get("started")
    return max(0.0, time.time() - started / 1000) if isinstance(started, (int, float)) else 0.0


def duration(seconds: float) -> str:
    """For people: `45 s`, `12 min`, `5 h`, `3 days`."""
    for size, name in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {name}"
    return f"{int(seconds)} s"


def code(workers: list[dict[str, Any]], changed: float) -> Iterator[Finding]:
    """Whether they run the code that is installed."""
    for worker in workers:
        about = f"The {kind_of(worker)} worker on {worker.get('host')} (process {worker.get('pid')})"
        if worker.get("version") != ai_assistant.__version__:
            yield failure(
                "workers.code",
                f"{about} runs version {worker.get('version')}; installed is {ai_assistant.__version__}.",
                "bench restart   (development: stop bench start and start it again)",
                worker_version=worker.get("version"),
            )
        elif worker.get("host") == socket.gethostname() and 0 < worker.get("started", 0) / 1000 < changed:
            yield warning(
                "workers.code",
                f"{about} was started before the app's code was last changed, {duration(time.time() - changed)} ago.",
                "bench restart   (development: stop bench start and start it again)",
            )


def newest_source() -> float:
    """When a Python file of the app was last changed, in seconds since the epoch."""
    folder = Path(ai_assistant.__file__).parent
    return max((path.stat().st_mtime for path in folder.rglob("*.py") if "tests" not in path.parts), default=0.0)


def waiting(tasks: Tasks, workers: list[dict[str, Any]]) -> Finding:
    """The backlog and the age of its oldest task."""
    backlog, oldest = tasks.backlog(), oldest_s(tasks)
    data = {"backlog": backlog, "oldest_s": oldest}
    if not backlog:
        return ok("workers.backlog", "No task is waiting", **data)
    text = f"{'1 task is' if backlog == 1 else f'{backlog} tasks are'} waiting, the oldest for {oldest:.0f} s"
    if oldest <= LATE_S:
        return ok("workers.backlog", text, **data)
    if not workers:
        return failure(
            "workers.backlog",
            f"{text}, and no worker is alive.",
            f"bench {COMMAND}   (starts one now, in this terminal)",
            "sudo supervisorctl status   (are the bench's long workers running?)",
            **data,
        )
    return warning("workers.backlog", f"{text}: the workers are full.", SETUP, f"bench {COMMAND}   (one more)", **data)


def lease(found: dict[str, str], now_ms: float) -> Iterator[Finding]:
    """Who has the place of the one background job."""
    if not found:
        return
    late_s = (now_ms - float(found.get("until") or now_ms)) / 1000
    if found.get("state") == "pending" and late_s > LATE_S:
        yield warning(
            "workers.lease",
            f"A background job was asked for and has not begun; it is {duration(late_s)} late. All RQ workers that "
            f"serve the queue `{QUEUE}` may be busy, or dead.",
            "sudo supervisorctl status   (are the bench's long workers running?)",
            SETUP,
            late_s=round(late_s),
        )
    elif late_s <= 0:
        pending = found.get("state") == "pending"
        text = "A background job was asked for and is about to begin" if pending else "The background job is at work"
        yield ok("workers.lease", text, state=found.get("state"))


def redis_ms(tasks: Tasks) -> float:
    """Redis' clock in ms since the epoch, by which leases and heartbeats are written."""
    seconds, micros = tasks.client.time()  # type: ignore[misc]
    return seconds * 1000 + micros / 1000


def oldest_s(tasks: Tasks) -> float:
    """Seconds that the first entry of the queue has been there. Entries are named by their time (Redis, XADD)."""
    first: Any = tasks.client.xrange(tasks.keys.queue, count=1)
    if not first:
        return 0.0
    return round(max(0.0, redis_ms(tasks) - int(first[0][0].split(b"-")[0])) / 1000, 1)


def registered(client: Any, scope: str) -> list[RqWorker]:
    """The bench's RQ workers. Their queues are named after the bench (v15, `background_jobs.generate_qname`)."""
    from rq import Worker

    found = []
    for worker in Worker.all(connection=client):
        queues = [name.removeprefix(f"{scope}:") for name in worker.queue_names() if name.startswith(f"{scope}:")]
        if queues:
            found.append(described(worker, queues))
    return found


def described(worker: Any, queues: list[str]) -> RqWorker:
    """What matters of an RQ worker."""
    beat = worker.last_heartbeat
    silent = (
        time.time() - beat.replace(tzinfo=beat.tzinfo or timezone.utc).timestamp() if isinstance(beat, datetime) else 0
    )
    here = worker.hostname == socket.gethostname()
    alive = is_process(worker.pid) if here else silent < SILENT_S
    state = worker.get_state()
    return RqWorker(
        name=str(worker.name),
        queues=queues,
        state=str(getattr(state, "value", state)),
        silent_s=round(silent),
        alive=alive,
    )


def is_process(pid: Any) -> bool:
    """Whether a process of that number exists on this machine."""
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, TypeError, ValueError):
        return False
    except PermissionError:
        return True
    return True


def rq(workers: list[RqWorker], has_daemon: bool) -> Iterator[Finding]:
    """Whether somebody serves the queue of the background job. With a daemon it does not matter."""
    serving = [worker for worker in workers if QUEUE in worker.queues]
    alive = [worker for worker in serving if worker.alive]
    data = {"alive": len(alive), "registered": len(serving)}
    report = note if has_daemon else failure
    if not alive:
        dead = f" ({len(serving)} registered and dead)" if serving else ""
        yield report(
            "workers.rq",
            f"No RQ worker serves the queue `{QUEUE}`{dead}: no background job can be woken for a chat.",
            "sudo supervisorctl start all   (development: bench start)",
            f"bench worker --queue {QUEUE}   (one now, in this terminal)",
            **data,
        )
        return
    busy = [worker for worker in alive if worker.state == "busy"]
    text = f"{len(alive)} RQ worker(s) serve the queue `{QUEUE}`, {len(busy)} busy"
    if len(busy) == len(alive) and not has_daemon:
        yield warning(
            "workers.rq",
            f"{text}: unless one of them runs our job, a chat waits until it is free.",
            SETUP,
            "or more workers: bench set-config -gp background_workers 2; bench setup supervisor",
            busy=len(busy),
            **data,
        )
    else:
        yield ok("workers.rq", text, busy=len(busy), **data)


def scheduler(subject: Subject) -> Iterator[Finding]:
    """Whether scheduled events run: they sweep overdue tasks of users who have left, and clear old logs."""
    from frappe.utils.scheduler import is_scheduler_disabled

    with subject.open():
        import frappe

        if frappe.conf.pause_scheduler:
            where = "pause_scheduler is set in the configuration"
            fix = "bench set-config -gp pause_scheduler 0   (or without -g, in the site's own)"
        elif is_scheduler_disabled(verbose=False):
            where, fix = "it is disabled for this site", f"{subject.bench_site} enable-scheduler"
        else:
            yield ok("workers.scheduler", "The scheduler is enabled")
            return
    yield warning(
        "workers.scheduler",
        f"The scheduler does not run: {where}. Chats work; old logs are not cleared, and a task that its user left "
        "waits for the next reader.",
        fix,
    )
