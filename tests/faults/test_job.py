"""The background job dies, or the RQ worker that runs it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.wire.sockets import Listener

from .chats import Chats
from .leftovers import Leftovers
from .services import SECOND, Services, until


@pytest.fixture
def second(services: Services) -> Iterator[None]:
    """A second RQ worker."""
    services.start(SECOND)
    yield
    services.stop(SECOND)


def test_a_killed_job_loses_nothing_that_was_shown(chats: Chats, services: Services, socket: Listener) -> None:
    shown = [chats.running(kind, stored=stored) for kind in ("thinking", "text") for stored in (True, False)]
    silent = [chats.running("silent", stored=stored) for stored in (True, False)]
    waiting = chats.running("text", stored=True, waits=True)
    services.horse().kill()
    for chat in [*shown, waiting]:
        chat.lost()
        chat.heard(socket)
    answer = waiting.waited()
    assert (answer["status"], answer["error"]["code"]) == ("failed", "worker_lost")
    for chat in silent:
        chat.gate.open()
        assert "restarting" in chat.completed(gen=2).states
        chat.heard(socket)


def test_tasks_that_wait_while_the_job_dies_are_taken_by_the_next(chats: Chats, services: Services) -> None:
    first = chats.running("text")
    horse = services.horse()
    with services.frozen(horse):
        queued = [chats.make("text", stored=stored).ask() for stored in (True, False)]
        assert [chat.client.call("get_task", task_id=chat.id)["status"] for chat in queued] == ["queued", "queued"]
        horse.kill()
    first.lost()
    for chat in queued:
        chat.gate.open()
        chat.completed(gen=1)


def test_a_job_that_dies_without_a_reader_is_replaced_by_the_next_chat(
    chats: Chats, services: Services, leftovers: Leftovers
) -> None:
    silent = chats.running("silent")
    services.horse().kill()
    until(lambda: services.process("worker").children() == [], 20, "the horse does not die")
    silent.gate.open()
    chats.one_works()
    silent.completed(gen=2)
    assert leftovers.lease()["state"] == "held"


@pytest.mark.parametrize("gently", [False, True], ids=["kill", "term"])
def test_the_rq_worker_dies_and_is_started_again(chats: Chats, services: Services, gently: bool) -> None:
    """The job sees that its parent is gone, or is told; it ends within its grace."""
    text, silent = chats.running("text", stored=True), chats.running("silent", stored=True)
    worker = services.process("worker")
    if gently:
        horse = services.horse()
        worker.terminate()
        until(lambda: not horse.is_running() or horse.status() == "zombie", 60, "the job does not end")
        worker.wait(30)
    else:
        services.kill("worker")
    services.start("worker")
    text.lost()
    silent.gate.open()
    silent.completed(gen=2)


def test_the_rq_worker_is_killed_and_its_job_goes_on_alone(chats: Chats, services: Services) -> None:
    """An orphaned job has its grace: what ends within it is complete."""
    text = chats.running("text", stored=True)
    horse = services.horse()
    services.process("worker").kill()
    text.gate.open()
    text.completed(gen=1)
    until(lambda: not horse.is_running() or horse.status() == "zombie", 60, "the orphaned job does not end")
    services.start("worker")


@pytest.mark.usefixtures("second")
def test_a_job_that_stands_still_is_followed_by_another(
    chats: Chats, services: Services, socket: Listener, leftovers: Leftovers
) -> None:
    """It is taken for dead; what it says when it goes on is nobody's any more, and it ends."""
    running = chats.all_kinds()
    shown = [chat for chat in running if chat.kind != "silent"]
    silent = [chat for chat in running if chat.kind == "silent"]
    horse, first = services.horse(), leftovers.lease()["token"]
    with services.frozen(horse):
        before = [chat.lost().events for chat in shown]
        for chat in silent:
            until(lambda chat=chat: chat.client.call("get_task", task_id=chat.id) and len(chat.script.calls) > 1, 60)
        assert leftovers.lease()["token"] != first
        for chat in running:
            chat.gate.open()
    for chat in silent:
        chat.completed(gen=2)
    time.sleep(3)  # for what it may say now
    for chat, events in zip(shown, before, strict=True):
        assert chat.record().events == events
        chat.lost()
        chat.heard(socket)
    until(lambda: not horse.is_running() or horse.status() == "zombie", 30, "the job without a lease does not end")
