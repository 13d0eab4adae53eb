"""`/metrics` of one worker: what this process has done, for those who want to see workers apart.

The totals of all workers are the host's figures (`streams.metrics`). Those here bear the prefix `worker_`, so that a
sum does not count twice; names of OpenTelemetry stay as they are, and whoever scrapes both drops them here
(`deploy/prometheus/scrape.yml`).
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from ai_assistant.core.errors import ConfigError
from ai_assistant.core.metrics import CONTENT_TYPE, NAMED_BY_CONVENTION, Family, gauge, render
from ai_assistant.streams.metrics import total_families
from ai_assistant.streams.model_metrics import gateway_families, model_families
from ai_assistant.worker.process_metrics import process_families

log = logging.getLogger("ai_assistant.worker")

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
OWN = "worker_"

Collect = Callable[[], list[Family]]


def worker_families(info: dict[str, Any], totals: dict[str, int]) -> list[Family]:
    """The figures of one worker: what its heartbeat says, and what it has counted since its start."""
    about = {name: str(info[name]) for name in ("kind", "version", "host", "pid")}
    families = [
        gauge("info", "What this worker is.", 1, **about),
        gauge("running_tasks", "Tasks that it runs.", info["running"]),
        gauge("stopping", "Whether it takes no more tasks.", int(info["stopping"])),
        gauge("window_seconds", "How long it joins deltas before it publishes them.", info["window_ms"] / 1000),
        *total_families({**totals, "accepted": info["taken"]}),
        *model_families(totals),
        *gateway_families([info]),
    ]
    return [*(own(family) for family in families), *process_families()]


def own(family: Family) -> Family:
    """The family under a worker's name, without what only the host can count."""
    if family.name.startswith(NAMED_BY_CONVENTION):
        return family
    name = "tasks_taken_total" if family.name == "tasks_accepted_total" else family.name
    samples = [sample for sample in family.samples if sample.labels.get("type") != "start"]
    help_ = "Tasks that it has taken." if name == "tasks_taken_total" else family.help
    return msgspec.structs.replace(
        family, name=name if name.startswith(OWN) else OWN + name, help=help_, samples=samples
    )


@asynccontextmanager
async def metrics_server(collect: Collect, port: int | None, host: str = "127.0.0.1") -> AsyncIterator[str | None]:
    """Serves `/metrics` while the block runs, and gives its address; does nothing where `port` is None.

    Port 0 takes any that is free. There is no login: by default only this machine can ask. Raises ConfigError where the
    address cannot be used.
    """
    if port is None:
        yield None
        return
    from aiohttp import web

    app = web.Application(middlewares=[only_by_name(host)])
    app.add_routes([web.get("/metrics", answer_with(collect)), web.get("/healthz", healthy)])
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            message = f"{host}:{port} cannot be used: {error.strerror}. Each worker needs a port of its own"
            raise ConfigError("--metrics-port", message) from error
        url = f"http://{bracketed(host)}:{runner.addresses[0][1]}/metrics"
        log.info("figures of this worker: %s", url)
        yield url
    finally:
        await runner.cleanup()


def answer_with(collect: Collect) -> Any:
    """The handler of `/metrics`."""
    from aiohttp import web

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=render(collect()).encode(), headers={"Content-Type": CONTENT_TYPE})

    return answer


async def healthy(_request: Any) -> Any:
    """Says that the event loop turns; nothing more is looked at."""
    from aiohttp import web

    return web.Response(text="ok")


def only_by_name(host: str) -> Any:
    """Refuses other names than this machine's where only this machine is to ask: a page in a browser here could have a
    name of its own point to 127.0.0.1."""
    from aiohttp import web

    @web.middleware
    async def check(request: web.Request, handler: Any) -> web.StreamResponse:
        name = request.host.rpartition(":")[0] if not request.host.endswith("]") else request.host
        name = (name or request.host).strip("[]").lower()
        if host in LOOPBACK and name not in LOOPBACK:
            raise web.HTTPMisdirectedRequest(text="Ask by the name localhost or 127.0.0.1.")
        return await handler(request)

    return check


def bracketed(host: str) -> str:
    """An address as a URL holds it."""
    return f"[{host}]" if ":" in host else host
