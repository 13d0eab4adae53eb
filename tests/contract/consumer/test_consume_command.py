"""`ai-assistant traces consume`: a consumer in a process of its own, beside a host or without one."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis

from tests.kit import wait_until
from tests.trace_kit import SITE, Maker

ROOT = Path(__file__).parents[3]


@pytest.fixture
def process(redis_url: str, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The command, at work."""
    command = [sys.executable, "-m", "ai_assistant.cli", "traces", "--data-dir", str(tmp_path), "--site", SITE]
    command += ["--redis-url", redis_url, "consume"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as found:
        assert found.stdout
        assert found.stdout.readline() == f"Traces of {SITE} are stored.\n".encode()
        yield found
        found.kill()


def test_it_stores_until_it_is_told_to_stop(
    process: subprocess.Popen[bytes], client: redis.Redis, maker: Maker, tmp_path: Path
) -> None:
    wait_until(lambda: client.hlen(maker.keys.consumers), message="no heartbeat before the first trace")
    maker.send(*(maker.whole() for _ in range(100)))
    wait_until(lambda: not client.xlen(maker.keys.events))
    with closing(sqlite3.connect(tmp_path / "assistant.db")) as connection:
        assert connection.execute("SELECT count(*) FROM ai_observation").fetchone() == (100,)
    (said,) = client.hvals(maker.keys.consumers)  # type: ignore[misc]
    assert json.loads(said)["pid"] == process.pid
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert client.hlen(maker.keys.consumers) == 0
