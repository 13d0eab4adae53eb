"""The publishers of this process: one for each scope that it has tasks in. A child of a fork has none of them."""

from __future__ import annotations

import atexit
import os
import threading
import time

from ai_assistant.streams.program import Program

_programs: dict[tuple[str, str], Program] = {}
_lock = threading.Lock()


def program_of(url: str, scope: str) -> Program:
    """This process's publisher for a scope of that Redis."""
    with _lock:
        found = _programs.get((url, scope))
        if found is None:
            found = _programs[url, scope] = Program(url, scope)
        return found


def end_all(timeout: float = 5.0) -> None:
    """Ends the tasks of this process, whose end it is, and delivers what waits."""
    deadline = time.monotonic() + timeout
    for program in list(_programs.values()):
        program.end(max(0.0, deadline - time.monotonic()))


def forget_all() -> None:
    """In the child of a fork: tasks and connections are the parent's."""
    global _lock
    _lock = threading.Lock()
    _programs.clear()


atexit.register(end_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget_all)
