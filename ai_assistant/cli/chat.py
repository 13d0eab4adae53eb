"""`ai-assistant chat`: ask a model from the terminal."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import click
import msgspec

from ai_assistant.cli.context import question
from ai_assistant.cli.follow import Follower
from ai_assistant.cli.local import LocalHost, local_host
from ai_assistant.cli.remote import Remote, RemoteError

CANCELLED_EXIT = 130
CANCEL_S = 5.0


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line asked for."""

    text: str
    model: str | None
    mode: str
    effort: str | None
    conversation: str | None
    url: str | None
    socket_url: str | None
    site: str | None
    user: str | None
    password: str | None
    api_key: str | None
    data_dir: Path | None
    config: Path | None
    events: bool
    reasoning: bool


@click.command()
@click.argument("prompt", default="")
@click.option("-f", "--file", "files", multiple=True, type=click.Path(path_type=Path), help="A file as context.")
@click.option("-m", "--model", help="Which model answers; default: the host's.")
@click.option("--mode", type=click.Choice(["ask", "agent"]), default="ask", show_default=True)
@click.option("--effort", type=click.Choice(["none", "minimal", "low", "medium", "high", "xhigh"]))
@click.option("-c", "--conversation", help="'new', or the name of one to go on with.")
@click.option("--events", is_flag=True, help="Print the raw events as JSON lines.")
@click.option("--reasoning/--no-reasoning", default=True, help="Show the model's thinking.")
@click.option("--url", envvar="AI_ASSISTANT_URL", help="Any host; default: the one running here.")
@click.option("--socket-url", help="Where Socket.IO listens, if not at --url.")
@click.option("--site", help="The site's name, where the host does not tell it.")
@click.option("--user", envvar="AI_ASSISTANT_USER")
@click.option("--password", envvar="AI_ASSISTANT_PASSWORD")
@click.option("--api-key", envvar="AI_ASSISTANT_API_KEY", help="key:secret, instead of user and password.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="The data folder of the host that runs here.")
@click.option("--config", type=click.Path(path_type=Path), help="The TOML file, if a host is started for this.")
def chat(prompt: str, files: tuple[Path, ...], **options: Any) -> None:
    """Ask a model; the answer streams into the terminal. Files and standard input are added as context."""
    text = question(prompt, files)
    try:
        code = asyncio.run(run(Ask(text=text, **options)))
    except RemoteError as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        code = CANCELLED_EXIT
    sys.exit(code)


async def run(ask: Ask) -> int:
    """Asks, shows, and gives the exit code."""
    async with connected(ask) as remote:
        site = ask.site or str((await remote.call("status"))["site"])
        follower = Follower(remote, site, ask.socket_url)
        await follower.connect()
        try:
            return await stream(ask, remote, follower)
        finally:
            await follower.close()


@asynccontextmanager
async def connected(ask: Ask) -> AsyncIterator[Remote]:
    """A host with a user logged in: the one of `--url`, the one that runs here, or one started for this call."""
    if ask.url:
        remote = Remote(ask.url, api_key=ask.api_key)
        try:
            await authenticate(ask, remote)
            yield remote
        finally:
            await remote.close()
        return
    async with local_host(ask.data_dir, ask.config) as host:
        remote = Remote(host.url, api_key=ask.api_key or host.api_key)
        try:
            if ask.user and not ask.api_key:
                await remote.login(ask.user, ask.password or ask_password(ask.user))
            announce(host)
            yield remote
        finally:
            await remote.close()


def announce(host: LocalHost) -> None:
    """Says so when the answer is not a real model's."""
    if host.demo and sys.stderr.isatty():
        click.secho("This is the built-in demonstration model; give a key to talk to a real one.", dim=True, err=True)


async def authenticate(ask: Ask, remote: Remote) -> None:
    """Logs in where no API key is given."""
    if ask.api_key:
        return
    if not ask.user:
        raise click.UsageError("--url needs --api-key key:secret, or --user with --password")
    await remote.login(ask.user, ask.password or ask_password(ask.user))


def ask_password(user: str) -> str:
    """From the terminal; without one there is an error instead of a hang."""
    if not sys.stdin.isatty():
        raise click.UsageError("a password is needed: set AI_ASSISTANT_PASSWORD, or use --api-key")
    return click.prompt(f"Password of {user}", hide_input=True, err=True)


async def stream(ask: Ask, remote: Remote, follower: Follower) -> int:
    """Starts the task and shows its events; Ctrl-C cancels it upstream too."""
    task_id = str(uuid.uuid4())
    interrupted = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupted.set)
    work = asyncio.ensure_future(show(ask, remote, follower, task_id))
    stop = asyncio.ensure_future(interrupted.wait())
    try:
        await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)  # a second Ctrl-C ends at once
            await remote.call("cancel", task_id=task_id)
            await asyncio.wait({work}, timeout=CANCEL_S)
        if not work.done():
            return CANCELLED_EXIT
        return work.result()
    finally:
        stop.cancel()
        work.cancel()


async def show(ask: Ask, remote: Remote, follower: Follower, task_id: str) -> int:
    """Shows the events of the task; the exit code tells how it ended."""
    from ai_assistant.cli.screen import Screen

    started = await remote.call(
        "chat_completion",
        messages=[{"role": "user", "content": ask.text}],
        model=ask.model,
        mode=ask.mode,
        reasoning_effort=ask.effort,
        conversation=ask.conversation,
        task_id=task_id,
        wait=False,
    )
    last: dict[str, Any] = {}
    if ask.events:
        async for last in follower.events(task_id):
            print(json.dumps(last, ensure_ascii=False), flush=True)
        return exit_code(last)
    screen = Screen(show_reasoning=ask.reasoning)
    with screen:
        async for last in follower.events(task_id):
            screen.show(last)
    screen.finish(last)
    if ask.conversation == "new" and started.get("conversation"):
        click.secho(f"Go on with: --conversation {started['conversation']}", dim=True, err=True)
    return exit_code(last)


def exit_code(last: dict[str, Any]) -> int:
    """0 for a completion, 130 for a cancellation, 1 for an error."""
    return {"completion": 0, "cancelled": CANCELLED_EXIT}.get(last.get("type", ""), 1)
