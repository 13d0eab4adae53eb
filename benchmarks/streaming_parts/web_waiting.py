"""Calls that wait for their answer, more of them at once than the web server can spare."""

from __future__ import annotations

import asyncio
import time

import msgspec

from .api import Api, ApiError
from .stats import percentile

#: A call that was answered within this time did not wait, in seconds; answers of the load take longer.
AT_ONCE_S = 2.5
#: Between two pings while the calls wait.
PING_EVERY_S = 0.1


class Held(msgspec.Struct, kw_only=True):
    """One waiting call: how long it took, and how its task stood."""

    seconds: float
    status: str
    task_id: str


class Waiting(msgspec.Struct, kw_only=True):
    """What came of calls that asked to wait, all at once."""

    calls: list[Held]
    ping_median_ms: float
    ping_most_ms: float

    @property
    def held(self) -> list[Held]:
        """The calls that did wait."""
        return [call for call in self.calls if call.seconds > AT_ONCE_S]

    @property
    def at_once(self) -> list[Held]:
        """The calls that were given the task as it stood."""
        return [call for call in self.calls if call.seconds <= AT_ONCE_S]

    @property
    def longest_s(self) -> float:
        """The longest call."""
        return max(call.seconds for call in self.calls)


async def waiting(api: Api, model: str, calls: int) -> Waiting:
    """So many calls at once, with pings beside them until the last has ended. Raises ApiError for one that fails."""
    await warm_up(api, calls)
    pings: list[float] = []
    pinging = asyncio.create_task(ping(api, pings))
    try:
        found = await asyncio.gather(*(hold(api, model) for _ in range(calls)))
        if pinging.done():
            await pinging
    finally:
        pinging.cancel()
    for call in found:  # before the upstream goes: broken streams would be held against the model
        await api.call("cancel", task_id=call.task_id)
    if not pings:
        raise ApiError(f"no call waited for long enough to ping meanwhile: {found}")
    ordered = sorted(pings)
    return Waiting(calls=found, ping_median_ms=percentile(ordered, 0.5), ping_most_ms=ordered[-1])


async def warm_up(api: Api, calls: int) -> None:
    """Lets each process of the web server load what it answers with."""
    for _ in range(3):
        await asyncio.gather(*(api.call("get_models") for _ in range(2 * calls)))


async def hold(api: Api, model: str) -> Held:
    """One call that waits as long as it may."""
    start = time.monotonic()
    task = await api.call("chat_completion", messages=[{"role": "user", "content": "Say the tokens."}], model=model)
    return Held(seconds=round(time.monotonic() - start, 2), status=task["status"], task_id=task["task_id"])


async def ping(api: Api, pings: list[float]) -> None:
    """Pings until cancelled; each one's milliseconds go to `pings`."""
    await asyncio.sleep(AT_ONCE_S / 2)  # the calls that do not wait are answered by then
    while True:
        start = time.perf_counter()
        await api.method("frappe.ping")
        pings.append((time.perf_counter() - start) * 1000)
        await asyncio.sleep(PING_EVERY_S)
