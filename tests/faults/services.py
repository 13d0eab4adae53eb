"""The parts of the bench under test, started and ended through the commands that the environment names."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import psutil

PARTS = ("mariadb", "redis_cache", "redis_queue", "web", "realtime", "worker")
SECOND = "worker-2"
"""Another RQ worker, which only some tests want."""
COMMANDS = ("start", "stop", "kill", "pid", "empty", "bench", "new-site", "drop-site")
COMMAND_S = 120.0

Found = TypeVar("Found")


class Services:
    """`README.md` says what each command must do."""

    def __init__(self, folder: Path):
        self._folder = folder
        for name in COMMANDS:
            if not os.access(folder / name, os.X_OK):
                raise RuntimeError(f"AI_ASSISTANT_FAULTS: {folder} has no executable {name}; see README.md")

    def run(self, command: str, *arguments: str) -> str:
        """What a command writes. Raises RuntimeError when it fails."""
        done = subprocess.run(
            [str(self._folder / command), *arguments], capture_output=True, text=True, timeout=COMMAND_S, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{command} {' '.join(arguments)}: {done.stdout[-1500:]}{done.stderr[-1500:]}")
        return done.stdout.strip()

    def start(self, part: str) -> None:
        """Starts a part; does nothing when it runs."""
        self.run("start", part)

    def stop(self, part: str) -> None:
        """Ends it in order."""
        self.run("stop", part)

    def kill(self, part: str) -> None:
        """Ends it and its children at once, as a crash of the machine would."""
        self.run("kill", part)

    def restart(self, part: str) -> None:
        """In order."""
        self.stop(part)
        self.start(part)

    def restart_empty(self, part: str) -> None:
        """A Redis that crashed and has lost what it held."""
        self.kill(part)
        self.run("empty", part)
        self.start(part)

    def bench(self, *arguments: str) -> str:
        """A command of bench."""
        return self.run("bench", *arguments)

    def process(self, part: str) -> psutil.Process:
        """The part's first process."""
        return psutil.Process(int(self.run("pid", part)))

    def is_running(self, part: str) -> bool:
        """Whether the part has a process."""
        return bool(self.run("pid", part))

    @contextmanager
    def frozen(self, *processes: psutil.Process) -> Iterator[None]:
        """The processes stand still in the block."""
        for process in processes:
            process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            for process in processes:
                process.send_signal(signal.SIGCONT)

    def horse(self) -> psutil.Process:
        """The process in which one of RQ's workers runs its job, once there is one."""
        return until(lambda: next(iter(self.horses()), None), 30, "RQ's workers run no job")

    def horses(self) -> list[psutil.Process]:
        """All of them."""
        workers = [self.process(name) for name in ("worker", SECOND) if self.is_running(name)]
        return [child for worker in workers for child in worker.children()]


def until(look: Callable[[], Found | None], timeout: float = 30.0, message: object = "it did not happen") -> Found:
    """What `look` gives, as soon as that is something. `message` is made text when it did not come."""
    end = time.monotonic() + timeout
    while not (found := look()):
        assert time.monotonic() < end, f"{message} within {timeout:g} s"
        time.sleep(0.05)
    return found
