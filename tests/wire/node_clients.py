"""Installs and runs the JavaScript clients of the suite."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import threading
from pathlib import Path
from queue import Empty, Queue
from typing import Any

_SOURCE = Path(__file__).parent / "node"
_CACHE = Path(__file__).resolve().parents[2] / ".cache" / "wire-node"
INSTALL_S, RUN_S = 240, 60


def install() -> Path:
    """The folder with the clients and what they need, installed once per checkout and change."""
    _CACHE.mkdir(parents=True, exist_ok=True)
    with (_CACHE / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted, stamp = (_SOURCE / "package.json").read_text(), _CACHE / "installed.json"
        for script in _SOURCE.glob("*.mjs"):
            shutil.copy(script, _CACHE)
        if not stamp.exists() or stamp.read_text() != wanted:
            shutil.copy(_SOURCE / "package.json", _CACHE)
            _npm_install()
            stamp.write_text(wanted)
    return _CACHE


def _npm_install() -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError("the JavaScript clients need Node 20 and npm; install nodejs and npm")
    command = [npm, "install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"]
    done = subprocess.run(command, cwd=_CACHE, timeout=INSTALL_S, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"npm could not install the JavaScript clients: {done.stderr[-800:]}")


def run(script: str, *arguments: str, **environment: str) -> dict[str, Any]:
    """The JSON document that a client prints."""
    done = subprocess.run(
        ["node", script, *arguments],
        cwd=install(),
        env=_env(environment),
        timeout=RUN_S,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


class NodeListener:
    """`events.mjs` while it runs. A context manager."""

    def __init__(self, url: str, site: str, **environment: str):
        self._process = subprocess.Popen(
            ["node", "events.mjs", url, site],
            cwd=install(),
            env=_env(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._lines: Queue[dict[str, Any]] = Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> NodeListener:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(10)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(json.loads(line))

    def next(self, timeout: float = 30.0) -> dict[str, Any]:
        """The next line; raises AssertionError when none comes."""
        try:
            return self._lines.get(timeout=timeout)
        except Empty:
            raise AssertionError(f"the client said nothing within {timeout:g} s") from None

    def events_of(self, task_id: str) -> list[dict[str, Any]]:
        """All events of a task, up to its end."""
        assert self._process.stdin is not None
        self._process.stdin.write(task_id + "\n")
        self._process.stdin.flush()
        assert self._process.wait(30) == 0
        found = []
        while not found or found[-1]["type"] not in ("completion", "error", "cancelled"):
            event = self.next()["event"]
            if event["task_id"] == task_id:
                found.append(event)
        return found


def _env(given: dict[str, str]) -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", ""), "HOME": os.environ.get("HOME", "/tmp"), **given}
