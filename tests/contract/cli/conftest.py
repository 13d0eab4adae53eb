"""A host with the demonstration model, and the command `ai-assistant chat` as a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ai_assistant.host.run_file import DataFolder, Running

PASSWORD = "correct-horse-1"
COMMAND = [sys.executable, "-m", "ai_assistant.cli"]


def environment(**more: str) -> dict[str, str]:
    """The process's own, without what would point a host elsewhere."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("AI_ASSISTANT_") and not k.endswith("_API_KEY")}
    kept.pop("OLLAMA_HOST", None)
    kept.pop("REDIS_URL", None)
    return kept | more


class Host:
    """A running host."""

    def __init__(self, folder: Path, running: Running):
        self.folder = folder
        self.running = running

    def chat(self, *arguments: str, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        """`ai-assistant chat` to its end."""
        command = [*COMMAND, "chat", *arguments]
        if "--url" not in arguments:
            command += ["--data-dir", str(self.folder)]
        return subprocess.run(
            command, input=stdin, capture_output=True, text=True, timeout=60, env=environment(**more), check=False
        )


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host of the session, quick to answer."""
    folder = tmp_path_factory.mktemp("cli") / "data"
    log = folder.parent / "host.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*COMMAND, "serve", "--port", "0", "--no-browser", "--data-dir", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env=environment(AI_ASSISTANT_ADMIN_PASSWORD=PASSWORD, AI_ASSISTANT_DEMO_SPEED="200"),
        )
    deadline = time.monotonic() + 60
    while not (running := DataFolder(folder).running()):
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
    yield Host(folder, running)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
