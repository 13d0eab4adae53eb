"""API keys: `Authorization: token <key>:<secret>`, as Frappe has them."""

from __future__ import annotations

import secrets
import time

import sqlalchemy as sa

from ai_assistant.core.session import User
from ai_assistant.host.accounts import API_KEYS, USERS
from ai_assistant.host.database import Database
from ai_assistant.host.passwords import hash_secret, same_hash
from ai_assistant.host.users import user_of


class ApiKeys:
    """The table of API keys. Every method blocks; call it from a thread."""

    def __init__(self, database: Database):
        self._database = database

    def create(self, user: User, label: str = "") -> tuple[str, str]:
        """A new key and its secret; the secret is shown only here, the table holds its hash."""
        key, secret = secrets.token_hex(8), secrets.token_hex(16)
        values = {
            "key": key,
            "secret_hash": hash_secret(secret),
            "user": user.name,
            "label": label,
            "created": time.time(),
        }
        with self._database.write() as connection:
            connection.execute(API_KEYS.insert().values(**values))
        return key, secret

    def login(self, key: str, secret: str) -> User | None:
        """The enabled user whose key and secret these are, or None."""
        query = (
            sa.select(USERS, API_KEYS.c.secret_hash)
            .join(USERS, USERS.c.name == API_KEYS.c.user)
            .where(API_KEYS.c.key == key, USERS.c.enabled)
        )
        with self._database.read() as connection:
            row = connection.execute(query).mappings().first()
        expected = row["secret_hash"] if row else hash_secret("")
        return user_of(row) if same_hash(hash_secret(secret), expected) and row else None

    def live_keys(self) -> set[str]:
        """Every key that would be accepted now."""
        query = sa.select(API_KEYS.c.key).join(USERS, USERS.c.name == API_KEYS.c.user).where(USERS.c.enabled)
        with self._database.read() as connection:
            return set(connection.execute(query).scalars())

    def revoke(self, key: str) -> bool:
        """Removes a key; False when there is none."""
        with self._database.write() as connection:
            return connection.execute(API_KEYS.delete().where(API_KEYS.c.key == key)).rowcount > 0

    def revoke_label(self, label: str) -> None:
        """Removes every key with this label."""
        with self._database.write() as connection:
            connection.execute(API_KEYS.delete().where(API_KEYS.c.label == label))

    def keys_of(self, user: str) -> list[tuple[str, str]]:
        """Key and label of a user's keys, oldest first."""
        query = sa.select(API_KEYS.c.key, API_KEYS.c.label).where(API_KEYS.c.user == user).order_by(API_KEYS.c.created)
        with self._database.read() as connection:
            return [(row.key, row.label) for row in connection.execute(query)]
