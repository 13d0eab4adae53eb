"""The host that is measured: an embedded one of our own with a temporary data folder, or one that runs already."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from .child import Child, ChildError
from .job import Credential
from .usage import Serving

START_S = 90.0
#: Variables that would give the host other models or another Redis than the benchmark's.
FOREIGN = ("REDIS_URL", "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "DEEPSEEK_API_KEY", "OLLAMA_HOST")
PASSWORD_VARIABLE = "BENCHMARK_PASSWORD"


class Model(msgspec.Struct, frozen=True):
    """A model of the host under test: its name, the upstream's pace, and the transport."""

    name: str
    pace: str
    transport: str = "direct"


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where the load goes."""

    url: str
    site: str
    users: list[Credential]
    idle_users: list[Credential]
    serving: list[Serving]
    """The serving processes; empty where they are unknown, and their CPU and memory with them."""
    socket_url: str = ""


def config_text(
    base: str, models: Iterable[Model], users: Iterable[str], site: str, task_ttl_s: int | None = None
) -> str:
    """The host's configuration: no limits, the upstream's models, and the users."""
    lines = [f"site = {json.dumps(site)}", 'log_level = "warning"', "[limits]"]
    lines += ["requests_per_minute = 0", "concurrent_tasks = 0", "tokens_per_day = 0"]
    if task_ttl_s is not None:
        lines += ["[tasks]", f"task_ttl_s = {task_ttl_s}"]
    for model in models:
        lines += ["[[models]]", f"name = {json.dumps(model.name)}", f"model = {json.dumps(f'openai/{model.pace}')}"]
        lines += [f"api_base = {json.dumps(base)}", 'api_key = "none"', "max_streams = 1000"]
        lines += [f"transport = {json.dumps(model.transport)}"]
    for user in users:
        lines += ["[[users]]", f"name = {json.dumps(user)}", f'password = "env:{PASSWORD_VARIABLE}"']
    return "\n".join(lines) + "\n"


@asynccontextmanager
async def embedded(
    folder: Path, base: str, models: Iterable[Model], users: int, idle_users: int, task_ttl_s: int | None = None
) -> AsyncIterator[Target]:
    """Starts the embedded host with `users` askers and `idle_users` others. Raises ChildError."""
    names = [f"asker{i}@bench.localhost" for i in range(users)]
    idle = [f"idle{i}@bench.localhost" for i in range(idle_users)]
    password, data = secrets.token_urlsafe(16), folder / "data"
    config = folder / "bench.toml"
    config.write_text(config_text(base, models, [*names, *idle], "assistant.localhost", task_ttl_s))
    env = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    env |= {PASSWORD_VARIABLE: password, "AI_ASSISTANT_ADMIN_PASSWORD": password}
    command = [sys.executable, "-m", "ai_assistant.cli", "serve", "--port", "0", "--no-browser"]
    command += ["--data-dir", str(data), "--config", str(config)]
    async with await Child.start("host", command, folder, env) as child:
        output = asyncio.create_task(child.forget_output())
        running = await run_file(data / "run.json", child)
        yield Target(
            url=running.url,
            site=running.site,
            users=[Credential(user=name, password=password) for name in names],
            idle_users=[Credential(user=name, password=password) for name in idle],
            serving=[Serving(running.pid)],
        )
        await child.stop()
        await output


class Running(msgspec.Struct):
    """What is read of the host's `run.json`."""

    pid: int
    url: str
    site: str


async def run_file(path: Path, child: Child) -> Running:
    """Waits for the file. Raises ChildError when the host ends first or takes longer than START_S."""
    for _ in range(int(START_S / 0.1)):
        if (running := read_run_file(path)) is not None:
            return running
        if child.has_ended:
            raise ChildError(f"the host ended. {child.last_words()}")
        await asyncio.sleep(0.1)
    raise ChildError(f"the host wrote no {path.name} within {START_S:g} s. {child.last_words()}")


def read_run_file(path: Path) -> Running | None:
    """What it says; `None` as long as it is not there."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Running)
    except FileNotFoundError:
        return None
