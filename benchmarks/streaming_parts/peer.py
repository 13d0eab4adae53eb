"""The LiteLLM proxy on the same upstream, for comparison."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec

from .child import Child, ChildError

START_S = 180.0


class Proxy(msgspec.Struct, frozen=True, kw_only=True):
    """A proxy that runs."""

    base: str
    key: str
    pid: int


def executable(path: str) -> Path | None:
    """The proxy's program in a virtual environment, or that program itself; `None` where it is not there."""
    given = Path(path).expanduser()
    for candidate in (given, given / "bin" / "litellm"):
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return candidate
    return None


async def version_of(program: Path) -> str:
    """The version of LiteLLM in the proxy's own environment."""
    ask = "import importlib.metadata as m; print(m.version('litellm'))"
    found = await asyncio.create_subprocess_exec(
        str(program.parent / "python"), "-c", ask, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    answer, _ = await asyncio.wait_for(found.communicate(), 30)
    return answer.decode().strip() or "unknown"


def config_text(base: str, paces: Iterable[str]) -> str:
    """The proxy's configuration: a model for each pace."""
    lines = ["model_list:"]
    for pace in paces:
        lines += [f"  - model_name: {pace}", "    litellm_params:", f"      model: openai/{pace}"]
        lines += [f"      api_base: {base}", "      api_key: none"]
    lines += ["litellm_settings:", "  telemetry: false", "general_settings:", "  master_key: os.environ/BENCH_MASTER"]
    return "\n".join(lines) + "\n"


@asynccontextmanager
async def proxy(program: Path, folder: Path, base: str, paces: Iterable[str]) -> AsyncIterator[Proxy]:
    """Starts one worker of it, as it does by itself. Raises ChildError."""
    key, port = f"sk-{secrets.token_hex(16)}", free_port()
    config = folder / "proxy.yaml"
    config.write_text(config_text(base, paces))
    env = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    env |= {"BENCH_MASTER": key, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
    command = [str(program), "--config", str(config), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    async with await Child.start("proxy", command, folder, env) as child:
        output = asyncio.create_task(child.forget_output())
        await answers(f"http://127.0.0.1:{port}/health/liveliness", child)
        yield Proxy(base=f"http://127.0.0.1:{port}/v1", key=key, pid=child.pid)
        await child.stop()
        await output


async def answers(url: str, child: Child) -> None:
    """Waits until it is up. Raises ChildError when it ends first or takes longer than START_S."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as http:
        for _ in range(int(START_S / 0.5)):
            try:
                async with http.get(url) as answer:
                    if answer.status == 200:
                        return
            except (aiohttp.ClientError, asyncio.TimeoutError):
                if child.has_ended:
                    raise ChildError(f"the proxy ended. {child.last_words()}") from None
            await asyncio.sleep(0.5)
    raise ChildError(f"the proxy was not up within {START_S:g} s. {child.last_words()}")


def free_port() -> int:
    """A port that is free now; the proxy takes no listening socket and does not tell one that it chose."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
