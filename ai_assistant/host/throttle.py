"""Slows down guessing: failed logins per user and per address in a sliding window."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from ai_assistant.core.errors import TooManyRequestsError

#: Seconds that a failure counts.
WINDOW = 300.0
#: Failures within WINDOW for one user from one address, for one user from anywhere, and from one address.
PER_USER_AND_ADDRESS, PER_USER, PER_ADDRESS = 5, 50, 30
#: Names and addresses remembered at most; the oldest go first.
MAX_KEYS = 10_000


class LoginThrottle:
    """Counts failures in memory. Used from one thread at a time per call; a lost count does no harm."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._failures: dict[str, deque[float]] = {}

    def check(self, user: str, address: str) -> None:
        """Raises TooManyRequestsError (429) saying when the next try is allowed."""
        now = self._clock()
        for key, limit in self._keys(user, address):
            times = self._recent(key, now)
            if len(times) >= limit:
                wait = times[-limit] + WINDOW - now
                raise TooManyRequestsError(
                    f"Too many failed logins. Try again in {max(1, round(wait))} seconds.", retry_after=wait
                )

    def failed(self, user: str, address: str) -> None:
        """Remembers a failure."""
        now = self._clock()
        for key, _ in self._keys(user, address):
            self._failures.setdefault(key, deque(maxlen=PER_USER)).append(now)
        while len(self._failures) > MAX_KEYS:
            del self._failures[next(iter(self._failures))]

    def succeeded(self, user: str, address: str) -> None:
        """Forgets this user's failures from this address."""
        self._failures.pop(f"both:{user}\n{address}", None)

    def _recent(self, key: str, now: float) -> deque[float]:
        times = self._failures.get(key) or deque()
        while times and times[0] <= now - WINDOW:
            times.popleft()
        return times

    def _keys(self, user: str, address: str) -> tuple[tuple[str, int], ...]:
        return (
            (f"both:{user}\n{address}", PER_USER_AND_ADDRESS),
            (f"user:{user}", PER_USER),
            (f"address:{address}", PER_ADDRESS),
        )
