"""`run.json` in the data folder: where the running host and its Redis are, for other commands on this machine.

Readable by its owner only: it holds an API key of Administrator that ends with the host. Whoever may read the data
folder could make such a key anyway.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import IO

import msgspec

from ai_assistant.core.errors import ConfigError


class Running(msgspec.Struct, kw_only=True):
    """A host that runs."""

    pid: int
    url: str
    site: str
    version: str
    redis_url: str
    api_key: str
    """`<key>:<secret>`"""
    demo_base: str | None = None
    demo_key: str | None = None


class DataFolder:
    """The data folder of one host at a time."""

    def __init__(self, path: Path):
        self.path = path
        self._lock: IO[str] | None = None

    @property
    def run_file(self) -> Path:
        """`run.json`"""
        return self.path / "run.json"

    def lock(self) -> None:
        """Makes the folder this process's. Raises ConfigError when it cannot be made, or is another host's."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = open(self.path / "lock", "a+", opener=private)  # noqa: SIM115 - held until `release`
        except OSError as error:
            raise ConfigError("data_dir", f"{self.path} cannot be used: {error.strerror}") from error
        if not taken(lock):
            lock.close()
            running = self.running()
            where = f" (process {running.pid}, {running.url})" if running else ""
            message = f"another host{where} uses {self.path}. Stop it, or name another folder by --data-dir"
            raise ConfigError("data_dir", message)
        self._lock = lock

    def release(self) -> None:
        """Removes `run.json` and gives the folder back."""
        if self._lock is not None:
            self.run_file.unlink(missing_ok=True)
            self._lock.close()
            self._lock = None

    def write(self, running: Running) -> None:
        """Writes `run.json` in one step."""
        new = self.run_file.with_suffix(".new")
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(msgspec.json.encode(running))
        new.replace(self.run_file)

    def running(self) -> Running | None:
        """The host that runs in this folder, or None; a file that a killed host left behind does not count."""
        try:
            running = msgspec.json.decode(self.run_file.read_bytes(), type=Running)
        except (OSError, msgspec.DecodeError):
            return None
        return running if self._is_locked() else None

    def _is_locked(self) -> bool:
        if self._lock is not None:
            return True
        try:
            with open(self.path / "lock") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return False


def private(path: str, flags: int) -> int:
    """Opens a file that others may not even read: a lock that they could hold would keep the host from starting."""
    return os.open(path, flags, 0o600)


def taken(lock: IO[str]) -> bool:
    """Takes the lock; tries for a moment, since a look at whether it is held holds it for an instant."""
    for _ in range(5):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)
        else:
            return True
    return False
