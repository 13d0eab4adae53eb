"""Measures how late an event is: publishes one of its own every few seconds, and waits for it where sockets are fed.

It takes the way of every event through Redis, the subscription and the event loop; what it does not see is the network
to a client. The bridge knows it by its name and by its having no room, so that no other event costs more for it.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid

import msgspec
from redis.exceptions import RedisError

from ai_assistant.host.bridge import CHANNEL, PROBE_EVENT, Bridge
from ai_assistant.streams.connection import worker_client

log = logging.getLogger(__name__)

EVERY_S = 5.0
LIMIT_S = 3.0
"""An event that takes longer counts as lost."""


class DeliveryProbe:
    """The last measurement. Run `run()` as a task."""

    def __init__(self, redis_url: str, bridge: Bridge):
        self.succeeded: bool | None = None
        """None before the first one."""
        self.delivery_s: float | None = None
        self.at = 0.0
        """When it was, in seconds since the epoch."""
        self._site = bridge.site
        self._client = worker_client(redis_url)
        self._nonce = ""
        self._heard: asyncio.Future[None] | None = None
        bridge.on_probe = self._hear

    async def run(self) -> None:
        """Measures until cancelled."""
        while True:
            await self.measure()
            await asyncio.sleep(EVERY_S)

    async def measure(self) -> None:
        """One measurement; a failure of it is its result."""
        try:
            self._note(await self._delivery())
        except (asyncio.TimeoutError, TimeoutError):
            self._note(None, f"it did not arrive within {LIMIT_S:g} s")
        except (RedisError, OSError) as error:
            self._note(None, str(error) or type(error).__name__)

    async def _delivery(self) -> float:
        """Seconds from the publishing to the turn of the event loop after the event's arrival, in which sockets are
        written to."""
        self._nonce = uuid.uuid4().hex
        self._heard = asyncio.get_running_loop().create_future()
        envelope = {"event": PROBE_EVENT, "message": {"nonce": self._nonce}, "namespace": self._site}
        started = time.perf_counter()
        await asyncio.wait_for(self._client.publish(CHANNEL, msgspec.json.encode(envelope)), LIMIT_S)
        await asyncio.wait_for(self._heard, LIMIT_S)
        return time.perf_counter() - started

    def _hear(self, message: str) -> None:
        if self._heard is not None and not self._heard.done() and self._nonce in message:
            self._heard.set_result(None)

    def _note(self, delivery_s: float | None, failure: str = "") -> None:
        succeeded = delivery_s is not None
        if failure and self.succeeded is not False:
            log.warning("an event that was published to measure its delivery was lost: %s", failure)
        self.succeeded, self.delivery_s, self.at = succeeded, delivery_s, time.time()
