"""Work of a task beside the caller: a thread, or a task of the running event loop."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ai_assistant.tracing.emitter import is_coroutine_function
from ai_assistant.tracing.task_errors import TaskFailed
from ai_assistant.tracing.task_home import Home

if TYPE_CHECKING:
    from ai_assistant.tracing.task_handle import Task

log = logging.getLogger("ai_assistant.tracing")

_running: set[asyncio.Task[None]] = set()
"""Loops refer to their tasks only weakly."""


def running_loop(function: Callable[..., Any]) -> asyncio.AbstractEventLoop | None:
    """The loop that a coroutine function is to run on; `None`: a thread is needed."""
    if not is_coroutine_function(function):
        return None
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def start_thread(
    task: Task, home: Home, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """Runs it in a thread, which the interpreter waits for at its end. Context variables are not handed on: a site's
    connection is the caller's, and is not for two threads."""

    def work() -> None:
        try:
            with task, home.around():
                answer = function(task, *args, **kwargs)
                if is_coroutine_function(function):
                    answer = asyncio.run(answer)
                take(task, answer)
        except Exception as error:  # noqa: BLE001  # logged, and told by the task
            report(task, error)

    threading.Thread(target=work, name=f"task {task.task_id}").start()


def start_coroutine(
    task: Task,
    loop: asyncio.AbstractEventLoop,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> asyncio.Task[None]:
    """Runs it on the loop, where a cancellation by the user reaches it at its next `await`."""

    async def work() -> None:
        try:
            async with task:
                take(task, await function(task, *args, **kwargs))
        except Exception as error:  # noqa: BLE001  # logged, and told by the task
            report(task, error)

    running = loop.create_task(work(), name=f"task {task.task_id}")
    _running.add(running)
    running.add_done_callback(_running.discard)
    return running


def report(task: Task, error: Exception) -> None:
    """Nobody waits for what fails here. What a task's user was told in so many words needs no traceback."""
    log.error("task %s failed in the background: %s", task.task_id, error, exc_info=unforeseen(error))


def unforeseen(error: Exception) -> Exception | None:
    """The exception, unless the program raised it for the task's user."""
    return None if isinstance(error, TaskFailed) else error


def take(task: Task, answer: Any) -> None:
    """What the work gave is the result, unless it has set one."""
    if answer is not None and task.result is None:
        task.result = answer
