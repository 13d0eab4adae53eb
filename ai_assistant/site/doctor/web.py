"""The web server: how long it lets a request live, and how many may wait for a model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil

from ai_assistant.site.doctor.finding import Finding, Subject, failure, note, ok, warning
from ai_assistant.site.waiting import HTTP_TIMEOUT_S, MARGIN_S

SHARE = 4
"""One in so many web processes may wait (`site/waiting.py`)."""


class Gunicorn(msgspec.Struct, kw_only=True):
    """A running web server of this bench."""

    pid: int
    processes: int
    timeout_s: float | None
    """`-t` on its command line."""


def check(subject: Subject) -> Iterator[Finding]:
    """Processes and time limits, as they run and as they are written down."""
    servers = running(subject)
    limit = request_limit(subject, servers)
    yield slots(subject, servers)
    yield from proxy(subject, limit)
    with subject.open() as access:
        yield longest(access.settings().wait_timeout_s, limit)


def running(subject: Subject) -> list[Gunicorn]:
    """The masters of gunicorn that serve this bench; none under `bench serve`, or where they run elsewhere."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        if not (any("gunicorn" in word for word in line[:2]) and any("frappe.app" in word for word in line)):
            continue
        try:
            children = [child for child in process.children() if child.cmdline() == line]
            if not children or Path(process.cwd()).resolve() != subject.sites_path.resolve():
                continue  # a child, or another bench's
        except psutil.Error:
            continue  # it ended meanwhile, or is another user's
        found.append(Gunicorn(pid=process.pid, processes=len(children), timeout_s=option(line, "-t", "--timeout")))
    return found


def option(line: list[str], *names: str) -> float | None:
    """The number behind an option of a command line."""
    text = "\0".join(line)
    for name in names:
        if match := re.search(rf"(?:^|\0){re.escape(name)}[=\0]?(\d+)", text):
            return float(match.group(1))
    return None


def request_limit(subject: Subject, servers: list[Gunicorn]) -> float:
    """Seconds after which the web server kills a request."""
    limits = [server.timeout_s for server in servers if server.timeout_s]
    return min([float(subject.conf.get("http_timeout") or HTTP_TIMEOUT_S), *limits])


def slots(subject: Subject, servers: list[Gunicorn]) -> Finding:
    """How many requests may wait for a model at once."""
    if not servers:
        return note(
            "web.slots",
            "No gunicorn of this bench runs on this machine: bench start serves with threads, or the web is elsewhere.",
        )
    processes = sum(server.processes for server in servers)
    waiting = max(1, processes // SHARE)
    data = {"processes": processes, "may_wait": waiting}
    text = (
        f"gunicorn runs {processes} processes; {waiting} of them may wait for a model at once, other calls get the task"
    )
    if processes < 2:
        return warning(
            "web.slots",
            f"{text}. With a single process a waiting call stops the whole site.",
            "bench set-config -gp gunicorn_workers 5; bench setup supervisor; sudo supervisorctl update",
            **data,
        )
    return ok("web.slots", text, **data)


def proxy(subject: Subject, limit: float) -> Iterator[Finding]:
    """nginx must be as patient as gunicorn."""
    try:
        text = (subject.bench_path / "config" / "nginx.conf").read_text(errors="replace")
    except OSError:
        return
    found = [int(number) for number in re.findall(r"proxy_read_timeout\s+(\d+)s?\s*;", text)]
    if found and min(found) < limit:
        yield failure(
            "web.proxy",
            f"nginx gives up after {min(found)} s (proxy_read_timeout), the app waits up to {limit - MARGIN_S:g} s: "
            "callers get 504 instead of their answer.",
            "bench setup nginx && sudo service nginx reload",
            proxy_read_timeout_s=min(found),
        )
    elif found:
        yield ok("web.proxy", f"nginx waits {min(found)} s for an answer", proxy_read_timeout_s=min(found))


def longest(wanted: float, limit: float) -> Finding:
    """The settings' longest wait beside what the web server allows."""
    possible = max(1.0, limit - MARGIN_S)
    data = {"wanted_s": wanted, "possible_s": possible}
    if wanted <= possible:
        return ok("web.timeout", f"A call may wait {wanted:g} s; the web server allows {possible:g} s", **data)
    return note(
        "web.timeout",
        f"The settings let a call wait {wanted:g} s; the web server ends requests after {limit:g} s, so that it waits "
        f"{possible:g} s and then gets the running task.",
        f"bench set-config -gp http_timeout {int(wanted + MARGIN_S)}; bench setup supervisor; bench setup nginx; "
        "sudo supervisorctl update; sudo service nginx reload",
        **data,
    )
