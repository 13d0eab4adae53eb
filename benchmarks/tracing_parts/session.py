"""Runs the parts one after the other, each in processes of its own, and judges what they found."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.streaming_parts.machine import machine
from benchmarks.tracing_parts import judge
from benchmarks.tracing_parts.host import PartError
from benchmarks.tracing_parts.verdict import Part, Report
from tests.servers import RedisServer

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "benchmarks.tracing_parts"
LIMIT_S = 1800.0
NEEDS = {"opentelemetry": "opentelemetry.sdk", "langfuse": "langfuse", "mlflow": "mlflow"}
"""What a peer's library must have for it to be measured."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is to do."""

    is_quick: bool = False
    only: tuple[str, ...] = ()
    """Names of PARTS; empty: all of them, but the site's only with a site."""
    redis_url: str | None = None
    site: str | None = None
    pid: int | None = None
    """The site's consumer, stopped while its stream is filled."""
    keep: Path | None = None


Say = Callable[[str], None]


def run(options: Options, say: Say) -> Report:
    """Measures. What breaks off is said in the report."""
    today = date.today().isoformat()
    report = Report(machine=machine(), is_quick=options.is_quick, date=today)
    for name in options.only or [name for name in PARTS if name != "site"] + (["site"] if options.site else []):
        report.load[name] = os.getloadavg()[0]
        say(f"{name}: load {report.load[name]:.1f}")
        try:
            report.parts[name] = PARTS[name](options, say)
        except (PartError, AssertionError) as error:
            report.failures.append(f"{name}: {error}")
    return report


def child(module: str, *arguments: object, stdin: Any = subprocess.DEVNULL) -> dict[str, Any]:
    """What a part's program prints at its end. Raises PartError with its last words."""
    command = [sys.executable, "-m", f"{PACKAGE}.{module}", *map(str, arguments)]
    try:
        done = subprocess.run(
            command, cwd=ROOT, stdin=stdin, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise PartError(f"{module} took longer than {LIMIT_S:g} s") from None
    if done.returncode:
        raise PartError(f"{module} ended with {done.returncode}: {done.stderr.strip()[-1000:]}")
    return json.loads(done.stdout.strip().rpartition("\n")[2])


@contextlib.contextmanager
def sink() -> Iterator[str]:
    """The server that the peers export to."""
    command = [sys.executable, "-m", f"{PACKAGE}.sink"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()


def is_installed(module: str) -> bool:
    """Whether a module can be imported."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # of the package that it is in
        return False


def spans(options: Options, say: Say) -> Part:
    """A span's cost, beside the peers; each library several times by turns."""
    numbers = ["--spans", 200, "--rounds", 2] if options.is_quick else ["--spans", 2000, "--rounds", 7]
    libraries = ["ours", "opentelemetry", "langfuse", "mlflow", "xadd"]
    absent = [name for name in libraries if name in NEEDS and not is_installed(NEEDS[name])]
    found: dict[str, list[dict[str, Any]]] = {}
    with RedisServer() as server, sink() as address:
        for _ in range(1 if options.is_quick else 3):
            for name in libraries:
                if name not in absent:
                    to = server.url if name in ("ours", "xadd") else address
                    found.setdefault(name, []).append(child("spans", name, to, *numbers))
                    say(f"  {found[name][-1]}")
    middle = {
        name: {key: statistics.median(run[key] for run in runs) for key in runs[0] if key != "library"}
        for name, runs in found.items()
    }
    return Part(judge.spans(middle), middle, [f"{name}: is not installed (the extra `peers`)" for name in absent])


def chat(options: Options, say: Say) -> Part:
    """What tracing adds to a chat."""
    figures = child("chat", "--json", "--rounds", 1 if options.is_quick else 7)
    return Part(judge.chat(figures), figures)


def stream(options: Options, say: Say) -> Part:
    """Into the Redis Stream."""
    with RedisServer() as server:
        figures = child("into_stream", server.url, "--events", 5_000 if options.is_quick else 40_000)
    return Part(judge.stream(figures), figures)


def store(options: Options, say: Say) -> Part:
    """A consumer over SQLite."""
    numbers = ["--observations", 2_000, "--rounds", 1] if options.is_quick else ["--observations", 50_000]
    figures = child("into_store", *numbers)
    return Part(judge.store(figures), figures)


def site(options: Options, say: Say) -> Part:
    """A site's consumer over its own database."""
    if not options.redis_url or not options.site:
        return Part([], {}, ["a site's consumer: name one by --redis and --site"])
    numbers = ["--observations", 2_000 if options.is_quick else 30_000, "--rounds", 1 if options.is_quick else 3]
    pid = ["--pid", options.pid] if options.pid else []
    figures = child("into_store", "--redis", options.redis_url, "--site", options.site, *pid, *numbers)
    return Part(judge.site(figures), figures)


def stored(options: Options, say: Say) -> Part:
    """Lists and trees of a large store."""
    numbers = ["--traces", 1000, "--tree", 2000, "--rounds", 1] if options.is_quick else []
    keep = ["--keep", options.keep] if options.keep else []
    figures = child("stored", *numbers, *keep)
    return Part(judge.stored(figures), figures)


def steady(options: Options, say: Say) -> Part:
    """Traced chats and the memory."""
    numbers = ["--chats", 40, "--warm-up", 20, "--at-once", 10] if options.is_quick else []
    figures = child("steady", *numbers)
    return Part(judge.steady(figures), figures)


PARTS: dict[str, Callable[[Options, Say], Part]] = {
    "spans": spans,
    "chat": chat,
    "stream": stream,
    "store": store,
    "site": site,
    "stored": stored,
    "steady": steady,
}
"""Every part, by its name on the command line."""
