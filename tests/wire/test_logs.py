"""What the worker writes (S1.3): each emission at DEBUG, a line per task at INFO, none of the content."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from .chunks import answer
from .client import Client
from .script import Script, refusal

Scripts = Callable[..., Script]
Log = Callable[[], str]


def lines_of(worker_log: Log, task_id: str, word: str = "total_ms=") -> list[str]:
    """The lines that name the task, once one of them has `word`: the summary is written after the answer went out."""
    until = time.monotonic() + 5
    while True:
        found = [line for line in worker_log().splitlines() if task_id in line]
        if any(word in line for line in found) or time.monotonic() > until:
            return [line for line in found if word in line]
        time.sleep(0.02)


def test_each_emission_is_logged_without_its_content(worker_log: Log, user: Client, script: Scripts) -> None:
    played = script(answer("Xylophone answer.", reasoning="Quixotic thought."))
    task = user.chat(played.messages("Zeppelin question"))
    assert lines_of(worker_log, task["task_id"]), "a summary of the task"
    log = worker_log()
    for kind in ("reasoning", "text", "completion"):
        emitted = [line for line in log.splitlines() if "ai_progress" in line and kind in line]
        assert emitted, f"no line for an emission of {kind}"
        assert any(re.search(r"\d", line) for line in emitted)
    for content in ("Xylophone", "Quixotic", "Zeppelin"):
        assert content not in log


def test_a_failure_is_logged_without_secret_and_trace(worker_log: Log, user: Client, script: Scripts) -> None:
    played = script(refusal(401, "Incorrect API key provided: wire-test-key-0123456789abcdef"))
    task = user.chat(played.messages(), model="shaky")
    user.chat(script(answer()).messages(), model="shaky")
    assert any("provider_auth" in line for line in lines_of(worker_log, task["task_id"]))
    assert "wire-test-key" not in worker_log()


def test_nothing_went_wrong_unnoticed(worker_log: Log, user: Client) -> None:
    """By now most of the suite has run, bad input and failing providers included: none of it is a fault of the host."""
    assert user.get("status")["ok"]
    log = worker_log()
    at = log.find("Traceback")
    assert at < 0, log[max(0, at - 1000) : at + 2500]
