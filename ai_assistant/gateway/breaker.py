"""Circuit breaker per model: stops asking a provider that keeps failing, and tries it again after a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

State = Literal["closed", "open", "half_open"]


class CircuitBreaker:
    """Closed: calls pass. After `threshold` failures in a row it opens for `cooldown` seconds; then half-open: one
    probe passes, whose success closes it and whose failure opens it again."""

    def __init__(self, *, threshold: int = 8, cooldown: float = 15.0, clock: Callable[[], float] = time.monotonic):
        self._threshold = threshold
        self._cooldown = cooldown
        self._clock = clock
        self._failures = 0
        self._opened: float | None = None
        self._probing = False

    @property
    def state(self) -> State:
        """Where the breaker stands now."""
        if self._opened is None:
            return "closed"
        return "half_open" if self._probing or self.remaining() == 0 else "open"

    @property
    def failures(self) -> int:
        """Failures since the last success."""
        return self._failures

    def remaining(self) -> float:
        """Seconds until the next probe may pass; 0 when it may now."""
        if self._opened is None:
            return 0.0
        return max(0.0, self._opened + self._cooldown - self._clock())

    def allow(self) -> bool:
        """Whether a call may be made. A caller that gets True must report `succeeded`, `failed` or `abandoned`."""
        if self._opened is None:
            return True
        if self._probing or self.remaining() > 0:
            return False
        self._probing = True
        return True

    def succeeded(self) -> None:
        """The provider answered."""
        self._failures = 0
        self._opened = None
        self._probing = False

    def failed(self) -> None:
        """The provider failed in a way that more calls will not mend."""
        self._failures += 1
        if self._probing or self._failures >= self._threshold:
            self._opened = self._clock()
        self._probing = False

    def abandoned(self) -> None:
        """The call ended without telling anything of the provider (cancelled, or a bad request)."""
        self._probing = False
