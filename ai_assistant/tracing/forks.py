"""Ends of processes that Python's `atexit` does not hear of: children of multiprocessing, of Celery, of RQ."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

LIBRARIES = ("multiprocessing.util", "billiard.util")
"""Both end their children by `os._exit`, after the child's finalizers (CPython 3.11, multiprocessing/process.py);
billiard is Celery's."""

_registered: set[str] = set()
_kept: list[Any] = []
"""These libraries refer to what is registered only weakly."""


class _Anchor:
    """Something to register for."""


def register_ends(end: Callable[[], None]) -> None:
    """Sees to it that `end` is called at the end of children that these libraries make. To be called before a fork."""
    for name in LIBRARIES:
        module = sys.modules.get(name)
        if module is None or name in _registered:
            continue
        _registered.add(name)
        anchor = _Anchor()
        _kept.append(anchor)

        def in_child(_anchor: _Anchor, module: Any = module) -> None:
            module.Finalize(None, end, exitpriority=100)

        module.register_after_fork(anchor, in_child)
    register_celery(end)


def register_end_of_child(end: Callable[[], None]) -> None:
    """The same where tracing begins in such a child itself: in the initializer of a pool, in a worker of Celery."""
    for name in LIBRARIES:
        module, process = sys.modules.get(name), sys.modules.get(f"{name.partition('.')[0]}.process")
        if module is not None and process is not None and process.current_process()._parent_pid is not None:
            module.Finalize(None, end, exitpriority=100)
    register_celery(end)


def register_celery(end: Callable[[], None]) -> None:
    """A process of Celery's pool ends by `os._exit` without any finalizer, after this signal (billiard 4, pool.py)."""
    signals = sys.modules.get("celery.signals")
    if signals is not None and "celery" not in _registered:
        _registered.add("celery")
        signals.worker_process_shutdown.connect(lambda **_: end(), weak=False)


def may_be_short_lived(is_child: bool) -> bool:
    """Whether `is_short_lived` is worth a look: in a child, and where RQ is known, whose jobs may begin tracing."""
    return is_child or "rq" in sys.modules


def is_short_lived() -> bool:
    """Whether this process ends by `os._exit` as soon as its work is done, as RQ's work horse does."""
    rq = sys.modules.get("rq")
    if rq is None:
        return False
    return rq.get_current_job() is not None


def is_alone() -> bool:
    """Whether nothing of the program runs any more beside daemon threads: so it is in a child that was forked in a
    thread when that thread has ended. The process then ends with its last thread, without Python's help."""
    return not any(thread is threading.main_thread() or not thread.daemon for thread in threading.enumerate())
