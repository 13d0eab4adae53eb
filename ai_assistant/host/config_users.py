"""The `[[users]]` of the config file."""

from __future__ import annotations

import re

import msgspec

from ai_assistant.core.errors import ConfigError, ValidationError
from ai_assistant.core.session import GUEST
from ai_assistant.host.config_table import ConfigTable
from ai_assistant.host.passwords import verify_password

_HASH = re.compile(r"scrypt\$\d+\$\d+\$\d+\$[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=]+")


class UserConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A `[[users]]` table."""

    name: str
    full_name: str = ""
    roles: tuple[str, ...] = ()
    password: str | None = None
    """In clear, from the environment."""
    password_hash: str | None = None
    """As `host.passwords.hash_password` gives it."""

    def __repr__(self) -> str:
        """Without the password."""
        return f"UserConfig(name={self.name!r}, roles={self.roles!r})"


def users_of(root: ConfigTable) -> tuple[UserConfig, ...]:
    """The `[[users]]`, each name once."""
    users: dict[str, UserConfig] = {}
    for table in root.tables("users"):
        user = _user(table)
        if user.name in users:
            raise table.error("name", f'"{user.name}" is there twice')
        users[user.name] = user
    return tuple(users.values())


def is_ours(stored: str) -> bool:
    """Whether a login can check this hash: its parameters and its base64 are taken here rather than at the login."""
    try:
        verify_password("", stored)
    except ValueError:
        return False
    return True


def _user(table: ConfigTable) -> UserConfig:
    from ai_assistant.host.users import check_name  # brings SQLAlchemy, which most starts of the CLI do not need

    secret, in_environment = table.secret("password"), table.is_env("password")
    if secret and not in_environment and not _HASH.fullmatch(secret):
        raise table.error("password", "must not stand here in clear; write env:NAME of a variable, or a scrypt hash")
    if secret and not in_environment and not is_ours(secret):
        raise table.error("password", "is no hash that can be checked here; write scrypt$16384$8$1$salt$hash")
    name = table.required("name")
    if name == GUEST:
        raise table.error("name", "Guest is whoever is not logged in; choose another name")
    try:
        check_name(name)
    except ValidationError as error:
        raise table.error("name", error.message) from error
    user = UserConfig(
        name=name,
        full_name=table.text("full_name") or "",
        roles=table.strings("roles"),
        password=secret if in_environment else None,
        password_hash=None if in_environment else secret,
    )
    check_length(table.key("password"), user.password)
    table.done()
    return user


def check_length(key: str, password: str | None) -> None:
    """Raises ConfigError for a password that `host.passwords` would not take."""
    if password is not None and not 8 <= len(password) <= 512:
        raise ConfigError(key, "a password needs 8 to 512 characters")
