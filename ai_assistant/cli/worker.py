"""`ai-assistant worker`: a worker in a process of its own, beside a running host."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ai_assistant.cli import run_or_complain

if TYPE_CHECKING:
    from ai_assistant.host.config import HostConfig

log = logging.getLogger(__name__)


@click.command()
@click.option("--data-dir", type=click.Path(file_okay=False, path_type=Path), help="The data folder of the host.")
@click.option("--config", type=click.Path(path_type=Path), help="The same TOML file as the host's.")
@click.option("--site", help="The host's site, where its own run.json is not at hand.")
@click.option("--redis-url", help="The host's Redis; by default what its run.json says.")
@click.option("--max-tasks", type=click.IntRange(1, 10_000), help="Tasks at the same time.  [default: 400]")
@click.option("--grace", type=click.FloatRange(0, 3600), default=10.0, show_default=True, help="Seconds at the end.")
@click.option("--metrics-port", type=click.IntRange(0, 65535), help="Serve this worker's figures at /metrics there.")
@click.option("--metrics-host", default="127.0.0.1", show_default=True, help="The address for that. It has no login.")
@click.option("--log-format", type=click.Choice(["text", "json"]))
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]))
def worker(
    config: Path | None,
    max_tasks: int | None,
    grace: float,
    metrics_port: int | None,
    metrics_host: str,
    **given: Any,
) -> None:
    """Start one more worker. Any number of them share the load."""
    overrides = {key: value for key, value in given.items() if value is not None}
    run_or_complain(start, config, overrides, max_tasks, grace, (metrics_host, metrics_port))


def start(
    config_file: Path | None,
    overrides: dict[str, Any],
    max_tasks: int | None,
    grace: float,
    metrics: tuple[str, int | None] = ("", None),
) -> None:
    """Works until a signal. Raises ConfigError when it finds no host and no Redis."""
    import uvloop

    from ai_assistant.host.config import load_config
    from ai_assistant.host.logs import configure_logs

    config = load_config(config_file, environ=os.environ, overrides=overrides)
    configure_logs(config.log_format, config.log_level)
    uvloop.run(work(joined(config), max_tasks, grace, metrics))


def joined(config: HostConfig) -> HostConfig:
    """The configuration with what the running host says: its Redis, its site, its demonstration model."""
    import msgspec

    from ai_assistant.core.errors import ConfigError
    from ai_assistant.host.run_file import DataFolder

    running = DataFolder(config.data_dir).running()
    if running is None:
        if config.redis_url is None:
            message = f"no host runs on {config.data_dir}. Start it (ai-assistant serve), or give --redis-url"
            raise ConfigError("data_dir", message)
        return config
    config = msgspec.structs.replace(config, site=running.site, redis_url=config.redis_url or running.redis_url)
    for model in [model for model in config.models if model.demo]:
        ready = msgspec.structs.replace(model, api_base=running.demo_base, api_key=running.demo_key)
        config = config.with_model(ready)
    return config


async def work(
    config: HostConfig, max_tasks: int | None, grace: float, metrics: tuple[str, int | None] = ("", None)
) -> None:
    """Runs one worker over the host's database and Redis. `metrics`: address and port of its figures."""
    from ai_assistant.host import accounts  # noqa: F401 - declares the tables that Database.open makes
    from ai_assistant.host.access import HostOpener
    from ai_assistant.host.database import Database
    from ai_assistant.host.runtime import check_redis
    from ai_assistant.worker.metrics_server import metrics_server
    from ai_assistant.worker.options import MAX_TASKS, WorkerOptions
    from ai_assistant.worker.worker import Worker

    url = str(config.redis_url)
    await asyncio.to_thread(check_redis, url)
    database = await asyncio.to_thread(Database.open, config.database)
    options = WorkerOptions(
        grace_s=grace,
        max_tasks=max_tasks or MAX_TASKS,
        trace_redis_urls=(str(config.trace_redis_url),),
        trace_bounds=config.traces.bounds,
    )
    one = Worker(url, config.site, HostOpener(config, database), options=options)
    stop_on_signals(one)
    try:
        host, port = metrics
        async with metrics_server(one.families, port, host) as address:
            print(f"A worker runs for {config.site}.{figures_at(address)}", flush=True)
            await one.run()
    finally:
        database.close()


def figures_at(address: str | None) -> str:
    """Where its figures are, for the line that it prints."""
    return f" Its figures: {address}" if address else ""


def stop_on_signals(one: Any) -> None:
    """The first signal stops in order, a second one at once."""
    asked = False

    def stop() -> None:
        nonlocal asked
        if asked:
            os._exit(1)
        asked = True
        log.info("stopping; a second signal stops at once")
        one.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
