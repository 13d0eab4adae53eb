"""Installs, starts and controls `@copilotkit/aimock`: a real HTTP upstream that speaks the providers' protocols.

    with AiMock() as mock:
        mock.on("hello", content="Hi there.", reasoning="A greeting.")
        ...                              # OpenAI at mock.base("openai"), Anthropic at mock.base("anthropic"), …
        assert mock.requests()[-1].body["model"] == "gpt-4o"

Needs Node 20 or later and, the first time, npm's registry. Fixtures match on a substring of the last user message;
first match wins, and `on` puts new ones last. Everything is reset by `reset`.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import httpx

_HERE = Path(__file__).resolve().parent
_CACHE = _HERE.parents[1] / ".cache" / "aimock"
_CLI = Path("node_modules/@copilotkit/aimock/dist/cli.js")
_LISTENING = re.compile(r"listening on (http://127\.0\.0\.1:\d+)")
#: Path that each protocol's `api_base` ends in. Ollama, Cohere and Anthropic take the bare address.
_BASES = {
    "openai": "/v1",
    "openrouter": "/api/v1",
    "anthropic": "",
    "ollama": "",
    "cohere": "/v2/chat",
    "gemini": "",
}


class Entry(NamedTuple):
    """One request that aimock received."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    status: int | None


def install() -> Path:
    """Install the version that package.json names, once per checkout; returns the command-line script."""
    folder = _CACHE
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = (_HERE / "package.json").read_text()
        copy = folder / "package.json"
        if not (folder / _CLI).exists() or not copy.exists() or copy.read_text() != wanted:
            copy.write_text(wanted)
            npm = shutil.which("npm")
            if npm is None:
                raise RuntimeError("the tests need Node 20 and npm for @copilotkit/aimock; install nodejs and npm")
            done = subprocess.run(
                [npm, "install", "--no-audit", "--no-fund", "--loglevel=error"],
                cwd=folder,
                timeout=180,
                capture_output=True,
                text=True,
            )
            if done.returncode:
                copy.unlink()
                raise RuntimeError(f"npm could not install aimock: {done.stderr[-500:]}")
    return folder / _CLI


class AiMock:
    """A running aimock. A context manager; safe to share over a whole test session when each test calls `reset`."""

    def __init__(self, *, latency_ms: int = 0, chunk_size: int = 20):
        """`latency_ms` between two pieces of a stream, `chunk_size` in characters: defaults of every fixture."""
        self._arguments = ["--latency", str(latency_ms), "--chunk-size", str(chunk_size)]
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self.url = ""
        self._control = httpx.Client(timeout=10.0, trust_env=False)

    def __enter__(self) -> AiMock:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it on a free port of 127.0.0.1 and wait until it listens."""
        script = install()
        self._folder = tempfile.TemporaryDirectory(prefix="aimock-")
        fixtures = Path(self._folder.name) / "fixtures.json"
        # aimock refuses to start without any fixture; this one matches nothing that a test sends.
        fixtures.write_text(
            json.dumps({"fixtures": [{"match": {"userMessage": "\u0001"}, "response": {"content": "-"}}]})
        )
        log = Path(self._folder.name) / "log"
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [
                    "node",
                    str(script),
                    "--host",
                    "127.0.0.1",
                    "--port",
                    "0",
                    "--fixtures",
                    str(fixtures),
                    "--log-level",
                    "info",
                    *self._arguments,
                ],
                stdout=out,
                stderr=subprocess.STDOUT,
                env={"PATH": os.environ.get("PATH", ""), "HOME": os.environ.get("HOME", "/tmp")},
            )
        self.url = self._wait_for_address(log)

    def stop(self) -> None:
        """End the process."""
        self._control.close()
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(10)
            self._process = None
        if self._folder is not None:
            self._folder.cleanup()

    def base(self, protocol: str) -> str:
        """The `api_base` for a protocol: openai, openrouter, anthropic, ollama, cohere, gemini."""
        return self.url + _BASES[protocol]

    def on(
        self,
        message: str | None = None,
        *,
        match: dict[str, Any] | None = None,
        fixture: dict[str, Any] | None = None,
        **response: Any,
    ) -> None:
        """Answer requests whose last user message contains `message` (or that fit `match`) with `response`:
        `content`, `reasoning`, `toolCalls`, `usage`, `error` with `status`, … as aimock names them. `fixture` holds
        options of the fixture itself: `latency`, `chunkSize`, `truncateAfterChunks`, `disconnectAfterMs`, `chaos`.
        """
        found = dict(match or {})
        if message is not None:
            found["userMessage"] = message
        entry = {"match": found, "response": response, **(fixture or {})}
        self._call("POST", "/__aimock/fixtures", {"fixtures": [entry]})

    def fail_next(self, status: int, message: str = "made to fail", **body: str) -> None:
        """Answer the next request, and only that, with an HTTP error."""
        self._call("POST", "/__aimock/error", {"status": status, "body": {"message": message, **body}})

    def chaos(self, **rates: float) -> None:
        """Break answers at random: `dropRate` (500), `malformedRate`, `disconnectRate`, `rateLimitRate`."""
        self._call("POST", "/__aimock/chaos", rates)

    def requests(self) -> list[Entry]:
        """The requests so far, oldest first, without those of the control interface."""
        entries = self._control.get(self.url + "/__aimock/journal").raise_for_status().json()
        return [
            Entry(
                entry["method"],
                entry["path"],
                entry.get("headers") or {},
                entry.get("body"),
                (entry.get("response") or {}).get("status"),
            )
            for entry in entries
        ]

    def reset(self) -> None:
        """Forget fixtures, journal and chaos."""
        self._call("POST", "/__aimock/reset", {})

    def _call(self, method: str, path: str, body: Any) -> None:
        answer = self._control.request(method, self.url + path, json=body)
        if answer.status_code >= 400:
            raise RuntimeError(f"aimock refused {path}: {answer.status_code} {answer.text[:500]}")

    def _wait_for_address(self, log: Path) -> str:
        assert self._process is not None
        until = time.monotonic() + 30
        while time.monotonic() < until:
            found = _LISTENING.search(log.read_text())
            if found:
                return found[1]
            if self._process.poll() is not None:
                break
            time.sleep(0.05)
        raise RuntimeError(f"aimock did not start: {log.read_text()[-500:]}")
