"""`ai-assistant traces`: how the traces of an embedded host stand, what could not be stored, and a consumer alone."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ai_assistant.cli import run_or_complain
from ai_assistant.traces.consumer_command import Target, dead_letters_command, status_command

if TYPE_CHECKING:
    from ai_assistant.host.config import HostConfig


@click.group()
@click.option("--data-dir", type=click.Path(file_okay=False, path_type=Path), help="The data folder of the host.")
@click.option("--config", type=click.Path(path_type=Path), help="The same TOML file as the host's.")
@click.option("--site", help="The host's site, where its own run.json is not at hand.")
@click.option("--redis-url", help="The Redis of the traces; by default what the file or the host's run.json says.")
@click.pass_context
def traces(ctx: click.Context, config: Path | None, **given: Any) -> None:
    """Traces of the embedded host."""
    ctx.obj = (config, {key: value for key, value in given.items() if value is not None})


@contextmanager
def opened(ctx: click.Context) -> Iterator[Target]:
    """The host's site, and a client of the Redis of its traces."""
    from ai_assistant.streams.connection import request_client

    config = run_or_complain(configured, *ctx.obj)
    with request_client(str(config.trace_redis_url)) as client:
        yield Target(client, config.site)


def configured(config_file: Path | None, overrides: dict[str, Any]) -> HostConfig:
    """The configuration, with what a running host says. Raises ConfigError when it finds no host and no Redis."""
    from ai_assistant.cli.worker import joined
    from ai_assistant.host.config import load_config

    return joined(load_config(config_file, environ=os.environ, overrides=overrides))


traces.add_command(status_command(opened))
traces.add_command(dead_letters_command(opened))


@traces.command()
@click.option("--log-format", type=click.Choice(["text", "json"]))
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]))
@click.pass_obj
def consume(given: tuple[Path | None, dict[str, Any]], **logs: str | None) -> None:
    """Store traces in a process of its own, until a signal. Any number of them share the load.

    A host, and each `ai-assistant worker`, stores them too: this is for more of it, or for a machine of its own.
    """
    config_file, overrides = given
    run_or_complain(start, config_file, overrides | {key: value for key, value in logs.items() if value is not None})


def start(config_file: Path | None, overrides: dict[str, Any]) -> None:
    """Works until a signal. Raises ConfigError when it finds no host and no Redis."""
    from ai_assistant.host.logs import configure_logs

    config = configured(config_file, overrides)
    configure_logs(config.log_format, config.log_level)
    asyncio.run(work(config))


async def work(config: HostConfig) -> None:
    """Runs one consumer over the host's database."""
    from ai_assistant.cli.worker import stop_on_signals
    from ai_assistant.host import accounts  # noqa: F401 - declares the tables that Database.open makes
    from ai_assistant.host.access import HostOpener
    from ai_assistant.host.database import Database
    from ai_assistant.host.runtime import check_redis
    from ai_assistant.worker.traces import TraceConsumers

    url = str(config.trace_redis_url)
    await asyncio.to_thread(check_redis, url)
    database = await asyncio.to_thread(Database.open, config.database)
    consumers = TraceConsumers((url,), HostOpener(config, database))
    consumers.serve((config.site,))
    stop_on_signals(consumers)
    try:
        print(f"Traces of {config.site} are stored.", flush=True)
        await consumers.run()
    finally:
        database.close()
