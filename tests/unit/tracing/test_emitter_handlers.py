"""The emitter: who gets what, in which order, and that no handler harms another or the program."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import threading

import pytest

from ai_assistant.tracing.emitter import Emitter
from ai_assistant.tracing.typed_events import (
    ApplicationEvent,
    Event,
    ProcessingStarted,
    ToolEvent,
    ToolFailed,
    ToolProgress,
    ToolStarted,
)

SUBJECT: contextvars.ContextVar[str] = contextvars.ContextVar("subject", default="nobody")


def numbered(count: int) -> list[ToolProgress]:
    return [ToolProgress(name="t", progress=0, message=str(i)) for i in range(count)]


class Failing:
    """Fails with what it is told to."""

    def __init__(self, *errors: Exception):
        self.errors = list(errors)

    def __call__(self, event: Event) -> None:
        raise self.errors.pop(0)


def test_every_handler_gets_what_it_asked_for_in_order() -> None:
    emitter = Emitter()
    all_, tools, named = [], [], []
    emitter.add(all_.append)
    emitter.add(tools.append, ToolEvent)
    emitter.add(named.append, "tool_started", ApplicationEvent)
    said = [
        ProcessingStarted(name="scan"),
        ToolStarted(name="ocr"),
        ApplicationEvent(name="total", value=3),
        ToolFailed(name="ocr", error="no"),
    ]
    for event in said:
        assert emitter.emit(event)
    assert emitter.flush()
    assert all_ == said
    assert tools == [said[1], said[3]]
    assert named == [said[1], said[2]]


def test_events_come_in_the_order_in_which_they_were_emitted() -> None:
    emitter, seen = Emitter(), []
    emitter.add(seen.append)
    said = numbered(2000)
    for event in said:
        emitter.emit(event)
    assert emitter.close()
    assert seen == said


async def test_a_coroutine_runs_on_the_loop_it_was_added_on_one_event_at_a_time() -> None:
    emitter, seen, loops, inside = Emitter(), [], set(), 0

    async def handler(event: Event) -> None:
        nonlocal inside
        inside += 1
        assert inside == 1
        await asyncio.sleep(0)
        loops.add(asyncio.get_running_loop())
        seen.append(event)
        inside -= 1

    emitter.add(handler)
    said = numbered(50)
    for event in said:
        emitter.emit(event)
    assert await emitter.aflush()
    assert seen == said
    assert loops == {asyncio.get_running_loop()}
    assert await emitter.aclose()


def test_a_coroutine_without_a_loop_runs_on_one_of_the_emitters_own() -> None:
    emitter, seen = Emitter(), []

    async def handler(event: Event) -> None:
        await asyncio.sleep(0)
        seen.append((event, threading.current_thread()))

    emitter.add(handler)
    said = numbered(20)
    for event in said:
        emitter.emit(event)
    assert emitter.flush()
    assert [event for event, _ in seen] == said
    assert threading.current_thread() not in {thread for _, thread in seen}
    assert emitter.close()


async def test_flush_says_what_to_do_where_it_would_block_its_own_handlers() -> None:
    emitter = Emitter()

    async def handler(event: Event) -> None: ...

    emitter.add(handler)
    with pytest.raises(RuntimeError, match="aflush"):
        emitter.flush()
    assert await emitter.aclose()


def test_a_failing_handler_harms_nobody_and_is_logged_once_per_kind_of_error(caplog: pytest.LogCaptureFixture) -> None:
    emitter, seen = Emitter(), []
    failing = Failing(*[ValueError("bad")] * 5, *[KeyError("worse")] * 5)
    emitter.add(failing)
    emitter.add(Failing(*[OSError("inline")] * 10), inline=True)
    emitter.add(seen.append)
    with caplog.at_level(logging.WARNING, "ai_assistant.tracing"):
        for event in numbered(10):
            assert emitter.emit(event)
        assert emitter.flush()
    assert len(seen) == 10
    assert emitter.status()["Failing"] == {"handled": 0, "failed": 20, "dropped": 0, "waiting": 0}
    assert sorted(str(r.exc_info[0].__name__) for r in caplog.records) == ["KeyError", "OSError", "ValueError"]


async def test_a_failing_coroutine_harms_nobody() -> None:
    emitter, seen = Emitter(), []

    async def failing(event: Event) -> None:
        raise ValueError("bad")

    emitter.add(failing)
    emitter.add(seen.append)
    for event in numbered(10):
        emitter.emit(event)
    assert await emitter.aflush()
    assert len(seen) == 10
    counts = [status for name, status in emitter.status().items() if name.endswith("failing")]
    assert counts == [{"handled": 0, "failed": 10, "dropped": 0, "waiting": 0}]
    await emitter.aclose()


def test_a_slow_handler_keeps_nobody_waiting_and_loses_the_oldest() -> None:
    emitter, seen, slow_seen, gate, begun = Emitter(buffer=10), [], [], threading.Event(), threading.Event()

    def slow(event: Event) -> None:
        begun.set()
        gate.wait(30)
        slow_seen.append(event)

    emitter.add(slow)
    emitter.add(seen.append, inline=True)
    said = numbered(30)
    emitter.emit(said[0])
    assert begun.wait(10)
    for event in said[1:]:
        emitter.emit(event)
    assert seen == said
    assert not emitter.flush(0.01)
    gate.set()
    assert emitter.flush()
    assert slow_seen == [said[0], *said[-10:]]
    (status,) = (status for name, status in emitter.status().items() if name.endswith("slow"))
    assert status == {"handled": 11, "failed": 0, "dropped": 19, "waiting": 0}


def test_a_handler_runs_in_the_context_of_the_emitter() -> None:
    emitter, seen = Emitter(), []

    def handler(event: Event) -> None:
        seen.append(SUBJECT.get())

    async def coroutine(event: Event) -> None:
        await asyncio.sleep(0)
        seen.append(SUBJECT.get())

    emitter.add(handler)
    emitter.add(coroutine)
    for name in ("ann", "ben"):
        contextvars.copy_context().run(lambda name=name: (SUBJECT.set(name), emitter.emit(numbered(1)[0])))
    assert emitter.close()
    assert sorted(seen) == ["ann", "ann", "ben", "ben"]


def test_a_handler_that_emits_does_not_block() -> None:
    emitter, seen = Emitter(), []

    def handler(event: Event) -> None:
        emitter.emit(ApplicationEvent(name="again"))

    emitter.add(handler, ToolStarted)
    emitter.add(seen.append, ApplicationEvent)
    emitter.emit(ToolStarted(name="t"))
    assert emitter.flush()
    assert emitter.flush()
    assert [event.name for event in seen] == ["again"]


def test_removed_and_closed() -> None:
    emitter, seen = Emitter(), []
    emitter.add(seen.append)
    assert emitter.remove(seen.append)
    assert not emitter.remove(seen.append)
    emitter.emit(numbered(1)[0])
    assert emitter.close()
    assert not emitter.emit(numbered(1)[0])
    assert emitter.refused == 1
    assert seen == []


def test_a_loop_that_is_gone_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    emitter = Emitter()

    async def handler(event: Event) -> None: ...

    async def add() -> None:
        emitter.add(handler)

    asyncio.run(add())
    for event in numbered(3):
        assert emitter.emit(event)
    assert emitter.flush(0)
    assert [status["dropped"] for status in emitter.status().values()] == [3]
    assert len(caplog.records) == 1


def test_many_threads_emit_at_once() -> None:
    emitter, seen = Emitter(buffer=100_000), []
    emitter.add(seen.append)
    threads = [threading.Thread(target=lambda: [emitter.emit(e) for e in numbered(500)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert emitter.flush()
    assert len(seen) == 4000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_has_handlers_of_its_own() -> None:
    emitter, seen = Emitter(), []
    emitter.add(seen.append)
    emitter.emit(numbered(1)[0])
    assert emitter.flush()
    child = os.fork()
    if child == 0:
        emitter.emit(numbered(1)[0])
        os._exit(0 if emitter.flush() and len(seen) == 2 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert len(seen) == 1


def test_bad_handlers_and_kinds_are_refused() -> None:
    emitter = Emitter()
    with pytest.raises(TypeError, match="handler must be"):
        emitter.add("print")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="kinds must be"):
        emitter.add(print, int)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="buffer must be"):
        Emitter(buffer=0)

    async def handler(event: Event) -> None: ...

    with pytest.raises(ValueError, match="inline"):
        emitter.add(handler, inline=True)
