"""A program with a task of its own, for tests that kill, stop or fork it. Arguments: Redis URL, what to do."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from typing import Any

from ai_assistant import tracing
from ai_assistant.tracing.task_handle import Task
from tests.kit import SCOPE, SITE, USER


def open_task(name: str = "label-receipt", **given: Any) -> Task:
    """A task of the tests."""
    return tracing.task(name, user=USER, redis_url=sys.argv[1], site=SITE, scope=SCOPE, **given)


def say(task_id: str) -> None:
    """Tells the test which task it is, once Redis knows it."""
    sys.stdout.write(f"{task_id}\n")
    sys.stdout.flush()


def hang() -> None:
    """Stands in the middle of its work."""
    with open_task() as task:
        task.text("Half of it.")
        with task.tool("ocr"):
            task.flush()
            say(task.task_id)
            time.sleep(60)


def leave() -> None:
    """Ends with a task open that a thread of the background holds."""
    task = open_task()
    threading.Thread(target=lambda: enter(task), daemon=True).start()
    while not task.events.whole_text():
        time.sleep(0.01)
    task.flush()
    say(task.task_id)


def enter(task: Task) -> None:
    """A thread that does not come to its end."""
    with task:
        task.text("Half of it.")
        time.sleep(60)


def background() -> None:
    """The main thread ends before the work does."""
    task = tracing.start_task(
        "label-receipt", target=slow_words, user=USER, redis_url=sys.argv[1], site=SITE, scope=SCOPE
    )
    say(task.task_id)


def slow_words(task: Task) -> str:
    """Some work."""
    for n in range(20):
        task.text(f"w{n} ")
        time.sleep(0.02)
    return "done"


def fork() -> None:
    """Forks inside a task; the child speaks, and opens a task of its own."""
    with open_task("parent") as task:
        task.text("before ")
        child = os.fork()
        if child == 0:
            task.text("from the child ")
            with task.tool("child's tool"), open_task("child") as own:
                own.text("mine")
            say(own.task_id)
            sys.exit(0)
        os.waitpid(child, 0)
        task.text("after")
    say(task.task_id)


def multiprocess() -> None:
    """A child of multiprocessing ends by `os._exit`."""
    with open_task("parent"):
        process = multiprocessing.get_context("fork").Process(target=in_child)
        process.start()
        process.join()


def in_child() -> None:
    """Its last events are on their way when it ends."""
    with open_task("child") as task:
        for n in range(500):
            task.event("n", n)
    say(task.task_id)


def stop() -> None:
    """Stops itself (SIGSTOP) until the test lets it go on."""
    with open_task() as task:
        task.text("before ")
        task.flush()
        say(task.task_id)
        os.kill(os.getpid(), signal.SIGSTOP)
        task.text("after")
    say("end")


if __name__ == "__main__":
    actions = (hang, leave, background, fork, multiprocess, stop)
    {action.__name__: action for action in actions}[sys.argv[2]]()
