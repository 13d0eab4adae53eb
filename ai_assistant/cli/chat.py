"""`ai-assistant chat`: ask a model from the terminal."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import click
import msgspec

from ai_assistant.cli.context import question
from ai_assistant.cli.follow import SocketFollower
from ai_assistant.cli.local import LocalHost, local_host
from ai_assistant.cli.remote import Remote, RemoteError
from ai_assistant.cli.stream import CANCELLED_EXIT, Question, question_options, stream


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """Which host the command line asked for, and who asks."""

    url: str | None
    socket_url: str | None
    site: str | None
    user: str | None
    password: str | None
    api_key: str | None
    data_dir: Path | None
    config: Path | None


@click.command()
@question_options
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
    host = Host(**{name: options.pop(name) for name in Host.__struct_fields__})
    asked = Question(text=question(prompt, files), **options)
    try:
        code = asyncio.run(run(asked, host))
    except RemoteError as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        code = CANCELLED_EXIT
    sys.exit(code)


async def run(asked: Question, host: Host) -> int:
    """Asks, shows, and gives the exit code."""
    async with connected(host) as remote:
        site = host.site or str((await remote.call("status"))["site"])
        follower = SocketFollower(remote, site, host.socket_url)
        await follower.connect()
        try:
            return await stream(asked, remote, follower)
        finally:
            await follower.close()


@asynccontextmanager
async def connected(host: Host) -> AsyncIterator[Remote]:
    """A host with a user logged in: the one of `--url`, the one that runs here, or one started for this call."""
    if host.url:
        remote = Remote(host.url, api_key=host.api_key)
        try:
            await authenticate(host, remote)
            yield remote
        finally:
            await remote.close()
        return
    async with local_host(host.data_dir, host.config) as here:
        remote = Remote(here.url, api_key=host.api_key or here.api_key)
        try:
            if host.user and not host.api_key:
                await remote.login(host.user, host.password or ask_password(host.user))
            announce(here)
            yield remote
        finally:
            await remote.close()


def announce(host: LocalHost) -> None:
    """Says so when the answer is not a real model's."""
    if host.demo and sys.stderr.isatty():
        click.secho("This is the built-in demonstration model; give a key to talk to a real one.", dim=True, err=True)


async def authenticate(host: Host, remote: Remote) -> None:
    """Logs in where no API key is given."""
    if host.api_key:
        return
    if not host.user:
        raise click.UsageError("--url needs --api-key key:secret, or --user with --password")
    await remote.login(host.user, host.password or ask_password(host.user))


def ask_password(user: str) -> str:
    """From the terminal; without one there is an error instead of a hang."""
    if not sys.stdin.isatty():
        raise click.UsageError("a password is needed: set AI_ASSISTANT_PASSWORD, or use --api-key")
    return click.prompt(f"Password of {user}", hide_input=True, err=True)
