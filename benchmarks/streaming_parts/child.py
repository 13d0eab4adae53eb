"""A child process of the benchmark that speaks in JSON lines."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

#: The folder that holds the package `streaming_parts`.
HERE = Path(__file__).resolve().parent.parent
#: The longest line of a child, in bytes.
LINE_LIMIT = 1024 * 1024


class ChildError(Exception):
    """A child ended or was silent where a line was due; the message has its last words."""


class Child:
    """One process. Its standard error goes to a file, for the message when it fails."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, errors: Path):
        self.name = name
        self._process = process
        self._errors = errors

    @classmethod
    async def module(cls, module: str, folder: Path) -> Child:
        """Starts `python -m <module>` of this benchmark."""
        path = os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH", ""))))
        command = [sys.executable, "-m", module]
        return await cls.start(module.rpartition(".")[2], command, folder, {**os.environ, "PYTHONPATH": path})

    @classmethod
    async def start(cls, name: str, command: Sequence[str], folder: Path, env: Mapping[str, str]) -> Child:
        """Starts any command; its standard error goes to `<folder>/<name>.log`."""
        errors = folder / f"{name}.log"
        with open(errors, "ab") as log:  # noqa: ASYNC230 - nothing else runs yet
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=dict(env),
                limit=LINE_LIMIT,
            )
        return cls(name, process, errors)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether it has ended."""
        return self._process.returncode is not None

    async def line(self, timeout: float) -> bytes:
        """Its next line. Raises ChildError when it ends first or says nothing for `timeout` seconds."""
        assert self._process.stdout is not None
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), timeout)
        except asyncio.TimeoutError as error:
            raise ChildError(f"{self.name} said nothing for {timeout:g} s. {self.last_words()}") from error
        if not line:
            raise ChildError(f"{self.name} ended. {self.last_words()}")
        return line

    async def tell(self, line: bytes) -> None:
        """Writes a line to its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + b"\n")
        await self._process.stdin.drain()

    async def forget_output(self) -> None:
        """Reads what it prints and drops it, so that it never waits for us. Ends with the process."""
        assert self._process.stdout is not None
        while await self._process.stdout.read(65_536):
            pass

    def last_words(self) -> str:
        """The end of what it wrote to standard error."""
        words = self._errors.read_text(errors="replace").strip()
        return f"Its last words: {words[-2000:]}" if words else "It left no message."

    async def stop(self, timeout: float = 20.0) -> int:
        """Ends it: by closing its standard input and SIGTERM, at last by force. Gives its exit code."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        if not self.has_ended:
            self._process.terminate()
        try:
            return await asyncio.wait_for(self._process.wait(), timeout)
        except asyncio.TimeoutError:
            self._process.kill()
            return await self._process.wait()

    async def __aenter__(self) -> Child:
        return self

    async def __aexit__(self, *_exc: Any) -> None:
        await self.stop()
