"""`cancel`: the provider's connection is closed, and what had arrived is kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from .chunks import answer, text, thought
from .client import Client, new_id, text_of
from .events import checked
from .script import Endless, Hold, Script

Scripts = Callable[..., Script]


def test_a_cancelled_stream_is_closed_upstream(user: Client, script: Scripts) -> None:
    played = script([thought("Hm. "), text("Some "), text("words"), Hold()])
    task_id = user.start(played.messages())
    user.events_until(task_id, lambda events: text_of(events) == "Some words")
    assert user.call("cancel", task_id=task_id) == {"task_id": task_id, "status": "cancelled"}
    assert played.calls[0].closed.wait(5), "the provider's connection is closed"
    record = checked(user.events(task_id), task_id)
    assert record.end["type"] == "cancelled"
    assert record.end["by"] == user.user
    assert record.end["text"] == "Some words"
    task = user.call("get_task", task_id=task_id)
    assert (task["status"], task["message"]["content"]) == ("cancelled", "Some words")
    assert task["message"]["reasoning"] == "Hm. "
    assert task["error"] is None


def test_a_task_without_an_answer_yet_can_be_cancelled(user: Client, script: Scripts) -> None:
    played = script([Hold()])
    task_id = user.start(played.messages())
    played.wait_for_call()
    user.call("cancel", task_id=task_id)
    assert played.calls[0].closed.wait(5)
    record = checked(user.events(task_id), task_id)
    assert (record.end["type"], record.end["text"]) == ("cancelled", "")


def test_a_task_cancelled_at_once_ends(user: Client, script: Scripts) -> None:
    played = script([Hold()])
    task_id = user.start(played.messages())
    user.call("cancel", task_id=task_id)
    assert user.finished(task_id)["status"] == "cancelled"
    checked(user.events(task_id), task_id)


def test_a_waiting_call_gets_the_cancelled_task(user: Client, script: Scripts) -> None:
    """HTTP 200 also for `cancelled`."""
    played = script([text("Partly"), Hold()])
    with ThreadPoolExecutor(1) as pool, Client(user.base_url) as second:
        second.http.cookies.set("sid", user.sid)
        task_id = new_id()
        waiting = pool.submit(second.chat, played.messages(), task_id=task_id)
        played.wait_for_call()
        user.events_until(task_id, lambda events: text_of(events) == "Partly")
        user.call("cancel", task_id=task_id)
        task = waiting.result(20)
    assert (task["status"], task["message"]["content"]) == ("cancelled", "Partly")


def test_an_endless_stream_can_be_stopped(user: Client, script: Scripts) -> None:
    played = script([Endless(text("again "))])
    task_id = user.start(played.messages())
    user.events_until(task_id, lambda events: len(text_of(events)) > 60)
    user.call("cancel", task_id=task_id)
    assert played.calls[0].closed.wait(5)
    record = checked(user.events(task_id), task_id)
    assert record.end["text"] == "again " * (len(record.text) // 6)
    time.sleep(0.3)
    assert user.events(task_id) == record.events, "promise 1: nothing follows the end"


def test_cancelling_a_finished_task_changes_nothing(user: Client, script: Scripts) -> None:
    played = script(answer("Done."))
    task = user.chat(played.messages())
    before = user.events(task["task_id"])
    assert user.call("cancel", task_id=task["task_id"])["status"] == "completed"
    assert user.call("get_task", task_id=task["task_id"]) == task
    assert user.events(task["task_id"]) == before


def test_cancelling_twice_is_harmless(user: Client, script: Scripts) -> None:
    played = script([text("Half"), Hold()])
    task_id = user.start(played.messages())
    played.wait_for_call()
    answers = [user.call("cancel", task_id=task_id) for _ in range(3)]
    assert {answer["task_id"] for answer in answers} == {task_id}
    assert answers[-1]["status"] == "cancelled"
    checked(user.events(task_id), task_id)


def test_another_users_task_cannot_be_cancelled(user: Client, other: Client, script: Scripts) -> None:
    """404, as if it did not exist; and it runs on."""
    played = script([text("Mine"), Hold()])
    task_id = user.start(played.messages())
    played.wait_for_call()
    refused = other.refused("cancel", task_id=task_id)
    assert (refused.status, refused.exc_type) == (404, "DoesNotExistError")
    assert user.call("get_task", task_id=task_id)["status"] in ("queued", "running")
    assert not played.calls[0].closed.is_set()
    user.call("cancel", task_id=task_id)
    assert played.calls[0].closed.wait(5)
