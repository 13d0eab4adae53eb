"""Ends of processes that Python's `atexit` does not hear of: children of multiprocessing, of Celery, of RQ."""

from __future__ import annotations

import sys
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


def is_short_lived() -> bool:
    """Whether this process ends by `os._exit` as soon as its work is done, as RQ's work horse does."""
    rq = sys.modules.get("rq")
    if rq is None:
        return False
    return rq.get_current_job() is not None
