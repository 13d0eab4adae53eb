"""`ai-assistant chat` as a person or a script uses it."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from .conftest import COMMAND, PASSWORD, Host, environment


def events_of(output: str) -> list[dict]:
    return [json.loads(line) for line in output.splitlines()]


def test_events_are_json_lines_whose_deltas_are_the_completion(host: Host) -> None:
    done = host.chat("--events", "Explain microservices")
    assert done.returncode == 0, done.stderr
    events = events_of(done.stdout)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[0]["type"] == "start"
    assert events[-1]["type"] == "completion"
    assert "".join(e["text"] for e in events if e["type"] == "text") == events[-1]["text"]
    assert any(e["type"] == "reasoning" and e["partial"] for e in events)


def test_a_pipe_gets_the_answer_alone_and_the_figures_go_to_stderr(host: Host) -> None:
    done = host.chat("Explain microservices")
    assert done.returncode == 0, done.stderr
    assert "Microservices" in done.stdout
    assert "\x1b[" not in done.stdout
    assert "tokens" in done.stderr
    assert "first token" in done.stderr
    assert "tokens ·" not in done.stdout


def test_a_terminal_sees_the_timer_the_thinking_and_the_figures(host: Host) -> None:
    screen = on_a_terminal(host, "Explain microservices")
    assert "Thinking 0s" in screen
    assert "Thought for" in screen
    assert "What you gain" in screen
    assert "first token" in screen


def on_a_terminal(host: Host, question: str) -> str:
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "chat", question, "--data-dir", str(host.folder)],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=environment(TERM="xterm-256color", COLUMNS="100", LINES="30"),
    )
    os.close(slave)
    seen = b""
    try:
        while piece := os.read(master, 65536):
            seen += piece
    except OSError:  # the terminal closes with its last writer
        pass
    os.close(master)
    assert process.wait(30) == 0
    return seen.decode(errors="replace")


def test_files_and_standard_input_are_context(host: Host, tmp_path: Path) -> None:
    source = tmp_path / "main.py"
    source.write_text("print('hello')\n")
    name = host.chat("-f", str(source), "-c", "new", "What is this?", stdin="a log line\n").stderr
    conversation = name.rsplit("--conversation ", 1)[1].strip()
    stored = call(host, "get_conversation", conversation=conversation)["messages"][0]["content"]
    assert stored.startswith("What is this?")
    assert f"{source}:\n```\nprint('hello')\n```" in stored
    assert "standard input:\n```\na log line\n```" in stored


def test_a_conversation_goes_on(host: Host) -> None:
    first = host.chat("-c", "new", "Hello").stderr.rsplit("--conversation ", 1)[1].strip()
    assert host.chat("-c", first, "And again").returncode == 0
    assert len(call(host, "get_conversation", conversation=first)["messages"]) == 4


def call(host: Host, method: str, **arguments: str) -> dict:
    answer = httpx.get(
        f"{host.running.url}/api/method/ai_assistant.api.{method}",
        params=arguments,
        headers={"Authorization": f"token {host.running.api_key}"},
        trust_env=False,
    )
    return answer.raise_for_status().json()["message"]


def test_ctrl_c_cancels_the_task_upstream(host: Host) -> None:
    process = subprocess.Popen(
        [*COMMAND, "chat", "--events", "Explain microservices", "--data-dir", str(host.folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    assert process.stdout
    lines = [process.stdout.readline()]
    while json.loads(lines[-1])["type"] != "reasoning":
        lines.append(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=30)
    events = events_of("".join(lines) + rest)
    assert process.returncode == 130
    assert events[-1]["type"] == "cancelled"
    task = call(host, "get_task", task_id=events[-1]["task_id"])
    assert task["status"] == "cancelled"
    wait_until_no_stream(host)


def wait_until_no_stream(host: Host) -> None:
    deadline = time.monotonic() + 10
    while True:
        workers = call(host, "status")["workers"]
        if all(p["open"] == 0 for w in workers for p in w["gateway"]["providers"].values()):
            return
        assert time.monotonic() < deadline, workers
        time.sleep(0.2)


def test_another_host_by_its_address_and_a_user(host: Host) -> None:
    url = host.running.url
    done = host.chat("--url", url, "--user", "Administrator", "--password", PASSWORD, "Hello")
    assert done.returncode == 0, done.stderr
    wrong = host.chat("--url", url, "--user", "Administrator", "--password", "wrong", "Hello")
    assert wrong.returncode == 1
    assert "Traceback" not in wrong.stderr
    key = host.chat("--url", url, "--api-key", host.running.api_key, "Hello")
    assert key.returncode == 0, key.stderr


def test_without_a_running_host_one_is_started_for_the_call(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    done = subprocess.run(
        [*COMMAND, "chat", "Hello", "--data-dir", str(folder)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
        env=environment(AI_ASSISTANT_DEMO_SPEED="0"),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "demonstration model" in done.stdout
    assert not (folder / "run.json").exists(), "the host was left running"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "Nothing to ask"),
        (["-f", "/no/such/file", "What?"], 2, "/no/such/file cannot be read"),
        (["-m", "nope", "Hello"], 1, "there is no model 'nope'"),
        (["-c", "unknown", "Hello"], 1, "there is no conversation 'unknown'"),
        (["--url", "http://127.0.0.1:9", "--api-key", "a:b", "Hello"], 1, "cannot be reached"),
        (["--url", "http://127.0.0.1:9", "Hello"], 2, "needs --api-key"),
    ],
)
def test_what_is_wrong_is_said_in_words(host: Host, arguments: list[str], code: int, words: str) -> None:
    done = host.chat(*arguments)
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr
