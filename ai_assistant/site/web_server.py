"""The web server that this process belongs to: how many requests it answers at a time, and how long one may take.

It is looked at, not asked: what the bench's configuration says (`gunicorn_workers`) need not be what runs. Frappe runs
under gunicorn, whose options stand on the command line of the process that started this one, or in GUNICORN_CMD_ARGS
(gunicorn 23, `config.py`); and in development under werkzeug's server.
"""

from __future__ import annotations

import functools
import os
import re
import shlex
import time
from collections.abc import Mapping
from typing import Any

import psutil

DEV_SLOTS = 16
"""`bench serve` starts a thread per request; a bound is kept all the same."""
LOOK_AGAIN_S = 30.0
TIMEOUT = ("-t", "--timeout")
THREADS = ("--threads",)


def slots(environ: Mapping[str, Any]) -> int:
    """Requests that are answered at the same time on this machine; `environ` is that of a request (PEP 3333)."""
    threads = option(options(), THREADS)
    if environ.get("wsgi.multithread") and not environ.get("wsgi.multiprocess") and not threads:
        return DEV_SLOTS
    each = threads if threads and environ.get("wsgi.multithread") else 1
    return processes(int(time.monotonic() / LOOK_AGAIN_S)) * each


def timeout_s() -> float | None:
    """Seconds after which gunicorn kills a process that has not answered; `None` where it does not, or is unknown."""
    return option(options(), TIMEOUT) or None


@functools.lru_cache(maxsize=1)
def processes(_period: int) -> int:
    """The server's processes: the children of this one's parent."""
    try:
        server = psutil.Process().parent()
        return max(1, len(server.children())) if server else 1
    except psutil.Error:  # it has ended
        return 1


@functools.lru_cache(maxsize=1)
def options() -> tuple[str, ...]:
    """The words of the server's command line, then those of its environment."""
    try:
        server = psutil.Process().parent()
        words = server.cmdline() if server else []
    except psutil.Error:
        words = []
    try:
        return (*words, *shlex.split(os.environ.get("GUNICORN_CMD_ARGS", "")))
    except ValueError:  # a quote without its end; gunicorn would not have started
        return tuple(words)


def option(words: tuple[str, ...], names: tuple[str, ...]) -> int | None:
    """The number of an option, in any form that argparse takes: `-t 15`, `-t15`, `--timeout=15`."""
    line = "\0".join(words)
    for name in names:
        if found := re.search(rf"(?:^|\0){name}[=\0]?(\d+)(?:\0|$)", line):
            return int(found.group(1))
    return None
