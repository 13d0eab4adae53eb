"""Carries what is published on Redis to the sockets, as Frappe's realtime server does.

The envelope is `frappe.publish_realtime`'s (v15 `frappe/realtime.py`): channel `events`, JSON with `event`,
`message`, `room`, `namespace`. The message itself is neither decoded nor encoded here.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable

import msgspec

from ai_assistant.host.sockets import Sockets
from ai_assistant.host.subscriber import Subscriber

log = logging.getLogger(__name__)

CHANNEL = "events"
PROBE_EVENT = "ai_assistant_probe"
"""Event of the host's own measurement of delivery (`probe.py`); no socket gets it."""
#: Malformed envelopes between two log lines.
LOG_EVERY = 1000


class Envelope(msgspec.Struct):
    """What is published. Without a room Frappe sends to everybody; this host delivers only to rooms."""

    event: str
    namespace: str
    room: str | None = None
    message: msgspec.Raw = msgspec.Raw(b"null")


class Bridge:
    """From the Redis channel to the rooms of one site."""

    def __init__(self, redis_url: str, sockets: Sockets):
        self.counts: Counter[str] = Counter()
        self.site = sockets.site
        self.on_probe: Callable[[str], None] | None = None
        self._publish = sockets.manager.publish
        self._decode = msgspec.json.Decoder(Envelope).decode
        self.subscriber = Subscriber(redis_url, CHANNEL, self.deliver)

    async def run(self) -> None:
        """Runs until cancelled."""
        await self.subscriber.run()

    def deliver(self, data: bytes) -> None:
        """Hands one envelope on; what cannot be read is counted and skipped, other sites' are left alone."""
        try:
            envelope = self._read(data)
            message = str(memoryview(envelope.message), "utf-8")
        except (ValueError, RecursionError) as error:
            self._malformed(error)
            return
        if envelope.namespace != self.site:
            return
        if envelope.room is None:
            self._without_room(envelope.event, message)
            return
        self.counts["events"] += 1
        self.counts["deliveries"] += self._publish(envelope.room, envelope.event, message)

    def _without_room(self, event: str, message: str) -> None:
        if event == PROBE_EVENT and self.on_probe is not None:
            self.on_probe(message)
        else:
            self.counts["without_room"] += 1

    def _read(self, data: bytes) -> Envelope:
        """The envelope; by the standard library where msgspec is stricter than the realtime server of Frappe: it
        takes no lone surrogate and no NaN. Raises ValueError."""
        try:
            return self._decode(data)
        except msgspec.DecodeError:
            envelope = json.loads(data)
            message = json.dumps(envelope.pop("message", None)) if isinstance(envelope, dict) else ""
            return msgspec.structs.replace(msgspec.convert(envelope, Envelope), message=msgspec.Raw(message.encode()))

    def _malformed(self, error: Exception) -> None:
        if self.counts["malformed"] % LOG_EVERY == 0:
            log.warning("a malformed envelope on the channel %r was skipped: %s", CHANNEL, error)
        self.counts["malformed"] += 1
