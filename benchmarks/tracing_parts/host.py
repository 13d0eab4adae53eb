"""Processes of our own that serve or store: the embedded host, and a consumer alone, over a temporary folder."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import httpx
import redis

from ai_assistant.core.trace_keys import ObservabilityKeys
from ai_assistant.host.run_file import DataFolder, Running

SITE = "assistant.localhost"
MODEL = "scripted"
START_S = 90.0
STOP_S = 30.0
COMMAND = (sys.executable, "-m", "ai_assistant.cli")
FOREIGN = ("REDIS_URL", "OLLAMA_HOST", "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "DEEPSEEK_API_KEY")
"""Variables that would give a process other models or another Redis than the benchmark's."""
TASK_TTL_S = 2

Found = TypeVar("Found")


class PartError(Exception):
    """A process did not start, or did not do its work; the message says which."""


def environment(**more: str) -> dict[str, str]:
    """This process's own, without what would point another one elsewhere."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in FOREIGN and not name.startswith(("AI_ASSISTANT_", "OTEL_"))
    }
    return kept | more


def waited(what: str, look: Callable[[], Found | None], seconds: float) -> Found:
    """What `look` gives once it gives something. Raises PartError after so many seconds."""
    deadline = time.monotonic() + seconds
    while (found := look()) is None:
        if time.monotonic() > deadline:
            raise PartError(f"{what} took longer than {seconds:g} s")
        time.sleep(0.02)
    return found


@contextmanager
def process(name: str, arguments: list[str], folder: Path, env: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A command of this app; its output goes to `<folder>/<name>.log`. Ended by a signal, at last by force."""
    with open(folder / f"{name}.log", "ab") as log:
        child = subprocess.Popen([*COMMAND, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(STOP_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


@contextmanager
def host(folder: Path, redis_url: str, base: str = "http://127.0.0.1:1/v1") -> Iterator[Running]:
    """The embedded host over `<folder>/data`, with one model whose provider is at `base`. Finished tasks are kept for
    TASK_TTL_S only, so that what grows is a leak. Raises PartError."""
    data, config = folder / "data", folder / "host.toml"
    config.write_text(
        f"site = {json.dumps(SITE)}\n"
        'log_level = "warning"\n'
        "[limits]\nrequests_per_minute = 0\nconcurrent_tasks = 0\ntokens_per_day = 0\n"
        f"[tasks]\ntask_ttl_s = {TASK_TTL_S}\n"
        f'[[models]]\nname = "{MODEL}"\nmodel = "openai/m"\napi_base = {json.dumps(base)}\napi_key = "none"\n'
        "max_streams = 1000\n"
    )
    arguments = ["serve", "--port", "0", "--no-browser", "--data-dir", str(data), "--config", str(config)]
    env = environment(AI_ASSISTANT_ADMIN_PASSWORD=secrets.token_urlsafe(16))
    with process("host", [*arguments, "--redis-url", redis_url], folder, env) as child:

        def running() -> Running | None:
            if child.poll() is not None:
                raise PartError(f"the host ended: {(folder / 'host.log').read_text(errors='replace')[-1000:]}")
            return DataFolder(data).running()

        yield waited("the start of the host", running, START_S)


@contextmanager
def consumer(folder: Path, redis_url: str) -> Iterator[int]:
    """A consumer alone over SQLite in `<folder>/data`; gives its process id once it works."""
    arguments = ["traces", "--data-dir", str(folder / "data"), "--site", SITE, "--redis-url", redis_url, "consume"]
    with process("consumer", arguments, folder, environment()) as child, redis.Redis.from_url(redis_url) as client:
        keys = ObservabilityKeys(SITE)
        waited("the consumer's first heartbeat", lambda: client.hlen(keys.consumers) or None, START_S)
        yield child.pid


def caller(running: Running) -> httpx.Client:
    """A client of a host of ours, in the name of Administrator."""
    headers = {"Authorization": f"token {running.api_key}", "Accept": "application/json"}
    return httpx.Client(base_url=running.url, headers=headers, timeout=120, trust_env=False)
