"""Tasks whose user cancels them, whose program dies, forks, stands still or ends."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from ai_assistant import tracing
from ai_assistant.core.task import TaskRef
from ai_assistant.streams import keys as names
from ai_assistant.streams.tasks import Tasks
from tests.contract.tracing_task.conftest import Open
from tests.kit import SCOPE, SITE, USER, check_promises, events_of, tasks_at, wait_final, wait_until

ROOT = Path(__file__).parents[3]
MAIN = Path(__file__).with_name("program_main.py")

Start = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def program(redis_url: str) -> Iterator[Start]:
    """Starts programs, and sees to their end."""
    started: list[subprocess.Popen[str]] = []

    def start(action: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, str(MAIN), redis_url, action]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait(10)


def told(process: subprocess.Popen[str]) -> str:
    """The next line of a program."""
    assert process.stdout
    return process.stdout.readline().strip()


def ref_of(task_id: str) -> TaskRef:
    """A task of the tests' user."""
    return TaskRef(site=SITE, user=USER, id=task_id)


def test_a_cancelled_task_ends_where_it_looks(tasks: Tasks, open_task: Open) -> None:
    begun = threading.Event()

    def work() -> None:
        with open_task() as task:
            found.append(task)
            task.text("Half of it.")
            begun.set()
            with task.tool("ocr"):
                wait_until(lambda: task.cancelled)
                task.check_cancelled()
            raise AssertionError("check_cancelled() must not return")

    found: list[Any] = []
    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(10)
    (task,) = found
    assert task.flush()
    assert tasks.cancel(task.task.ref, USER).status == "running"
    ended = wait_final(tasks, task.task.ref)
    thread.join(10)
    assert not thread.is_alive(), "TaskCancelled ends at the task's `with`"
    assert (ended.status, ended.outcome and ended.outcome.message.content) == ("cancelled", "Half of it.")
    events = events_of(tasks, task.task.ref)
    check_promises(events)
    assert [event["type"] for event in events] == ["start", "text", "tool_started", "tool_failed", "cancelled"]
    assert (events[-1]["by"], events[-2]["error"]) == (USER, "TaskCancelled")


def test_work_that_ends_in_spite_of_a_cancellation_is_complete(tasks: Tasks, open_task: Open) -> None:
    with open_task() as task:
        task.flush()
        tasks.cancel(task.task.ref, USER)
        wait_until(lambda: task.cancelled)
    assert wait_final(tasks, task.task.ref).status == "completed"


async def test_a_cancellation_reaches_a_coroutine_at_its_await(tasks: Tasks, open_task: Open) -> None:
    async def work(task: Any) -> None:
        task.text("Half of it.")
        await asyncio.sleep(60)

    task = open_task().run_in_background(work)
    await asyncio.sleep(0.05)
    await asyncio.to_thread(task.flush)
    await asyncio.to_thread(tasks.cancel, task.task.ref, USER)
    ended = await asyncio.to_thread(wait_final, tasks, task.task.ref)
    assert (ended.status, ended.outcome and ended.outcome.message.content) == ("cancelled", "Half of it.")


async def test_a_cancelled_asyncio_task_ends_its_task(tasks: Tasks, open_task: Open) -> None:
    opened: list[Any] = []

    async def work() -> None:
        async with open_task() as task:
            opened.append(task)
            await asyncio.sleep(60)

    running = asyncio.create_task(work())
    await asyncio.sleep(0.05)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    ended = await asyncio.to_thread(wait_final, tasks, opened[0].task.ref)
    assert ended.status == "cancelled"
    assert events_of(tasks, opened[0].task.ref)[-1]["by"] == "the program"


def test_work_in_the_background_gives_its_id_at_once(tasks: Tasks, redis_url: str) -> None:
    go_on = threading.Event()

    def work(task: Any, word: str, *, times: int) -> dict[str, int]:
        assert tracing.current_task() is task
        go_on.wait(10)
        for _ in range(times):
            task.text(word)
        return {"words": times}

    task = tracing.start_task(
        "count", target=work, args=["hi "], kwargs={"times": 3},
        user=USER, subject="Count/1", redis_url=redis_url, site=SITE, scope=SCOPE,
    )  # fmt: skip
    assert tasks.get(task.task.ref).status == "running", "who is given the id finds the task"
    assert tracing.current_task() is None
    go_on.set()
    assert task.wait(10)
    ended = wait_final(tasks, task.task.ref)
    assert ended.outcome is not None
    assert (ended.outcome.message.content, ended.outcome.result) == ("hi hi hi ", {"words": 3})
    with pytest.raises(RuntimeError, match="has begun already"):
        task.run_in_background(work)


async def test_a_coroutine_in_the_background(tasks: Tasks, open_task: Open) -> None:
    async def work(task: Any) -> str:
        await asyncio.sleep(0.01)
        return "done"

    task = await open_task().run_in_background(work).announced()
    ended = await asyncio.to_thread(wait_final, tasks, task.task.ref)
    assert ended.outcome is not None and ended.outcome.result == "done"


def test_a_coroutine_without_a_loop_gets_one(tasks: Tasks, open_task: Open) -> None:
    async def work(task: Any) -> str:
        await asyncio.sleep(0.01)
        return "done"

    task = open_task().run_in_background(work)
    ended = wait_final(tasks, task.task.ref)
    assert ended.outcome is not None and ended.outcome.result == "done"


def test_a_failure_in_the_background_is_told_and_logged(
    tasks: Tasks, open_task: Open, caplog: pytest.LogCaptureFixture
) -> None:
    def work(task: Any) -> None:
        raise ZeroDivisionError("secret")

    task = open_task().run_in_background(work)
    ended = wait_final(tasks, task.task.ref)
    assert ended.outcome is not None and ended.outcome.error is not None
    assert ended.outcome.error["code"] == "internal"
    assert "secret" not in str(ended.outcome.error)
    wait_until(lambda: "failed in the background" in caplog.text)


def test_a_killed_program_is_noticed_by_whoever_reads(redis_url: str, program: Start) -> None:
    process = program("hang")
    task_id = told(process)
    reader = tasks_at(redis_url, dead_after_ms=2_000)
    assert reader.get(ref_of(task_id)).status == "running"
    process.kill()
    ended = wait_final(reader, ref_of(task_id))
    assert ended.outcome is not None and ended.outcome.error is not None
    assert (ended.status, ended.outcome.error["code"]) == ("failed", "worker_lost")
    assert ended.outcome.error["retryable"] is True
    assert ended.gen == 1, "nobody could start it over"
    events = events_of(reader, ref_of(task_id))
    assert check_promises(events).text == "Half of it."


def test_a_living_program_is_left_alone_though_it_says_nothing(redis_url: str, program: Start) -> None:
    task_id = told(program("hang"))
    reader = tasks_at(redis_url, dead_after_ms=3_000)
    for _ in range(45):
        assert reader.get(ref_of(task_id)).status == "running"
        threading.Event().wait(0.1)


def test_the_sweep_of_a_worker_settles_it_too(redis_url: str, program: Start) -> None:
    from ai_assistant.core.settings import Settings

    process = program("hang")
    task_id = told(process)
    process.kill()
    reader = tasks_at(redis_url, dead_after_ms=1_000)
    wait_until(lambda: reader.sweep(Settings()) == 1)
    assert reader.get(ref_of(task_id)).status == "failed"
    assert reader.client.zcard(reader.keys.unsaved) == 0


def test_a_program_that_ends_ends_its_tasks(tasks: Tasks, program: Start) -> None:
    process = program("leave")
    task_id = told(process)
    assert process.wait(20) == 0
    ended = tasks.get(ref_of(task_id))
    assert ended.outcome is not None and ended.outcome.error is not None
    assert ended.outcome.error["code"] == "worker_lost"
    assert check_promises(events_of(tasks, ref_of(task_id))).text == "Half of it."


def test_work_in_the_background_comes_to_its_end_before_the_program_does(tasks: Tasks, program: Start) -> None:
    process = program("background")
    task_id = told(process)
    assert process.wait(20) == 0
    ended = tasks.get(ref_of(task_id))
    assert ended.outcome is not None
    assert (ended.status, ended.outcome.result) == ("completed", "done")


def test_a_child_of_a_fork_does_not_speak_for_its_parent(tasks: Tasks, program: Start) -> None:
    process = program("fork")
    child, parent = told(process), told(process)
    assert process.wait(20) == 0
    assert check_promises(events_of(tasks, ref_of(parent))).text == "before after"
    assert [event["type"] for event in events_of(tasks, ref_of(parent))].count("tool_started") == 0
    assert check_promises(events_of(tasks, ref_of(child))).text == "mine"


def test_a_child_of_multiprocessing_delivers_its_last_events(tasks: Tasks, program: Start) -> None:
    process = program("multiprocess")
    task_id = told(process)
    assert process.wait(20) == 0
    events = events_of(tasks, ref_of(task_id))
    check_promises(events)
    assert len(events) == 502


def test_a_program_that_stood_still_finds_its_task_ended(redis_url: str, program: Start) -> None:
    process = program("stop")
    task_id = told(process)
    reader = tasks_at(redis_url, dead_after_ms=1_500)
    assert wait_final(reader, ref_of(task_id)).status == "failed"
    process.send_signal(signal.SIGCONT)
    assert told(process) == "end", "its work goes on"
    assert process.wait(20) == 0
    assert check_promises(events_of(reader, ref_of(task_id))).text == "before "


def test_two_programs_at_once(tasks: Tasks, program: Start, open_task: Open) -> None:
    others = [program("background") for _ in range(2)]
    with open_task() as mine:
        for n in range(200):
            mine.event("n", n)
    for process in others:
        task_id = told(process)
        assert process.wait(20) == 0
        assert check_promises(events_of(tasks, ref_of(task_id))).text == "".join(f"w{n} " for n in range(20))
    assert mine.flush()
    check_promises(events_of(tasks, mine.task.ref))


def test_many_threads_speak_in_one_task(tasks: Tasks, open_task: Open) -> None:
    def work(task: Any, number: int) -> None:
        with task.tool(f"tool-{number}") as tool:
            for n in range(100):
                task.event("n", [number, n])
                task.text(f"{number}.{n} ")
                tool.progress(n, 100)

    with open_task() as task:
        threads = [threading.Thread(target=work, args=(task, number)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert task.flush(30)
    events = events_of(tasks, task.task.ref)
    client = check_promises(events)
    found = [tuple(event["data"]["value"]) for event in events if event["type"] == "data"]
    assert sorted(found) == [(number, n) for number in range(8) for n in range(100)]
    assert sorted(client.text.split()) == sorted(f"{number}.{n}" for number in range(8) for n in range(100))


def test_many_tasks_of_one_program(tasks: Tasks, client: redis.Redis, open_task: Open) -> None:
    opened = [open_task(f"t{n}") for n in range(30)]
    for task in opened:
        task.__enter__()
    for n in range(50):
        for task in opened:
            task.text(f"{n} ")
    for task in opened:
        task.__exit__(None, None, None)
    assert opened[0].flush(30)
    for task in opened:
        assert check_promises(events_of(tasks, task.task.ref)).text == "".join(f"{n} " for n in range(50))
    assert client.zcard(names.ScopeKeys(SCOPE).workers) == 0


async def test_a_coroutine_whose_id_is_taken_does_not_begin(tasks: Tasks, open_task: Open) -> None:
    id_ = "5b3c5f6e-0000-4000-8000-000000000002"
    first = open_task(task_id=id_)
    async with first:
        first.text("First.")

    async def work(task: Any) -> None:
        raise AssertionError("the work must not begin")

    second = open_task(task_id=id_).run_in_background(work)
    with pytest.raises(ValueError, match="is the id of another task"):
        await second.announced()
    assert await asyncio.to_thread(second.wait, 10)
    assert await asyncio.to_thread(first.flush)
    assert check_promises(events_of(tasks, first.task.ref)).text == "First."


def test_a_loop_that_was_closed_keeps_no_task_open(tasks: Tasks, open_task: Open) -> None:
    async def work(task: Any) -> None:
        task.text("Half of it.")
        await asyncio.sleep(60)

    async def begin() -> Any:
        task = await open_task().run_in_background(work).announced()
        await asyncio.sleep(0.05)
        return task

    loop = asyncio.new_event_loop()
    task = loop.run_until_complete(begin())
    running = [each for each in asyncio.all_tasks(loop) if each.get_name() == f"task {task.task_id}"]
    loop.close()
    assert task.flush()
    tasks.cancel(task.task.ref, USER)
    assert wait_final(tasks, task.task.ref).status == "cancelled"
    running[0]._log_destroy_pending = False  # type: ignore[attr-defined]  # as we made it
