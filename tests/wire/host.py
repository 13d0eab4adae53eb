"""Starts the embedded host for the suite: a process with a data folder and a configuration of its own."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from .catalogue import API_KEY, ROLE, models, toml, with_key
from .client import Client

START_S = 90.0
STOP_S = 30.0
SITE = "wire.localhost"
USER, USER2, USER3 = "ada@wire.example", "bob@wire.example", "eve@wire.example"
REVIEWER, MANAGER = "rae@wire.example", "max@wire.example"
ROLES = {USER: [ROLE], REVIEWER: ["AI Trace Reviewer"], MANAGER: ["AI Manager"]}


class EmbeddedHost:
    """One host. A context manager."""

    def __init__(self, folder: Path, upstream: str, *, settings: str = "", redis_url: str = ""):
        """`settings` are further lines of the TOML file, tables only."""
        self.folder = folder
        self.passwords = {name: secrets.token_urlsafe(12) for name in (USER, USER2, USER3, REVIEWER, MANAGER)}
        self.admin_password = secrets.token_urlsafe(12)
        self.log_file = folder / "host.log"
        self.url = self.site = self.admin_key = ""
        self._settings = settings or "[limits]\nrequests_per_minute = 0\nconcurrent_tasks = 0\n"
        self._upstream = upstream
        self._redis_url = redis_url
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> EmbeddedHost:
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "config.toml"
        config.write_text(self._config())
        command = [sys.executable, "-m", "ai_assistant.cli", "serve", "--port", "0", "--no-browser"]
        command += ["--data-dir", str(self.folder / "data"), "--config", str(config)]
        with self.log_file.open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment()
            )
        running = self._wait()
        self.url, self.site, self.admin_key = running["url"], running["site"], running["api_key"]
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOP_S)
            raise AssertionError(f"the host did not stop within {STOP_S:g} s of SIGTERM") from None
        assert code == 0, f"the host ended with {code}: {self.log()[-1500:]}"

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process is not None
        return self._process.pid

    def login(self, name: str) -> Client:
        """A session of one of the users, or of Administrator."""
        return Client(self.url).login(name, self.passwords.get(name, self.admin_password))

    def log(self) -> str:
        """All that it has written so far."""
        return self.log_file.read_text(errors="replace")

    def _config(self) -> str:
        users: list[dict[str, Any]] = [{"name": name, "password": f"env:{_variable(name)}"} for name in self.passwords]
        for user in users:
            user["roles"] = ROLES.get(user["name"], [])
        head = f'default_model = "plain"\nsite = "{SITE}"\nlog_level = "debug"\n'
        return "\n".join([head, self._settings, toml(users, "users"), toml(with_key(models(self._upstream)), "models")])

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
        kept = {
            name: value for name, value in kept.items() if not name.startswith(("AI_ASSISTANT_", "REDIS_", "OLLAMA_"))
        }
        given = {
            "AI_ASSISTANT_ADMIN_PASSWORD": self.admin_password,
            **{_variable(name): password for name, password in self.passwords.items()},
            "WIRE_PROVIDER_KEY": API_KEY,
            "REDIS_URL": self._redis_url,
        }
        return kept | {name: value for name, value in given.items() if value}

    def _wait(self) -> dict[str, Any]:
        """What `run.json` says once the host is there."""
        assert self._process is not None
        run_file = self.folder / "data" / "run.json"
        until = time.monotonic() + START_S
        while time.monotonic() < until and self._process.poll() is None:
            if run_file.exists():
                return json.loads(run_file.read_text())
            time.sleep(0.05)
        self._process.kill()
        raise RuntimeError(f"the embedded host did not start: {self.log()[-3000:]}")


def _variable(user: str) -> str:
    """The environment variable with a user's password."""
    return "WIRE_PASSWORD_" + user.partition("@")[0].upper()
