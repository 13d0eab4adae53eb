"""A host killed with `kill -9` in mid-stream and started again."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

import httpx

from ai_assistant.host.run_file import DataFolder, Running

from .conftest import COMMAND, environment

QUESTION = [{"role": "user", "content": "Explain microservices"}]


def started(folder: Path) -> tuple[subprocess.Popen[bytes], Running]:
    with (folder.parent / "host.log").open("ab") as log:
        process = subprocess.Popen(
            [*COMMAND, "serve", "--port", "0", "--no-browser", "--data-dir", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment(AI_ASSISTANT_DEMO_SPEED="40"),
        )
    deadline = time.monotonic() + 60
    while not (running := DataFolder(folder).running()) or running.pid != process.pid:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    return process, running


def call(running: Running, method: str, **arguments: Any) -> Any:
    answer = httpx.post(
        f"{running.url}/api/method/ai_assistant.api.{method}",
        json=arguments,
        headers={"Authorization": f"token {running.api_key}"},
        trust_env=False,
    )
    return answer.raise_for_status().json()["message"]


def until_final(running: Running, task_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while (task := call(running, "get_task", task_id=task_id))["status"] in ("queued", "running"):
        assert time.monotonic() < deadline, task
        time.sleep(0.2)
    return task


def test_what_had_arrived_is_kept_and_what_had_not_begun_is_started_over(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    process, running = started(folder)
    shown = call(running, "chat_completion", messages=QUESTION, conversation="new", wait=False)
    while not (events := [e for e in read(running, shown["task_id"]) if e["type"] == "text"]):
        time.sleep(0.05)
    seen = "".join(event["text"] for event in events)
    fresh = call(running, "chat_completion", messages=QUESTION, wait=False)
    process.kill()
    process.wait()

    process, running = started(folder)
    lost = until_final(running, shown["task_id"])
    assert (lost["status"], lost["error"]["code"]) == ("failed", "worker_lost")
    assert lost["message"]["content"].startswith(seen)
    stored = call(running, "get_conversation", conversation=shown["conversation"])["messages"][-1]
    assert (stored["status"], stored["content"]) == ("interrupted", lost["message"]["content"])
    assert until_final(running, fresh["task_id"])["status"] in ("completed", "failed")
    events = read(running, fresh["task_id"])
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    process.terminate()
    assert process.wait(30) == 0


def read(running: Running, task_id: str) -> list[dict[str, Any]]:
    return call(running, "get_events", task_id=task_id, limit=1000)["events"]
