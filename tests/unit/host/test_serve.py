"""`ai-assistant serve` and its companions as real processes, from start to end."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import socketio
from hosting import eventually, until

from ai_assistant.host.run_file import DataFolder

START = 30
CHAT = "/api/method/ai_assistant.api.chat_completion"


class Serving:
    """A running command with its output."""

    def __init__(self, folder: Path, *arguments: str, command: str = "serve", **environ: str):
        self.folder = folder
        self.output = folder.parent / f"{command}-{time.monotonic_ns()}.log"
        given = {"PATH": os.environ["PATH"], "HOME": str(folder.parent), "AI_ASSISTANT_DEMO_SPEED": "0", **environ}
        words = ["--data-dir", str(folder), *arguments]
        if command == "serve":
            words += ["--port", "0", "--no-browser"] if "--port" not in arguments else ["--no-browser"]
        with self.output.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ai_assistant.cli", command, *words],
                stdout=file,
                stderr=subprocess.STDOUT,
                env=given,
                start_new_session=True,
            )

    @property
    def text(self) -> str:
        """What it has printed."""
        return self.output.read_text()

    @property
    def link(self) -> str:
        """The login link that it printed."""
        return re.findall(r"http://\S+/login\?token=\S+", self.text)[0]

    @property
    def run_file(self) -> dict[str, Any]:
        """Its run.json."""
        return json.loads((self.folder / "run.json").read_bytes())

    def ready(self) -> Serving:
        """Waits until it has said where it is."""
        until(lambda: "/login?token=" in self.text or self.process.poll() is not None, START)
        assert self.process.poll() is None, self.text
        return self

    def client(self) -> httpx.Client:
        """An HTTP client with the key of run.json."""
        run = self.run_file
        headers = {"Authorization": f"token {run['api_key']}"}
        return httpx.Client(base_url=run["url"], headers=headers, timeout=30)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Sends a signal and gives the exit code."""
        self.process.send_signal(number)
        return self.process.wait(30)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Serving]]:
    """Starts commands; what still runs at the end is killed with its children."""
    started: list[Serving] = []

    def start(*arguments: str, **environ: str) -> Serving:
        started.append(Serving(tmp_path / "data", *arguments, **environ))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            for child in psutil.Process(one.process.pid).children(recursive=True):
                child.kill()
            one.process.kill()
            one.process.wait(10)


def ask(client: httpx.Client, text: str = "hello", **more: Any) -> dict[str, Any]:
    answer = client.post(CHAT, json={"messages": [{"role": "user", "content": text}], **more})
    assert answer.status_code == 200, answer.text
    return answer.json()["message"]


def test_from_nothing_to_an_answer_and_a_clean_end(serve: Callable[..., Serving]) -> None:
    host = serve().ready()
    assert "demonstration model" in host.text
    with httpx.Client(follow_redirects=False) as browser:
        assert browser.get(host.link).status_code == 303
        base = host.link.partition("/login")[0]
        me = browser.get(f"{base}/api/method/frappe.auth.get_logged_user").json()
        assert me == {"message": "Administrator"}
        assert "used already" in browser.get(host.link).text
    with host.client() as client:
        done = ask(client)
        assert done["status"] == "completed"
        assert "demonstration" in done["message"]["content"]
        status = client.get("/api/method/ai_assistant.api.status").json()["message"]
        assert status["ok"]
        assert len(status["workers"]) == 1
    children = psutil.Process(host.process.pid).children(recursive=True)
    assert [child.name() for child in children] == ["redis-server"]
    assert host.end() == 0
    assert "Traceback" not in host.text
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)
    assert not (host.folder / "run.json").exists()


def test_run_json_is_private_and_its_key_ends_with_the_host(serve: Callable[..., Serving]) -> None:
    host = serve().ready()
    assert stat.S_IMODE((host.folder / "run.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(host.folder.stat().st_mode) == 0o700
    running = DataFolder(host.folder).running()
    assert running is not None
    assert running.pid == host.process.pid
    run = host.run_file
    host.end()
    assert DataFolder(host.folder).running() is None
    again = serve().ready()
    headers = {"Authorization": f"token {run['api_key']}"}
    url = again.run_file["url"]
    assert httpx.get(f"{url}/api/method/frappe.ping", headers=headers).json() == {"message": "pong"}
    assert httpx.get(f"{url}/api/method/ai_assistant.api.status", headers=headers).status_code == 401
    again.end()


def test_after_kill_9_the_next_one_starts_on_the_same_folder(serve: Callable[..., Serving]) -> None:
    host = serve().ready()
    with host.client() as client:
        conversation = ask(client, conversation="new")["conversation"]
    host.end(signal.SIGKILL)
    assert (host.folder / "run.json").exists()
    assert DataFolder(host.folder).running() is None, "a stale file does not count"
    again = serve().ready()
    with again.client() as client:
        path = "/api/method/ai_assistant.api.get_conversation"
        found = client.get(path, params={"conversation": conversation}).json()["message"]
        assert [message["status"] for message in found["messages"]] == ["completed", "completed"]
        assert ask(client)["status"] == "completed"
    assert again.end() == 0


def test_two_hosts_do_not_share_a_folder(serve: Callable[..., Serving]) -> None:
    host = serve().ready()
    second = serve()
    assert second.process.wait(START) == 2
    assert "another host" in second.text
    assert host.run_file["url"] in second.text
    assert "Traceback" not in second.text
    assert host.end() == 0


def test_a_port_in_use_is_told_in_one_line(serve: Callable[..., Serving]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        host = serve("--port", str(port))
        assert host.process.wait(START) == 2
    assert f"127.0.0.1:{port} cannot be used" in host.text
    assert "--port" in host.text
    assert "Traceback" not in host.text


def test_off_loopback_without_a_password_it_does_not_start(serve: Callable[..., Serving]) -> None:
    host = serve("--host", "0.0.0.0")
    assert host.process.wait(START) == 2
    assert "AI_ASSISTANT_ADMIN_PASSWORD" in host.text
    good = serve("--host", "0.0.0.0", AI_ASSISTANT_ADMIN_PASSWORD="password of admin").ready()
    login = {"usr": "Administrator", "pwd": "password of admin"}
    answer = httpx.post(f"{good.run_file['url']}/api/method/login", data=login)
    assert answer.json()["message"] == "Logged In"
    assert good.end(signal.SIGINT) == 0
    assert "password of admin" not in good.text


@pytest.mark.parametrize(
    ("arguments", "environ", "words"),
    [
        (("--config", "/no/such.toml"), {}, "no file /no/such.toml"),
        (("--redis-url", "redis://127.0.0.1:1/0"), {}, "no Redis answers"),
        (("--host", "192.0.2.77"), {"AI_ASSISTANT_ADMIN_PASSWORD": "password of admin"}, "192.0.2.77"),
        ((), {"AI_ASSISTANT_ADMIN_PASSWORD": "short"}, "AI_ASSISTANT_ADMIN_PASSWORD"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    serve: Callable[..., Serving], arguments: tuple[str, ...], environ: dict[str, str], words: str
) -> None:
    host = serve(*arguments, **environ)
    assert host.process.wait(START) == 2
    assert words in host.text
    assert "Traceback" not in host.text
    assert len(host.text.strip().splitlines()) < 20


def test_a_running_chat_is_finished_before_the_end(serve: Callable[..., Serving]) -> None:
    host = serve(AI_ASSISTANT_DEMO_SPEED="150").ready()
    answers: list[dict[str, Any]] = []

    def chat() -> None:
        with host.client() as client:
            answers.append(ask(client))

    asking = threading.Thread(target=chat)
    asking.start()
    with host.client() as client:

        def is_running() -> bool:
            status = client.get("/api/method/ai_assistant.api.status").json()["message"]
            return status["workers"][0]["running"] == 1

        until(is_running)
    assert host.end() == 0
    asking.join(20)
    assert [answer["status"] for answer in answers] == ["completed"]


def test_it_goes_on_after_its_redis_died(serve: Callable[..., Serving]) -> None:
    host = serve().ready()
    with host.client() as client:
        assert ask(client)["status"] == "completed"
        psutil.Process(host.process.pid).children()[0].kill()
        until(lambda: "starting it again" in host.text)
        answers: list[int] = []

        def answered() -> bool:
            body = {"messages": [{"role": "user", "content": "hello"}], "timeout": 5}
            answer = client.post(CHAT, json=body)
            answers.append(answer.status_code)
            return answer.status_code == 200 and answer.json()["message"]["status"] == "completed"

        until(answered, 30)
    assert set(answers) <= {200, 503}
    assert host.end() == 0


async def test_open_sockets_get_the_last_events_and_do_not_delay_the_end(serve: Callable[..., Serving]) -> None:
    host = serve(AI_ASSISTANT_DEMO_SPEED="150").ready()
    run = host.run_file
    received: list[dict[str, Any]] = []
    client = socketio.AsyncClient(reconnection=False)
    namespace = f"/{run['site']}"
    client.on("ai_progress", received.append, namespace=namespace)
    headers = {"Cookie": "x=1", "Origin": run["url"], "Authorization": f"token {run['api_key']}"}
    await client.connect(run["url"], headers=headers, namespaces=[namespace], transports=["websocket"])
    with host.client() as http:
        ask(http, wait=False)
    await eventually(lambda: any(event["type"] == "reasoning" for event in received))
    host.process.send_signal(signal.SIGTERM)
    await eventually(lambda: host.process.poll() is not None, 20)
    assert host.process.returncode == 0
    await eventually(lambda: not client.connected)
    assert received[-1]["type"] == "completion"
    assert [event["seq"] for event in received] == list(range(1, len(received) + 1))


def test_a_second_signal_ends_it_at_once(serve: Callable[..., Serving]) -> None:
    host = serve(AI_ASSISTANT_DEMO_SPEED="5").ready()
    with host.client() as client:
        ask(client, "Tell me a long story", wait=False)
        time.sleep(0.5)
    redis_server = psutil.Process(host.process.pid).children()[0]
    host.process.send_signal(signal.SIGINT)
    until(lambda: "stopping" in host.text)
    began = time.monotonic()
    assert host.end(signal.SIGINT) == 1
    assert time.monotonic() - began < 5
    until(lambda: not redis_server.is_running() or redis_server.status() == psutil.STATUS_ZOMBIE)


def test_a_worker_of_its_own_shares_the_load(serve: Callable[..., Serving], tmp_path: Path) -> None:
    lonely = serve(command="worker")
    assert lonely.process.wait(START) == 2
    assert "no host runs" in lonely.text
    host = serve().ready()
    worker = serve(command="worker")
    with host.client() as client:

        def workers() -> list[dict[str, Any]]:
            return client.get("/api/method/ai_assistant.api.status").json()["message"]["workers"]

        until(lambda: len(workers()) == 2, START)
        for _ in range(12):
            assert ask(client)["status"] == "completed"
        assert {row["pid"] for row in workers()} == {host.process.pid, worker.process.pid}
        until(lambda: sum(row["taken"] for row in workers()) == 12)
        assert worker.end() == 0
        until(lambda: len(workers()) == 1)
        assert ask(client)["status"] == "completed"
    assert host.end() == 0


def test_json_logs_are_json(serve: Callable[..., Serving]) -> None:
    host = serve("--log-format", "json", "--log-level", "debug").ready()
    with host.client() as client:
        ask(client, "private words")
    assert host.end() == 0
    lines = [json.loads(line) for line in host.text.splitlines() if line.startswith("{")]
    assert any(line["logger"] == "ai_assistant.access" and "chat_completion" in line["message"] for line in lines)
    assert any("ai_progress" in line["message"] for line in lines)
    assert "private words" not in host.text


def test_the_limit_of_open_files_is_raised(tmp_path: Path) -> None:
    import resource

    low = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    program = (
        "import resource; from ai_assistant.cli.serve import raise_file_limit;"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, (256, {low})); raise_file_limit();"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert int(found.stdout) == (65_536 if low == resource.RLIM_INFINITY else min(low, 65_536))
