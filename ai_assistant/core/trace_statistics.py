"""What monitoring asks the store of traces: how calls to models went. Who may know it is decided by its callers."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class ModelCall(NamedTuple):
    """One ended generation."""

    model: str
    failed: bool
    ttft_ms: int | None
    """Milliseconds to the first piece of the answer."""
    cost: float | None
    """US dollars."""


class TraceStatistics(Protocol):
    """Part of a store."""

    def model_calls(self, since: int, until: int, limit: int) -> list[ModelCall]:
        """Generations of any user that began from `since` on and before `until` (epoch microseconds), and have
        completed or failed. Those that were cancelled or interrupted say nothing of the model, and are left out. One
        look at an index and `limit` rows at most, the newest of them."""
        ...
