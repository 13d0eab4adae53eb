"""A host that the tests start, kill and start again: the real `ai-assistant serve` in a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "browser-tests-only"
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0

CONFIG = """
default_model = "fast"

[limits]
requests_per_minute = 0
concurrent_tasks = 0
"""

MODEL = """
[[models]]
name = "{name}"
title = "{title}"
model = "openai/test-{name}"
api_base = "{base_url}"
api_key = "not-a-key"
retries = 0
"""


class Host:
    """`url` stays the same from one start to the next, and so does what is stored."""

    def __init__(self, folder: Path, provider_url: str, **environment: str) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self._log = folder / "host.log"
        self._environment = {**os.environ, "AI_ASSISTANT_ADMIN_PASSWORD": PASSWORD, **environment}
        config = folder / "config.toml"
        config.write_text(configuration(provider_url))
        self._command = [sys.executable, "-m", "ai_assistant.cli", "serve", "--host", "127.0.0.1", "--no-browser"]
        self._command += ["--port", self.url.rsplit(":", 1)[1], "--data-dir", str(folder / "data")]
        self._command += ["--config", str(config)] if provider_url else []
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers. Raises RuntimeError with its log when it does not."""
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, env=self._environment, stdout=output, stderr=output
            )
        end = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < end and self._process.poll() is None:
            if self._answers():
                return
            time.sleep(0.1)
        self.kill()
        raise RuntimeError(f"The host did not come up:\n{self._log.read_text()}")

    def stop(self) -> None:
        """Stops it in order, or kills it when that takes too long."""
        if not self._process:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Ends it without a word, as a crash would."""
        if self._process:
            self._process.kill()
            self._process.wait(STOP_TIMEOUT_S)

    def login(self) -> str:
        """Administrator's `sid`."""
        answer = httpx.post(
            f"{self.url}/api/method/login", json={"usr": "Administrator", "pwd": PASSWORD}, timeout=STOP_TIMEOUT_S
        )
        assert answer.status_code == 200, answer.text
        return answer.cookies["sid"]

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/api/method/ai_assistant.api.status", timeout=2).status_code == 200
        except httpx.TransportError:
            return False


def configuration(provider_url: str) -> str:
    """Two models, and one that can read little at once."""
    names = {"fast": "Fast", "other": "Other", "small": "Small"}
    models = [MODEL.format(name=name, title=title, base_url=provider_url) for name, title in names.items()]
    return CONFIG + "".join(models) + "context_window = 400\n"


def free_port() -> int:
    """A port that nobody listens to at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
