"""`ai-assistant user` over a real database."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ai_assistant.cli import main
from ai_assistant.host.apikeys import ApiKeys
from ai_assistant.host.database import Database
from ai_assistant.host.sessions import Sessions
from ai_assistant.host.users import Users


class Cli:
    """Runs the command in one data folder."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __call__(self, *arguments: str, given: str = "") -> Result:
        words = ["user", "--data-dir", str(self.folder), *arguments]
        return CliRunner(env={"AI_ASSISTANT_USER_PASSWORD": ""}).invoke(main, words, input=given)

    def database(self) -> Database:
        """The database that the command works on."""
        return Database.open(self.folder / "assistant.db")


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """The command."""
    return Cli(tmp_path)


def test_add_list_disable_enable(cli: Cli) -> None:
    result = cli("add", "ann", "--full-name", "Ann A", "--role", "AI Manager", given="password of ann\n")
    assert (result.exit_code, result.output) == (0, "Added ann.\n")
    assert "ann\tAnn A\tenabled, password, AI Manager" in cli("list").output
    users = Users(cli.database())
    assert users.login("ann", "password of ann").is_manager
    assert cli("disable", "ann").exit_code == 0
    assert users.login("ann", "password of ann") is None
    assert "disabled" in cli("list").output
    assert cli("enable", "ann").exit_code == 0
    assert users.login("ann", "password of ann")


def test_a_password_is_set_and_ends_sessions(cli: Cli) -> None:
    cli("add", "ann", given="password of ann\n")
    database = cli.database()
    session = Sessions(database).create(Users(database).get("ann"))
    assert cli("set-password", "ann", given="another password\n").exit_code == 0
    assert Sessions(database).get(session.sid) is None
    assert Users(database).login("ann", "another password")
    result = cli("set-password", "Administrator", given="password of admin\n")
    assert result.exit_code == 0
    assert Users(database).login("Administrator", "password of admin").is_manager


def test_an_api_key_is_made_and_revoked(cli: Cli) -> None:
    cli("add", "bot", "--no-password")
    made = cli("api-key", "bot", "--label", "ci")
    key, secret = made.output.strip().split(":")
    assert ApiKeys(cli.database()).login(key, secret).name == "bot"
    assert cli("api-key", "bot", "--revoke", key).output == f"Revoked {key}.\n"
    assert ApiKeys(cli.database()).login(key, secret) is None


@pytest.mark.parametrize(
    ("arguments", "given", "words"),
    [
        (("add", "a b"), "password of ann\n", "cannot be a user's name"),
        (("add", "ann"), "short\n", "8 to 512 characters"),
        (("disable", "nobody"), "", "no user 'nobody'"),
        (("set-password", "nobody"), "password of ann\n", "no user 'nobody'"),
        (("api-key", "nobody"), "", "no enabled user 'nobody'"),
        (("api-key", "nobody", "--revoke", "x"), "", "no key 'x'"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(cli: Cli, arguments: tuple[str, ...], given: str, words: str) -> None:
    result = cli(*arguments, given=given)
    assert result.exit_code == 2
    assert words in result.output
    assert len(result.output.splitlines()) == 1
