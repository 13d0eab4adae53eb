"""redis_queue, which holds tasks, events and RQ's jobs, is restarted: with what it held, empty, with an old state; and
is away for a while."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from tests.wire.chunks import answer, text, thought
from tests.wire.client import Client, Refused, text_of
from tests.wire.script import Gate
from tests.wire.sockets import Listener

from .chats import THOUGHT, WHOLE, Chats
from .services import Services, until

QUEUE = "redis_queue"
SOON_S = 2.0
SLACK_S = 1.0
"""For Frappe and a busy machine, beyond what the contract allows."""


@pytest.fixture(params=["job", "daemon"])
def worker(request: pytest.FixtureRequest, daemons: Callable[[int], list[str]]) -> str:
    """Who runs the chats."""
    if request.param == "daemon":
        daemons(1)
    return request.param


def test_what_it_kept_goes_on(chats: Chats, services: Services, worker: str, socket: Listener) -> None:
    """Stopped in order, bench's redis_queue writes its data to a file and reads it again."""
    running = chats.all_kinds()
    waiting = chats.running("text", stored=True, waits=True)
    services.stop(QUEUE)
    for chat in running[::2]:
        chat.gate.open()  # what it says now waits for Redis
    time.sleep(2)
    services.start(QUEUE)
    for chat in [*running, waiting]:
        chat.gate.open()
        record = chat.completed(gen=1)
        # Node may come back later than the worker: what a socket misses then, its numbers tell
        assert all(event in record.events for event in socket.of(chat.id))
    assert isinstance(waiting.waited(), Refused | dict)


def test_tasks_of_one_that_came_back_empty_are_unknown(
    chats: Chats, user: Client, services: Services, worker: str
) -> None:
    """Nothing hangs: readers are told that there is no such task; the conversation keeps what had come."""
    shown = [chats.running(kind, stored=True) for kind in ("thinking", "text")]
    other = chats.running("text")
    waiting = chats.running("text", stored=True, waits=True)
    services.restart_empty(QUEUE)
    chats.one_works()
    for chat in [*shown, other, waiting]:
        assert user.refused("get_task", task_id=chat.id).status == 404
        assert user.refused("get_events", task_id=chat.id).status == 404
        chat.gate.open()
    refused = waiting.waited()
    assert isinstance(refused, Refused)
    assert refused.status in (404, 503), refused
    for chat in [*shown, waiting]:
        assert chat.is_stored("interrupted")["reasoning"] == THOUGHT


def test_one_that_came_back_with_an_old_state(chats: Chats, services: Services, worker: str) -> None:
    """Killed, it knows only what its last snapshot holds. What was said since is not repeated: the task ends."""
    chat, done = chats.running("text", stored=True), chats.running("text", stored=True)
    admin().save()
    done.gate.open()
    done.completed()
    later = chats.running("text", stored=True)
    services.kill(QUEUE)
    services.start(QUEUE)
    chat.gate.open()
    until(lambda: known(later.client, later.id) is None, 20)
    chat.completed(gen=1)
    ended = done.ended()
    assert (ended["status"], ended["error"]["code"]) == ("failed", "worker_lost")
    assert done.stored()["status"] == "completed", "an answer that is stored is not taken back"
    later.is_stored("interrupted")
    chats.one_works()


def test_events_that_an_old_state_lacks_end_the_task(chats: Chats, services: Services, worker: str) -> None:
    """Their numbers cannot be given twice."""
    held = Gate()
    steps = [thought(THOUGHT), gate := Gate(), text("First, "), held, *answer("second.")]
    chat = chats.played("thinking", gate, steps, stored=True).ask().reached()
    admin().save()
    gate.open()
    until(lambda: text_of(chat.client.events(chat.id)), 20)
    services.kill(QUEUE)
    services.start(QUEUE)
    held.open()
    task = chat.ended()
    assert (task["status"], task["error"]["code"]) == ("failed", "worker_lost")
    chat.record()
    stored = until(lambda: (found := chat.stored())["status"] != "streaming" and found)
    assert stored["reasoning"] == THOUGHT
    assert stored["content"].startswith("First, "), "what had arrived is stored, and what came after it maybe too"


@pytest.mark.parametrize("how", ["stopped", "frozen"])
def test_while_it_is_away_answers_come_soon(chats: Chats, user: Client, services: Services, how: str) -> None:
    """503 within two seconds, for many at once; what does not need it still works."""
    running = chats.running("text", stored=True)
    waiting = chats.running("text", waits=True)
    if how == "stopped":
        services.stop(QUEUE)
        refused_soon(user, running.id)
        services.start(QUEUE)
    else:
        with services.frozen(services.process(QUEUE)):
            refused_soon(user, running.id)
    found = waiting.waited() if how == "stopped" else None
    assert found is None or (isinstance(found, Refused) and found.status == 503), found
    for chat in (running, waiting):
        chat.gate.open()
        chat.completed(gen=1)


def refused_soon(user: Client, task_id: str) -> None:
    """Many calls at once, each answered in time."""
    calls: list[Callable[[Client], Any]] = [
        lambda client: client.call("chat_completion", messages=[{"role": "user", "content": "hi"}]),
        lambda client: client.call("chat_completion", messages=[{"role": "user", "content": "hi"}], wait=False),
        lambda client: client.call("get_task", task_id=task_id),
        lambda client: client.call("get_events", task_id=task_id),
        lambda client: client.call("cancel", task_id=task_id),
    ]

    def timed(call: Callable[[Client], Any]) -> tuple[int, float]:
        with Client(user.base_url) as own:
            own.http.cookies.update(user.http.cookies)
            begin = time.monotonic()
            try:
                call(own)
                return 200, 0.0
            except Refused as error:
                return error.status, time.monotonic() - begin

    with ThreadPoolExecutor(len(calls)) as pool:
        found = list(pool.map(timed, calls))
    assert [status for status, _ in found] == [503] * len(calls)
    assert max(seconds for _, seconds in found) < SOON_S + SLACK_S, found
    begin = time.monotonic()
    assert user.request("frappe.ping", "GET").status_code == 200
    assert user.call("get_models")
    assert user.call("get_conversations")
    status = user.call("status")
    assert (status["ok"], status["redis"]["ok"]) == (False, False)
    assert time.monotonic() - begin < 3 * (SOON_S + SLACK_S)


def test_an_absence_that_is_too_long_ends_what_was_shown(chats: Chats, services: Services, worker: str) -> None:
    """Events wait for half a minute; then the task is given up, and settled when Redis is back. The conversation keeps
    the answer, which came to its end and was paid for."""
    shown, silent = chats.running("text", stored=True), chats.running("silent", stored=True)
    services.stop(QUEUE)
    shown.gate.open()
    time.sleep(36)
    services.start(QUEUE)
    services.start("worker")
    silent.gate.open()
    task = shown.ended()
    assert (task["status"], task["error"]["code"]) == ("failed", "worker_lost")
    assert shown.record().text == "First, "
    assert shown.is_stored("completed")["content"] == WHOLE
    silent.completed()


def test_a_queue_of_tasks_survives(chats: Chats, services: Services) -> None:
    services.stop("worker")
    queued = [chats.make("text", stored=stored).ask() for stored in (True, False)]
    services.restart(QUEUE)
    services.start("worker")
    for chat in queued:
        chat.gate.open()
        chat.completed(gen=1)


def test_no_worker_is_said_in_time(chats: Chats, services: Services) -> None:
    services.stop("worker")
    chat = chats.make("text", stored=True).ask()
    task = chat.ended()
    assert (task["status"], task["error"]["code"]) == ("failed", "no_worker")
    chat.record()
    services.start("worker")
    chats.one_works()
    chat.is_stored("failed")


def test_calls_of_a_task_that_vanishes_while_they_wait(chats: Chats, services: Services) -> None:
    """The waiting call of a queued task is told so, too."""
    services.stop("worker")
    queued = chats.make("text").ask(waits=True)
    services.restart_empty(QUEUE)
    refused = queued.waited()
    assert isinstance(refused, Refused)
    assert refused.status in (404, 503)


def known(client: Client, task_id: str) -> dict[str, Any] | None:
    """The task, or None when there is none."""
    try:
        return client.call("get_task", task_id=task_id)
    except Refused as error:
        assert error.status == 404, error
        return None


def admin() -> Any:
    """A client of redis_queue."""
    return redis.Redis.from_url(os.environ["AI_ASSISTANT_FAULTS_REDIS"])
