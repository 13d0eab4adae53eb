"""The users of the configuration, from one start to the next."""

from __future__ import annotations

from pathlib import Path

import pytest

from ai_assistant.host import accounts  # noqa: F401 - declares the tables that Database.open makes
from ai_assistant.host.accounts_setup import prepare_accounts
from ai_assistant.host.auth import Auth
from ai_assistant.host.config import load_config
from ai_assistant.host.database import Database


def start(folder: Path, *names: str) -> Auth:
    """The accounts after a start with these users in the configuration."""
    users = "".join(f'[[users]]\nname = "{name}"\n' for name in names)
    (folder / "config.toml").write_text(users)
    config = load_config(folder / "config.toml", environ={}, overrides={"data_dir": str(folder)})
    return prepare_accounts(config, Database.open(folder / "assistant.db"))


def test_who_leaves_the_configuration_is_kept_out_and_comes_back_with_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    auth = start(tmp_path, "ada", "bob")
    auth.users.add("cli-user")
    bob = auth.users.get("bob")
    assert bob
    session, (key, secret) = auth.sessions.create(bob), auth.api_keys.create(bob)
    assert auth.sessions.get(session.sid)
    assert auth.api_keys.login(key, secret)

    auth = start(tmp_path, "ada")
    assert auth.users.get("bob") is None
    assert "bob is no longer in the configuration" in caplog.text
    assert auth.users.get("ada")
    assert auth.users.get("cli-user"), "was never the configuration's"
    assert auth.users.get("Administrator")
    assert auth.sessions.get(session.sid) is None
    assert auth.api_keys.login(key, secret) is None

    assert start(tmp_path, "ada", "bob").users.get("bob")


def test_who_was_disabled_by_hand_stays_so(tmp_path: Path) -> None:
    start(tmp_path, "ada").users.set_enabled("ada", False)
    assert start(tmp_path, "ada").users.get("ada") is None
