"""Many calls that wait at once: the host goes on answering, and every call ends with its task."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from .chunks import answer, text
from .client import FINAL, Client
from .conftest import Host
from .script import Gate, Script

Scripts = Callable[..., Script]

CALLS = 40
"""More than a web server of a site has processes, as a rule."""
RUNNING = ("queued", "running")


def test_waiting_calls_leave_the_host_to_others(host: Host, user: Client, script: Scripts) -> None:
    """The answers go on only after the host has answered others: if all of its processes waited, it could not."""
    gate = Gate()
    played = script([text("Some"), gate, *answer("thing.")])
    calls = [Client(host.url).login(host.user, host.password) for _ in range(2)]
    with ThreadPoolExecutor(CALLS) as pool:
        try:
            waiting = [pool.submit(calls[i % 2].chat, played.messages()) for i in range(CALLS)]
            played.wait_for_call(CALLS)
            for _ in range(5):
                assert user.call("status")["ok"]
            assert not all(each.done() for each in waiting), "some calls wait"
        finally:
            gate.open()
        tasks = [each.result(60) for each in waiting]
    assert {task["status"] for task in tasks} <= {"completed", *RUNNING}
    for task in tasks:
        ended = task if task["status"] in FINAL else user.finished(task["task_id"])
        assert ended["message"]["content"] == "Something."
    for client in calls:
        client.http.close()


def test_a_waiting_call_gives_its_place_back(host: Host, user: Client, script: Scripts) -> None:
    """One after the other, each waits to its end: a place that was not given back would soon be missing."""
    for number in range(12):
        task = user.chat(script(answer(f"Number {number}.")).messages())
        assert task["status"] == "completed", f"call {number} did not wait"
