"""The event loop of the generator's processes."""

from __future__ import annotations

import asyncio
import gc
import resource
from collections.abc import Coroutine
from typing import Any


def run_fast(main: Coroutine[Any, Any, Any]) -> None:
    """Runs `main` on uvloop where it is installed, with as many file descriptors as the system grants, and without
    the pauses of full garbage collections."""
    raise_file_limit()
    gc.freeze()
    gc.set_threshold(50_000, 50, 1000)
    try:
        import uvloop
    except ModuleNotFoundError:
        asyncio.run(main)
    else:
        uvloop.run(main)


def raise_file_limit() -> None:
    """Raises this process's soft limit of open files to its hard one: a thousand sockets need it."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if hard == resource.RLIM_INFINITY else hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
