"""`ai-assistant user`: users of the embedded host. Works beside a running host, which notices within seconds."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ai_assistant.cli import run_or_complain

if TYPE_CHECKING:
    from ai_assistant.host.apikeys import ApiKeys
    from ai_assistant.host.users import Users

PASSWORD_VARIABLE = "AI_ASSISTANT_USER_PASSWORD"


class Folder:
    """Where the accounts are."""

    def __init__(self, data_dir: Path | None, config: Path | None):
        self.data_dir = data_dir
        self.config = config


@click.group()
@click.option("--data-dir", type=click.Path(file_okay=False, path_type=Path), help="The data folder of the host.")
@click.option("--config", type=click.Path(path_type=Path), help="The host's TOML file.")
@click.pass_context
def user(ctx: click.Context, data_dir: Path | None, config: Path | None) -> None:
    """Users of the embedded host."""
    ctx.obj = Folder(data_dir, config)


@user.command()
@click.argument("name")
@click.option("--full-name", default="")
@click.option("--role", "roles", multiple=True, help="A role; repeatable. 'AI Manager' may see everything.")
@click.option("--no-password", is_flag=True, help="Only API keys for this user.")
@click.pass_obj
def add(folder: Folder, name: str, full_name: str, roles: tuple[str, ...], no_password: bool) -> None:
    """Add a user. The password is asked for, or read from standard input, or AI_ASSISTANT_USER_PASSWORD."""
    password = None if no_password else read_password()

    def run() -> None:
        with accounts(folder) as (users, _):
            users.add(name, full_name=full_name, roles=roles, password=password)

    run_or_complain(run)
    click.echo(f"Added {name}.")


@user.command(name="list")
@click.pass_obj
def list_users(folder: Folder) -> None:
    """List the users."""

    def run() -> None:
        with accounts(folder) as (users, keys):
            for account in users.list():
                found = [key for key, _ in keys.keys_of(account.user.name)]
                states = ["enabled" if account.enabled else "disabled"]
                states += ["password"] if account.has_password else []
                states += [f"{len(found)} API keys"] if found else []
                states += sorted(account.user.roles)
                click.echo(f"{account.user.name}\t{account.user.full_name}\t{', '.join(states)}")

    run_or_complain(run)


@user.command()
@click.argument("name")
@click.pass_obj
def disable(folder: Folder, name: str) -> None:
    """Keep a user out; ends their sessions and sockets."""
    run_or_complain(switch, folder, name, False)
    click.echo(f"Disabled {name}.")


@user.command()
@click.argument("name")
@click.pass_obj
def enable(folder: Folder, name: str) -> None:
    """Let a disabled user in again."""
    run_or_complain(switch, folder, name, True)
    click.echo(f"Enabled {name}.")


def switch(folder: Folder, name: str, enabled: bool) -> None:
    """Enables or disables."""
    with accounts(folder) as (users, _):
        users.set_enabled(name, enabled)


@user.command(name="set-password")
@click.argument("name")
@click.pass_obj
def set_password(folder: Folder, name: str) -> None:
    """Set a password; ends the user's sessions."""
    password = read_password()

    def run() -> None:
        with accounts(folder) as (users, _):
            if name == "Administrator":
                users.ensure(name, full_name=name, roles=("AI Manager",))
            users.set_password(name, password)

    run_or_complain(run)
    click.echo(f"The password of {name} is set.")


@user.command(name="api-key")
@click.argument("name")
@click.option("--label", default="", help="What it is for.")
@click.option("--revoke", "revoked", metavar="KEY", help="Revoke this key instead of making one.")
@click.pass_obj
def api_key(folder: Folder, name: str, label: str, revoked: str | None) -> None:
    """Make an API key for a user. The secret is shown only now."""
    if revoked:
        click.echo(run_or_complain(revoke_key, folder, name, revoked))
    else:
        click.echo(run_or_complain(new_key, folder, name, label))


def new_key(folder: Folder, name: str, label: str) -> str:
    """`<key>:<secret>` of a new key."""
    from ai_assistant.core.errors import DoesNotExistError

    with accounts(folder) as (users, keys):
        found = users.get(name)
        if found is None:
            raise DoesNotExistError(f"There is no enabled user {name!r}.")
        return ":".join(keys.create(found, label))


def revoke_key(folder: Folder, name: str, key: str) -> str:
    """Says that a key of this user was revoked. Raises DoesNotExistError when there is no such key."""
    from ai_assistant.core.errors import DoesNotExistError

    with accounts(folder) as (_, keys):
        if key not in [found for found, _ in keys.keys_of(name)] or not keys.revoke(key):
            raise DoesNotExistError(f"{name} has no key {key!r}.")
    return f"Revoked {key}."


@contextmanager
def accounts(folder: Folder) -> Iterator[tuple[Users, ApiKeys]]:
    """The accounts of a data folder."""
    from ai_assistant.host import accounts as tables  # noqa: F401 - declares the tables that Database.open makes
    from ai_assistant.host.apikeys import ApiKeys
    from ai_assistant.host.config import load_config
    from ai_assistant.host.database import Database
    from ai_assistant.host.users import Users

    overrides = {"data_dir": folder.data_dir} if folder.data_dir else {}
    config = load_config(folder.config, environ=os.environ, overrides=overrides)
    database = Database.open(config.database)
    try:
        yield Users(database), ApiKeys(database)
    finally:
        database.close()


def read_password() -> str:
    """The password: from the environment, from standard input where that is no terminal, else asked for twice."""
    given = os.environ.get(PASSWORD_VARIABLE)
    if given:
        return given
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    return click.prompt("Password", hide_input=True, confirmation_prompt=True)
