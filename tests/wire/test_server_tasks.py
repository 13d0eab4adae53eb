"""Tasks that a program beside the host opens (`tracing.task`): this process is the program.

It must reach the Redis of the host's tasks: the embedded host's, or `AI_ASSISTANT_TASKS_REDIS_URL` (and
`AI_ASSISTANT_TASKS_SCOPE`: on a bench its id).
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from ai_assistant import tracing
from ai_assistant.tracing.task_handle import Task

from .client import FINAL, Client
from .conftest import Host
from .events import checked
from .sockets import Listener

Open = Callable[..., Task]
Listeners = Callable[[], Listener]


@pytest.fixture
def open_task(host: Host) -> Open:
    """Makes tasks of the host's first user."""
    url = os.environ.get("AI_ASSISTANT_TASKS_REDIS_URL")
    if host.process is not None:
        url = json.loads((host.process.folder / "data" / "run.json").read_text())["redis_url"]
    if not url:
        pytest.skip("set AI_ASSISTANT_TASKS_REDIS_URL to the Redis of the host's tasks")

    def make(name: str = "label-receipt", **given: Any) -> Task:
        return tracing.task(name, **{"user": host.user, "redis_url": url, "site": host.site, **given})

    return make


def read_receipt(task: Task) -> None:
    """Some work with events of every kind."""
    with task.tool("ocr", arguments={"pages": 2}) as tool:
        for page in (1, 2):
            tool.progress(page, 2, f"page {page} of 2")
        tool.result = "2 pages"
    task.event("total", "41.20", confidence=0.93, reasoning="The last line says so.")
    task.reasoning("It adds up. ")
    task.text("All ")
    time.sleep(0.02)
    task.text("is well.")
    task.progress(1, 1)
    task.result = {"total": "41.20"}


def test_all_events_arrive_at_the_user_and_at_nobody_else(
    user: Client, other: Client, socket: Listener, listener: Listeners, open_task: Open
) -> None:
    strange = listener().connect(sid=other.sid)
    with open_task(subject="Receipt/R-1") as task:
        read_receipt(task)
    received = socket.wait_for_end(task.task_id)
    record = checked(received, task.task_id)
    assert record.text == "All is well."
    assert {event["subject"] for event in received} == {"Receipt/R-1"}
    assert record.types[0] == "start"
    assert {"tool_started", "tool_progress", "tool_completed", "data", "reasoning", "text"} <= set(record.types)
    assert user.events(task.task_id) == received
    found = user.finished(task.task_id)
    assert (found["status"], found["result"], found["subject"]) == ("completed", {"total": "41.20"}, "Receipt/R-1")
    assert found["message"]["content"] == "All is well."
    with open_task(user=other.user) as theirs:
        theirs.text("Not yours.")
    strange.wait_for_end(theirs.task_id)
    assert strange.of(task.task_id) == []
    assert socket.of(theirs.task_id) == []
    assert other.refused("get_task", task_id=task.task_id).status == 404
    assert other.refused("cancel", task_id=task.task_id).status == 404


def test_a_client_that_comes_late_gets_the_rest(user: Client, listener: Listeners, open_task: Open) -> None:
    task_id = str(uuid.uuid4())
    first = listener().connect(sid=user.sid)
    with open_task(task_id=task_id) as task:
        task.event("one", 1)
        seen = first.wait_for(task_id, lambda events: len(events) == 2)
        first.close()
        task.event("two", 2)
        user.events_until(task_id, lambda events: len(events) == 3)
        second = listener().connect(sid=user.sid)
        missed = user.call("get_events", task_id=task_id, after_seq=seen[-1]["seq"])
        assert (missed["gap"], missed["complete"]) == (False, False)
        task.event("three", 3)
    live = second.wait_for_end(task_id)
    known = {event["seq"]: event for event in [*seen, *missed["events"], *live]}
    joined = [known[seq] for seq in sorted(known)]
    checked(joined, task_id)
    assert [event["data"]["value"] for event in joined if event["type"] == "data"] == [1, 2, 3]
    assert joined == user.events(task_id)


def test_it_is_cancelled_as_a_chat_is(user: Client, socket: Listener, open_task: Open) -> None:
    def work(task: Task) -> None:
        with task.tool("waiting"):
            task.text("Half of it.")
            while True:
                task.check_cancelled()
                time.sleep(0.01)

    task = open_task().run_in_background(work)
    assert user.call("get_task", task_id=task.task_id)["status"] == "running"
    assert user.call("cancel", task_id=task.task_id)["status"] in ("running", "cancelled")
    record = checked(socket.wait_for_end(task.task_id), task.task_id)
    assert (record.end["type"], record.end["by"], record.end["text"]) == ("cancelled", user.user, "Half of it.")
    assert user.call("cancel", task_id=task.task_id)["status"] == "cancelled"


def test_a_failure_shows_no_secret(user: Client, socket: Listener, open_task: Open) -> None:
    with pytest.raises(RuntimeError), open_task() as task:
        raise RuntimeError("Authorization: Bearer abcdef")
    record = checked(socket.wait_for_end(task.task_id), task.task_id)
    assert (record.end["type"], record.end["code"]) == ("error", "internal")
    assert user.finished(task.task_id)["error"]["message"] == record.end["message"]


def test_programs_are_no_workers(keyed: Client, user: Client, open_task: Open) -> None:
    before = len(keyed.get("status")["workers"])
    with open_task() as task:
        task.flush()
        time.sleep(1.2)  # a heartbeat
        status = keyed.get("status")
        assert len(status["workers"]) == before
        assert status["backlog"] == 0
        assert user.call("get_task", task_id=task.task_id)["status"] not in FINAL
    assert user.finished(task.task_id)["status"] == "completed"
