"""Redis away, frozen, empty again or losing answers, while a program's task is at work: its caller never waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from ai_assistant import tracing
from ai_assistant.streams import program as program_module
from ai_assistant.streams import scripts
from ai_assistant.streams.program import Program
from ai_assistant.streams.program_task import ProgramTask
from ai_assistant.streams.tasks import Tasks
from ai_assistant.tracing.task_home import Home, swap_home
from tests.contract.tracing_task.conftest import Open
from tests.kit import SCOPE, SITE, USER, check_promises, events_of, tasks_at, wait_final, wait_until
from tests.servers import Proxy, RedisServer


def test_events_wait_for_redis_and_arrive(tasks: Tasks, proxy: Proxy, open_task: Open) -> None:
    with open_task(url=proxy.url) as task:
        task.text("before ")
        task.flush()
        proxy.cut()
        for n in range(100):
            task.event("n", n)
        task.text("while it is away ")
        assert not task.flush(0.3)
        proxy.heal()
        task.text("after")
    assert task.flush(20)
    events = events_of(tasks, task.task.ref)
    assert check_promises(events).text == "before while it is away after"
    assert len([event for event in events if event["type"] == "data"]) == 100


def test_a_task_that_is_opened_while_it_is_away(tasks: Tasks, proxy: Proxy, open_task: Open) -> None:
    proxy.cut()
    with open_task(url=proxy.url) as task:
        task.text("All of it.")
    proxy.heal()
    assert task.flush(20)
    assert check_promises(events_of(tasks, task.task.ref)).text == "All of it."


def test_what_was_sent_is_not_doubled_when_its_answer_is_lost(tasks: Tasks, proxy: Proxy, open_task: Open) -> None:
    for script in scripts.ALL:
        tasks.client.script_load(script.source)
    for script in (scripts.OPEN, scripts.EMIT, scripts.END):
        proxy.lose_answer(script.sha.encode())
        with open_task(url=proxy.url) as task:
            task.text("a word")
            task.event("n", 1)
        assert task.flush(20)
        types = [event["type"] for event in events_of(tasks, task.task.ref)]
        assert types == ["start", "text", "data", "completion"]
    assert proxy.lost == 3


def test_the_caller_goes_on_while_redis_answers_nothing(tasks: Tasks, proxy: Proxy, open_task: Open) -> None:
    with open_task(url=proxy.url) as task:
        task.flush()
        proxy.freeze()
        for n in range(2_000):
            task.event("n", n)
        task.text("All of it.")
        assert not task.flush(0.1)
    assert task.wait(0), "the `with` ends"
    proxy.heal()
    assert task.flush(30)
    assert check_promises(events_of(tasks, task.task.ref)).text == "All of it."


def test_after_a_while_the_task_is_given_up(
    tasks: Tasks, proxy: Proxy, impatient: Program, caplog: pytest.LogCaptureFixture
) -> None:
    with tracing.task("label-receipt") as task:
        task.text("before ")
        assert task.flush()
        proxy.cut()
        task.text("lost")
        wait_until(lambda: task.events.is_over)
        task.event("n", 1)
    assert "nobody takes its events any more" in caplog.text
    assert impatient.given_up >= 1
    proxy.heal()
    ended = wait_final(tasks_at(proxy.url, dead_after_ms=500), task.task.ref)
    assert ended.outcome is not None and ended.outcome.error is not None
    assert ended.outcome.error["code"] == "worker_lost"
    assert check_promises(events_of(tasks, task.task.ref)).text == "before "
    with tracing.task("label-receipt") as next_:
        next_.text("works again")
    assert next_.flush(20)
    assert check_promises(events_of(tasks, next_.task.ref)).text == "works again"


def test_what_waits_is_bounded(
    tasks: Tasks, proxy: Proxy, open_task: Open, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(program_module, "MAX_WAITING", 100_000)
    proxy.cut()
    with open_task(url=proxy.url) as task:
        for _ in range(100):
            task.event("n", "x" * 5_000)
        assert task.events.is_over
    assert "too many events wait for Redis" in caplog.text
    proxy.heal()
    assert task.flush(20)


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A Redis that the test may empty."""
    with RedisServer() as server:
        yield server


def test_a_redis_that_comes_back_empty(own_redis: RedisServer) -> None:
    program = Program(own_redis.url, SCOPE, beat_s=0.1)
    before = swap_home(Home(site=SITE, channel=lambda *given: ProgramTask(program, *given), user=USER))
    try:
        with tracing.task("label-receipt") as task:
            task.flush()
            own_redis.restart()
            wait_until(lambda: task.events.is_over, message="the heartbeat says that the task is gone")
            task.text("to nobody")
        with tracing.task("label-receipt") as next_:
            next_.text("a word")
        assert next_.flush(20)
    finally:
        swap_home(before)
    assert check_promises(events_of(tasks_at(own_redis.url), next_.task.ref)).text == "a word"


def test_a_short_absence_is_no_death(tasks: Tasks, proxy: Proxy, open_task: Open) -> None:
    """The program beats before anything else when Redis is back, so that its task is not taken for dead."""
    reader = tasks_at(proxy.url, dead_after_ms=2_500)
    with open_task(url=proxy.url) as task:
        task.flush()
        proxy.cut()
        time.sleep(2)
        proxy.heal()
        wait_until(lambda: int(tasks.client.hget(key_of(task), "beat") or 0) > time.time() * 1000 - 500)
        assert reader.get(task.task.ref).status == "running"
        task.text("All of it.")
    assert task.flush()
    assert check_promises(events_of(tasks, task.task.ref)).text == "All of it."


def key_of(task: object) -> str:
    """The task's hash."""
    from ai_assistant.streams.keys import TaskKeys

    return TaskKeys(task.task.ref).task  # type: ignore[attr-defined]


def test_the_thread_ends_when_nothing_is_open(open_task: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program_module, "LINGER_S", 0.05)
    with open_task(scope="lingering") as task:
        pass
    assert task.flush()
    wait_until(lambda: not [each for each in threading.enumerate() if each.name == "ai_assistant tasks"])
    with open_task(scope="lingering") as task:
        pass
    assert task.flush()
