"""One-time login links, as Jupyter prints them: whoever has the link is logged in, once, within ten minutes."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from threading import Lock

from ai_assistant.core.errors import AuthenticationError
from ai_assistant.host.passwords import hash_secret

#: Seconds that an unused link is good.
LIFETIME = 600.0


class LoginLinks:
    """Links that were given out by this process; they do not survive it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._lock = Lock()
        self._open: dict[str, tuple[str, float]] = {}
        self._used: set[str] = set()

    def create(self, user: str) -> str:
        """The token of a new link for `user`."""
        token = secrets.token_urlsafe(24)
        with self._lock:
            self._open[hash_secret(token)] = (user, self._clock() + LIFETIME)
        return token

    def redeem(self, token: str) -> str:
        """The user of `token`, which is used up by this. Raises AuthenticationError saying what is wrong with it."""
        digest = hash_secret(token)
        with self._lock:
            user, ends = self._open.pop(digest, (None, 0.0))
            if user is not None and self._clock() < ends:
                self._used.add(digest)
                return user
            used = digest in self._used
        if used:
            raise AuthenticationError(
                "This link was used already; it logs in once. Start the server again for another."
            )
        raise AuthenticationError(
            "This link is not valid, or no longer: it is good for ten minutes. Start the server again for another."
        )
