"""The embedded host of this machine: the one that runs, or one started for a single call."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import click
import msgspec

from ai_assistant.core.errors import ConfigError
from ai_assistant.host.run_file import DataFolder, Running

START_S = 60.0
STOP_S = 15.0


class LocalHost(msgspec.Struct, frozen=True, kw_only=True):
    """Where it is, with a key that works as long as it runs."""

    url: str
    api_key: str
    demo: bool


@asynccontextmanager
async def local_host(data_dir: Path | None, config: Path | None) -> AsyncIterator[LocalHost]:
    """The running host of the data folder. Where none runs, one is started and stopped again at the end."""
    folder = DataFolder(data_dir or configured_folder(config))
    running = folder.running()
    if running:
        yield host_of(running)
        return
    async with started(folder, config) as running:
        yield host_of(running)


def configured_folder(config: Path | None) -> Path:
    """The data folder that the file, the environment or the default names."""
    from ai_assistant.host.config import load_config

    try:
        return load_config(config, environ=os.environ).data_dir
    except ConfigError as error:
        raise click.ClickException(str(error)) from error


def host_of(running: Running) -> LocalHost:
    """What the command needs of `run.json`."""
    return LocalHost(url=running.url, api_key=running.api_key, demo=running.demo_base is not None)


@asynccontextmanager
async def started(folder: DataFolder, config: Path | None) -> AsyncIterator[Running]:
    """A host of our own on a free port, over the same data folder, so that its conversations stay."""
    command = [sys.executable, "-m", "ai_assistant.cli", "serve", "--port", "0", "--no-browser"]
    command += ["--data-dir", str(folder.path), *(["--config", str(config)] if config else [])]
    with tempfile.TemporaryFile() as output:
        # a session of its own: Ctrl-C is for the task, not for the host
        host = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
        try:
            yield await ready(folder, host, output)
        finally:
            await stopped(host)


async def ready(folder: DataFolder, host: asyncio.subprocess.Process, output: object) -> Running:
    """Waits until the host has written where it is. Raises ClickException with its own words when it ends first."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        running = folder.running()
        if running and running.pid == host.pid:
            return running
        if host.returncode is not None:
            break
        await asyncio.sleep(0.05)
    output.seek(0)  # type: ignore[attr-defined]
    words = output.read().decode(errors="replace").strip()  # type: ignore[attr-defined]
    raise click.ClickException(f"a host could not be started for this call:\n{words[-2000:]}")


async def stopped(host: asyncio.subprocess.Process) -> None:
    """Stops the host in order; by force when it does not follow."""
    if host.returncode is not None:
        return
    host.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(host.wait(), STOP_S)
    except (asyncio.TimeoutError, TimeoutError):
        host.kill()
        await host.wait()
