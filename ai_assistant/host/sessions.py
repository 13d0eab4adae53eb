"""Sessions: what a `sid` cookie stands for.

The sid is 192 random bits; the table holds its SHA-256. A session ends WEEK after its last use, at the latest after
a quarter of a year, when its user is disabled or gets another password, or by logging out.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time

import msgspec
import sqlalchemy as sa

from ai_assistant.core.session import User
from ai_assistant.host.accounts import SESSIONS, USERS
from ai_assistant.host.database import Database
from ai_assistant.host.passwords import hash_secret
from ai_assistant.host.users import user_of

WEEK = 7 * 24 * 3600.0
LONGEST = 90 * 24 * 3600.0
#: Seconds between two writes of `seen` for one session.
TOUCH_INTERVAL = 600.0
MAX_SID_LENGTH = 128
_SHOWN = (SESSIONS.c.sid_hash, SESSIONS.c.csrf_given, SESSIONS.c.seen)


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A session that is still good."""

    sid: str
    user: User
    csrf_given: bool

    @property
    def csrf_token(self) -> str:
        """The token that belongs to this session: derived from the sid, so that nothing more need be stored."""
        return csrf_token(self.sid)


def csrf_token(sid: str) -> str:
    """HMAC-SHA256 of a fixed label under the sid, as hex."""
    return hmac.new(sid.encode(), b"csrf", hashlib.sha256).hexdigest()


class Sessions:
    """The table of sessions. Every method blocks; call it from a thread."""

    def __init__(self, database: Database):
        self._database = database

    def create(self, user: User) -> Session:
        """A new session without a CSRF token: plain API logins need none."""
        sid = secrets.token_hex(24)
        now = time.time()
        values = {
            "sid_hash": hash_secret(sid),
            "user": user.name,
            "csrf_given": False,
            "created": now,
            "seen": now,
            "expires": now + WEEK,
        }
        with self._database.write() as connection:
            connection.execute(SESSIONS.delete().where(SESSIONS.c.expires < now))
            connection.execute(SESSIONS.insert().values(**values))
        return Session(sid=sid, user=user, csrf_given=False)

    def get(self, sid: str) -> Session | None:
        """The session behind `sid`, or None when it is unknown, over, or its user disabled. Prolongs it."""
        if not sid or len(sid) > MAX_SID_LENGTH:
            return None
        now = time.time()
        row = self._live_row(hash_secret(sid), now)
        if row is None:
            return None
        if now - row["seen"] > TOUCH_INTERVAL:
            self._touch(row, now)
        return Session(sid=sid, user=user_of(row), csrf_given=row["csrf_given"])

    def give_csrf(self, session: Session) -> str:
        """The CSRF token for a page; from now on writes with this session must bring it."""
        if not session.csrf_given:
            self._update(hash_secret(session.sid), csrf_given=True)
        return session.csrf_token

    def end(self, sid: str) -> None:
        """Logs out; an unknown sid changes nothing."""
        with self._database.write() as connection:
            connection.execute(SESSIONS.delete().where(SESSIONS.c.sid_hash == hash_secret(sid)))

    def live_hashes(self) -> set[str]:
        """Hashes of every session that is still good."""
        query = (
            sa.select(SESSIONS.c.sid_hash)
            .join(USERS, USERS.c.name == SESSIONS.c.user)
            .where(SESSIONS.c.expires >= time.time(), USERS.c.enabled)
        )
        with self._database.read() as connection:
            return set(connection.execute(query).scalars())

    def _live_row(self, sid_hash: str, now: float) -> sa.RowMapping | None:
        query = (
            sa.select(
                USERS, SESSIONS.c.sid_hash, SESSIONS.c.csrf_given, SESSIONS.c.seen, SESSIONS.c.created.label("began")
            )
            .join(USERS, USERS.c.name == SESSIONS.c.user)
            .where(SESSIONS.c.sid_hash == sid_hash, SESSIONS.c.expires >= now, USERS.c.enabled)
        )
        with self._database.read() as connection:
            return connection.execute(query).mappings().first()

    def _touch(self, row: sa.RowMapping, now: float) -> None:
        self._update(row["sid_hash"], seen=now, expires=min(now + WEEK, row["began"] + LONGEST))

    def _update(self, sid_hash: str, **values: object) -> None:
        with self._database.write() as connection:
            connection.execute(SESSIONS.update().where(SESSIONS.c.sid_hash == sid_hash).values(**values))
