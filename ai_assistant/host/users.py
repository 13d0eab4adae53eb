"""Users of the embedded host."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from ai_assistant.core.errors import DoesNotExistError, ValidationError
from ai_assistant.core.session import GUEST, User
from ai_assistant.host.accounts import SESSIONS, USERS
from ai_assistant.host.database import Database
from ai_assistant.host.passwords import hash_password, verify_password

_NAME = re.compile(r"[^\s\x00-\x1f/\\:,;\"'<>]{1,140}")


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A user as the host keeps it."""

    user: User
    enabled: bool
    has_password: bool


class Users:
    """The table of users. Every method is one transaction and blocks; call it from a thread."""

    def __init__(self, database: Database):
        self._database = database

    def get(self, name: str) -> User | None:
        """An enabled user, or None."""
        query = sa.select(USERS).where(USERS.c.name == name, USERS.c.enabled)
        with self._database.read() as connection:
            row = connection.execute(query).mappings().first()
        return user_of(row) if row else None

    def list(self) -> list[Account]:
        """Every user, disabled ones too, by name."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(USERS).order_by(USERS.c.name)).mappings().all()
        return [
            Account(user=user_of(row), enabled=row["enabled"], has_password=row["password"] is not None) for row in rows
        ]

    def add(self, name: str, *, full_name: str = "", roles: Iterable[str] = (), password: str | None = None) -> User:
        """A new user. Raises ValidationError for a name that is taken or cannot be one."""
        check_name(name)
        values = {
            "name": name,
            "full_name": full_name or name,
            "roles": json.dumps(sorted(set(roles))),
            "enabled": True,
            "password": hash_password(password) if password is not None else None,
            "created": time.time(),
        }
        try:
            with self._database.write() as connection:
                connection.execute(USERS.insert().values(**values))
        except IntegrityError as error:
            raise ValidationError(f"There already is a user {name!r}.") from error
        return user_of(values)

    def ensure(
        self,
        name: str,
        *,
        full_name: str = "",
        roles: Iterable[str] = (),
        password: str | None = None,
        password_hash: str | None = None,
    ) -> User:
        """The user with these properties, made or changed as needed. A password of None leaves it as it is."""
        if self._row(name) is None:
            self.add(name, full_name=full_name, roles=roles, password=password)
        self._update(name, full_name=full_name or name, roles=json.dumps(sorted(set(roles))))
        row = self._must(name)
        if password is not None and not verify_password(password, row["password"]):
            self.set_password(name, password)
        if password_hash is not None and password_hash != row["password"]:
            self._store_password(name, password_hash)
        return user_of(row)

    def follow_config(self, names: Iterable[str]) -> list[str]:
        """Lets in whom the configuration has anew, and keeps out whom it had at the last start and has no more; gives
        the names of these. Users who were never in it are left alone."""
        names = set(names)
        with self._database.read() as connection:
            known = connection.execute(sa.select(USERS.c.name, USERS.c.from_config)).all()
        for name, had in known:
            if name in names and not had:
                self._update(name, from_config=True, enabled=True)
        gone = [name for name, had in known if had and name not in names]
        for name in gone:
            self._update(name, from_config=False)
            self.set_enabled(name, False)
        return gone

    def set_enabled(self, name: str, enabled: bool) -> None:
        """Lets a user in or keeps them out; disabling ends their sessions. Raises DoesNotExistError."""
        self._must(name)
        self._update(name, enabled=enabled)
        if not enabled:
            self._end_sessions(name)

    def set_password(self, name: str, password: str) -> None:
        """A new password; ends the user's sessions. Raises DoesNotExistError, ValidationError."""
        self._must(name)
        self._store_password(name, hash_password(password))

    def login(self, name: str, password: str) -> User | None:
        """The enabled user whose password this is, or None. Takes equally long in every case."""
        row = self._row(name)
        matches = verify_password(password, row["password"] if row else None)
        return user_of(row) if row and matches and row["enabled"] else None

    def any_password(self) -> bool:
        """Whether somebody can log in by password."""
        query = sa.select(USERS.c.name).where(USERS.c.password.is_not(None), USERS.c.enabled).limit(1)
        with self._database.read() as connection:
            return connection.execute(query).first() is not None

    def _row(self, name: str) -> sa.RowMapping | None:
        with self._database.read() as connection:
            return connection.execute(sa.select(USERS).where(USERS.c.name == name)).mappings().first()

    def _must(self, name: str) -> sa.RowMapping:
        row = self._row(name)
        if row is None:
            raise DoesNotExistError(f"There is no user {name!r}.")
        return row

    def _update(self, name: str, **values: object) -> None:
        with self._database.write() as connection:
            connection.execute(USERS.update().where(USERS.c.name == name).values(**values))

    def _store_password(self, name: str, password_hash: str) -> None:
        self._update(name, password=password_hash)
        self._end_sessions(name)

    def _end_sessions(self, name: str) -> None:
        with self._database.write() as connection:
            connection.execute(SESSIONS.delete().where(SESSIONS.c.user == name))


def user_of(row: sa.RowMapping | dict) -> User:
    """The User of a row."""
    return User(name=row["name"], full_name=row["full_name"], roles=frozenset(json.loads(row["roles"])))


def check_name(name: str) -> None:
    """Raises ValidationError unless `name` can stand in a room, a key and a log line."""
    if not _NAME.fullmatch(name) or not name.isprintable() or name == GUEST:
        raise ValidationError(
            f"{name!r} cannot be a user's name: use 1 to 140 characters without spaces, quotes or / \\ : , ; < >."
        )
