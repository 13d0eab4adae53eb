"""`ai-assistant serve`: the embedded host."""

from __future__ import annotations

import logging
import os
import sys
import threading
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import ai_assistant
from ai_assistant.cli import run_or_complain

if TYPE_CHECKING:
    from ai_assistant.host.runtime import Runtime

log = logging.getLogger(__name__)

_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command()
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="Port; 0 takes any free one.  [default: 8000]")
@click.option("--site", help="Name of the site: the Socket.IO namespace.  [default: assistant.localhost]")
@click.option("--data-dir", type=_FOLDER, help="Folder for everything that is kept.")
@click.option("--config", type=click.Path(path_type=Path), help="TOML file with models, users and limits.")
@click.option("--allow-host", "allowed_hosts", multiple=True, help="A further Host name to answer to; repeatable.")
@click.option("--redis-url", help="A Redis to use instead of one of its own.")
@click.option("--log-format", type=click.Choice(["text", "json"]))
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]))
@click.option("--no-browser", is_flag=True, help="Do not open the page in a browser.")
def serve(config: Path | None, no_browser: bool, **given: Any) -> None:
    """Start the embedded host in this process: page, API, sockets, worker, Redis."""
    overrides = {key: value for key, value in given.items() if value not in (None, ())}
    run_or_complain(start, config, overrides, not no_browser)


def start(config_file: Path | None, overrides: dict[str, Any], browser: bool) -> None:
    """Serves until a signal. Raises ConfigError when it cannot start."""
    import uvloop

    from ai_assistant.host.config import load_config
    from ai_assistant.host.logs import configure_logs
    from ai_assistant.host.runtime import Runtime

    config = load_config(config_file, environ=os.environ, overrides=overrides)
    configure_logs(config.log_format, config.log_level)
    raise_file_limit()

    async def main() -> None:
        await Runtime(config, announce=lambda runtime: announce(runtime, browser)).run()

    uvloop.run(main())


def raise_file_limit() -> None:
    """Raises this process's soft limit of open files to its hard one: each socket takes one, and 1,024 is usual."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def announce(runtime: Runtime, browser: bool) -> None:
    """Says where the host is and how to get in."""
    link = runtime.login_link()
    print(f"AI Assistant {ai_assistant.__version__} is running at {runtime.url}  (site {runtime.config.site})")
    print(f"Open this link to log in; it works once, for ten minutes:\n\n    {link}\n")
    if runtime.config.is_demo:
        print(
            "No model is set up, so the built-in demonstration model answers, from prepared texts. For real answers\n"
            "set OPENAI_API_KEY, ANTHROPIC_API_KEY, DEEPSEEK_API_KEY or OLLAMA_HOST, or write a config file.\n"
        )
    sys.stdout.flush()
    if browser and has_display():
        threading.Thread(target=open_browser, args=(link,), daemon=True).start()


def has_display() -> bool:
    """Whether a browser could be shown."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def open_browser(link: str) -> None:
    """Opens the page; a machine without a browser is left alone."""
    try:
        webbrowser.open(link)
    except webbrowser.Error as error:
        log.info("no browser was opened: %s", error)
