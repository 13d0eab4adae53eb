"""Lanes to the sink: in batches, again while it is away, one by one where it refuses."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from ai_assistant.tracing.lane import Lane
from ai_assistant.tracing.redact import Redactor
from ai_assistant.tracing.sinks import Sink, SinkAway, SinkRefused

log = logging.getLogger("ai_assistant.tracing")

BEAT_S: Final = 5.0
"""How often a living producer says so."""
BATCH: Final = 20
"""Entries of one delivery."""
FIRST_WAIT_S: Final = 0.2
LONGEST_WAIT_S: Final = 5.0


class Delivery:
    """Belongs to the publisher's thread, but for `retry_at` and the figures."""

    def __init__(
        self,
        sink: Sink,
        redactor: Redactor,
        lanes: dict[str, Lane],
        lock: threading.RLock,
        bound: Callable[[], None],
        *,
        clock: Callable[[], int],
        host: str,
        service: str | None,
    ):
        """`lock`: held by whoever changes a lane. `bound`: called under it, drops what is too much. `clock` gives epoch
        microseconds."""
        self.sink = sink
        self.refused = 0
        """Events that the receiver will not take."""
        self.problem = ""
        """Why nothing is delivered at the moment; empty while all is well."""
        self.retry_at = 0.0
        self.errors: Callable[[], int] = lambda: 0
        """Failures inside tracing itself, for the sign of life."""
        self._redactor = redactor
        self._lanes = lanes
        self._lock = lock
        self._bound = bound
        self._clock = clock
        self._host = host
        self._service = service
        self._wait_s = FIRST_WAIT_S
        self._beat_at = 0.0
        self._one_by_one = False
        """After a refusal entries go one by one, until one has been refused by itself."""

    def deliver(self) -> None:
        """Sends what waits in every lane, and signs of life when they are due. While the sink is away: nothing."""
        now = time.monotonic()
        if now < self.retry_at:
            return
        is_beat = now - self._beat_at >= BEAT_S
        for lane in list(self._lanes.values()):
            if not (lane.waiting or is_beat):
                continue
            try:
                self.deliver_lane(lane)
            except SinkAway as error:
                self._is_away(error)
                return
        if is_beat:
            self._beat_at = now
        if self.problem:
            log.info("tracing: events are delivered again")
            self.problem = ""
        self.retry_at, self._wait_s = 0.0, FIRST_WAIT_S

    def _is_away(self, error: SinkAway) -> None:
        wait_s = max(self._wait_s, error.retry_after)
        self.retry_at = time.monotonic() + wait_s
        self._wait_s = min(LONGEST_WAIT_S, self._wait_s * 2)
        if not self.problem:
            log.warning("tracing: events wait, trying again: %s", error)
        self.problem = str(error)

    def deliver_lane(self, lane: Lane) -> None:
        """Sends all that waits now, a batch after another. Raises SinkAway."""
        while True:
            with self._lock:
                entries = lane.take_off(1 if self._one_by_one else BATCH)
            try:
                self.sink.send(lane.site, lane.producer, entries, self.beat(lane))
            except SinkRefused as error:
                self._refuse(lane, entries, error)
                if not lane.waiting:
                    return  # what was lost is told behind the next event that is taken: never one refusal of another
            except BaseException:
                with self._lock:
                    lane.came_back()
                    self._bound()
                raise
            else:
                with self._lock:
                    lane.landed()
                if not (self._tell_drops(lane) or lane.waiting):
                    return

    def _refuse(self, lane: Lane, entries: list[list[bytes]], error: SinkRefused) -> None:
        """Gives up an entry that the receiver will never take; of several, it has yet to be found out which."""
        with self._lock:
            lane.came_back()
            self._one_by_one = len(entries) > 1
            if len(entries) != 1:
                return
            for _ in entries[0]:
                lane.drop_oldest(f"refused: {error}"[:300])
        self.refused += len(entries[0])
        log.error("tracing: %d events are refused and given up: %s", len(entries[0]), error)

    def _tell_drops(self, lane: Lane) -> bool:
        with self._lock:
            before = len(lane.waiting)
            lane.report_drops(self._clock())
            return len(lane.waiting) > before

    def beat(self, lane: Lane) -> dict[str, Any]:
        """The producer's sign of life."""
        return {
            "beat": self._clock() // 1000,
            "host": self._host,
            "pid": os.getpid(),
            "service": self._service or "",
            "made": lane.made,
            "dropped": lane.dropped,
            "buffered": len(lane.waiting),  # what flies arrives with this
            "open": lane.open,
            "errors": self.errors(),
            "masks_failed": self._redactor.failures,
        }
