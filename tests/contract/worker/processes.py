"""Worker processes that a test may stop, kill or freeze."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from tests.kit import QUICK

ROOT = Path(__file__).parents[3]
MAIN = Path(__file__).with_name("worker_main.py")


class WorkerProcess:
    """One worker process; `wait_ready` before it is used."""

    def __init__(self, redis_url: str, upstream: str, database: Path, settings: dict[str, Any], **options: Any):
        config = {
            "redis": redis_url,
            "upstream": upstream,
            "database": str(database),
            "options": msgspec.to_builtins(msgspec.structs.replace(QUICK, **options)),
            "settings": settings,
        }
        command = [sys.executable, str(MAIN), msgspec.json.encode(config).decode()]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self._log = database.with_name(f"worker-{os.urandom(4).hex()}.log")
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=environment)
        self.id = ""

    def wait_ready(self) -> WorkerProcess:
        """Returns when it takes tasks."""
        assert self.process.stdout
        line = self.process.stdout.readline().decode().split()
        assert line[:1] == ["ready"], self.log()
        self.id = line[1]
        return self

    def log(self) -> str:
        """What it wrote to its log."""
        return self._log.read_text()

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """`kill -9`."""
        self.process.kill()
        self.process.wait(10)

    def wait_end(self, timeout: float = 20) -> int:
        """The exit code."""
        return self.process.wait(timeout)

    def close(self) -> None:
        """Ends it whatever state it is in."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        if self.process.stdout:
            self.process.stdout.close()
