"""The publisher: one background thread per process, which takes what callers left, masks, encodes and delivers it.

It starts with the first event, also in a child process after a fork, and sleeps while there is nothing to do. While its
sink is away it keeps what it has, up to a bound in bytes; beyond it drops the oldest, counts that, and says what it was
in an event of its own as soon as it can.
"""

from __future__ import annotations

import contextlib
import contextvars
import logging
import os
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any, Final

from ai_assistant.tracing.delivery import BEAT_S, Delivery
from ai_assistant.tracing.forks import is_alone, is_short_lived, may_be_short_lived
from ai_assistant.tracing.ids import now_us
from ai_assistant.tracing.lane import Lane
from ai_assistant.tracing.masking import masked_fields
from ai_assistant.tracing.queue import END, START, TRACE, Queue
from ai_assistant.tracing.redact import Redactor
from ai_assistant.tracing.sinks import Sink, SinkAway
from ai_assistant.tracing.span import Span
from ai_assistant.tracing.ticket import Ticket
from ai_assistant.tracing.trace_state import TraceState

log = logging.getLogger("ai_assistant.tracing")

DROWSY_S: Final = 0.5
"""After so long without an event the thread sleeps until there is one."""
ROOT_FLUSH_S: Final = 2.0
"""How long the end of a trace may hold up a background job that would vanish with its events."""
SLICE_ITEMS: Final = 16
SLICE_BYTES: Final = 4 * 1024 * 1024
"""About how much is encoded before it is delivered."""
HELP_ITEMS: Final = 500
"""Items that a caller takes who finds the queue too long."""
LOG_S: Final = 10.0
"""How often the log hears of dropped events."""


class Pipeline:
    """Queue, thread and sink of one client."""

    def __init__(
        self,
        sink: Sink,
        redactor: Redactor,
        *,
        buffer_bytes: int,
        flush_interval: float,
        service: str | None = None,
        clock: Callable[[], int] = now_us,
    ):
        """`clock` gives epoch microseconds."""
        self.sink = sink
        self._redactor = redactor
        self._buffer_bytes = buffer_bytes
        self._slice_bytes = min(SLICE_BYTES, buffer_bytes // 2)
        self._interval = flush_interval
        self._service = service
        self._clock = clock
        self.errors = 0
        """Failures inside tracing itself."""
        self.forked = False
        """Whether this process is a child of the one that made it."""
        self._begin()

    def _begin(self) -> None:
        """What a process has of its own: nothing of it is inherited by a child."""
        self.may_vanish = may_be_short_lived(self.forked)
        """Whether the end of a local root is to be told to `root_ended`."""
        self.queue = Queue(self._wake, self._help)
        self.lanes: dict[str, Lane] = {}
        self._host = socket.gethostname()[:140]
        self._producer = f"{self._host[:40]}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._started_at = self._clock()
        self._lock = threading.RLock()
        """Held by whoever takes items from the queue, or changes a lane."""
        self._starting = threading.Lock()
        self._woken = threading.Event()
        self._tickets: list[Ticket] = []
        self._thread: threading.Thread | None = None
        self._stopping = False
        self.delivery = Delivery(
            self.sink,
            self._redactor,
            self.lanes,
            self._lock,
            self._bound,
            clock=self._clock,
            host=self._host,
            service=self._service,
        )
        self.delivery.errors = lambda: self.errors
        self._busy_at = 0.0
        self._unlogged = 0
        """Dropped events that the log does not know of."""
        self._logged_at = -LOG_S

    def lane(self, site: str) -> Lane:
        """The way to a site."""
        lane = self.lanes.get(site)
        if lane is None:
            with self._lock:
                lane = self.lanes.get(site)
                if lane is None:
                    lane = Lane(site, self._producer)
                    lane.add("hello", self._started_at, None, "", {**self._about(), "started": self._started_at})
                    self.lanes[site] = lane
        return lane

    def after_fork(self) -> None:
        """In a child process: what waits is the parent's to send, and so are its connections."""
        self.sink.after_fork()
        self.forked = True
        self._begin()

    def root_ended(self) -> None:
        """After the end of a local root: a process that is about to vanish delivers at once."""
        if is_short_lived():
            self.flush(ROOT_FLUSH_S)

    # --- the callers' side

    def _wake(self) -> None:
        """Wakes the thread; starts it where there is none."""
        self.queue.asleep = False
        self._woken.set()
        if self._thread is None and not self._stopping:
            self._start()

    def _start(self) -> None:
        with self._starting:
            if self._thread is not None or self._stopping:
                return
            thread = threading.Thread(target=self._run, name="ai_assistant-tracing", daemon=True)
            try:
                contextvars.Context().run(thread.start)  # not below the observation that happens to be current
            except RuntimeError as error:  # the interpreter is ending, or the system has no thread left
                self.failed("starting the publisher", error)
                return
            self._thread = thread

    def _help(self) -> None:
        """The queue is long: whoever comes in takes items out of it, so that memory stays bounded."""
        if self._lock.acquire(blocking=False):
            try:
                self._take_slice(HELP_ITEMS)
            finally:
                self._lock.release()

    def failed(self, what: str, error: BaseException) -> None:
        """Counts a failure of tracing, and logs the first, the tenth, the hundredth …"""
        self.errors += 1
        if str(self.errors).strip("0") == "1":
            log.error("tracing: %s failed (%d failures so far)", what, self.errors, exc_info=error)

    def flush(self, timeout: float) -> bool:
        """Whether everything that was left before this call has been delivered within `timeout` seconds."""
        if threading.current_thread() is self._thread or self._stopping:
            return not (self.waiting() or self.queue.items)
        ticket = Ticket()
        self._tickets.append(ticket)
        self.delivery.retry_at = 0.0
        self._wake()
        if ticket.event.wait(timeout):
            return True
        with contextlib.suppress(ValueError):  # it was delivered at this moment
            self._tickets.remove(ticket)
        return ticket.event.is_set()

    def shutdown(self, timeout: float) -> bool:
        """Delivers what waits, says goodbye and ends the thread, within `timeout` seconds. Whether all was
        delivered."""
        deadline = time.monotonic() + timeout
        delivered = self.flush(timeout) if self.queue.items or self.waiting() else True
        self._stopping = True
        self._woken.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(max(0.1, deadline - time.monotonic()))
        if thread is None or not thread.is_alive():
            delivered = self._say_goodbye() and delivered
            self.sink.close()
        left = self.waiting() + len(self.queue.items)
        if left:
            log.warning(
                "tracing: %d events could not be delivered before the end: %s", left, self.delivery.problem or "no time"
            )
        self.queue.asleep = False  # nothing wakes it any more
        return delivered and not left

    def waiting(self) -> int:
        """Events that wait to be delivered."""
        return sum(len(lane.waiting) + len(lane.flying) for lane in list(self.lanes.values()))

    # --- the thread

    def _run(self) -> None:
        self._linger()
        while not self._stopping:
            self._woken.clear()
            try:
                self._round()
            except Exception as error:  # noqa: BLE001  # counted and logged; the thread must not end
                self.failed("publishing", error)
            self._rest()
            if self.forked and is_alone():
                self._stopping = True
                self._say_goodbye()

    def _round(self) -> None:
        """Takes what was left before now, and delivers it a slice after another, so that memory stays bounded."""
        tickets = list(self._tickets)
        left = len(self.queue.items)
        while True:
            with self._lock:
                left -= self._take_slice(left)
                if left <= 0:
                    for ticket in tickets:
                        if ticket.targets is None:
                            ticket.targets = [(lane, lane.made) for lane in self.lanes.values()]
            self.delivery.deliver()
            if left <= 0:
                break
        for ticket in tickets:
            if ticket.is_due():
                with contextlib.suppress(ValueError):  # whoever waited has given up at this moment
                    self._tickets.remove(ticket)
                ticket.event.set()

    def _rest(self) -> None:
        now = time.monotonic()
        if self.queue.items or self._tickets or self.waiting():
            self._woken.wait(self._interval if not self.delivery.retry_at else min(self._interval, 0.1))
            return
        if now - self._busy_at < DROWSY_S:
            self._woken.wait(self._interval)
            return
        self.queue.asleep = True
        if not self.queue.items:  # what came before it was noted asleep did not wake it
            self._woken.wait(BEAT_S if self.lanes else None)
        self.queue.asleep = False
        if self.queue.items:
            self._linger()

    def _linger(self) -> None:
        """Woken by the first event for a while: waits for more, so that what ends soon is told of once."""
        self._woken.clear()
        if not self._tickets and not self._stopping:
            self._woken.wait(self._interval)

    def _take_slice(self, most: int = sys.maxsize) -> int:
        """Takes up to `most` items, no more than one delivery should hold; gives how many it took."""
        items, count = self.queue.items, 0
        before = self._bytes()
        if items:
            self._busy_at = time.monotonic()
        while items and count < most:
            kind, what = items.popleft()
            count += 1
            try:
                self._take(kind, what)
            except Exception as error:  # noqa: BLE001  # counted and logged; one event must not hold up the others
                self.failed("an event", error)
            if count % SLICE_ITEMS == 0 and self._bytes() - before > self._slice_bytes:
                break
        taken = self._bytes() - before
        self.queue.weight = max(0, self.queue.weight - taken) if items else 0
        self._bound()
        return max(1, count)

    def _bytes(self) -> int:
        return sum(lane.bytes for lane in self.lanes.values())

    def _take(self, kind: int, what: Any) -> None:
        if kind == TRACE:
            self._tell_trace(what)
            return
        span: Span = what
        state = span.state
        lane = state.lane
        if not state.announced:
            self._tell_trace(state)
        if kind == START:
            fields = span.take()
            whole = "ended_at" in fields
            at = fields["ended_at"] if whole else fields["started_at"]
            lane.add("whole" if whole else "start", at, state, span.id, masked_fields(self._redactor, fields))
            lane.open += not whole
        elif kind == END:
            fields = span.fields
            lane.add(
                "end", fields.get("ended_at") or self._clock(), state, span.id, masked_fields(self._redactor, fields)
            )
            lane.open -= 1
            span._sent = None
        elif not span.ended:  # else its end says it
            lane.add("update", self._clock(), state, span.id, masked_fields(self._redactor, span.pending()))

    def _tell_trace(self, state: TraceState) -> None:
        state.queued = False
        state.announced = True
        if state.fields:
            state.lane.add("trace", self._clock(), state, "", masked_fields(self._redactor, dict(state.fields)))

    def _bound(self) -> None:
        """Drops the oldest where more waits than may."""
        total = self._bytes()
        dropped = 0
        while total > self._buffer_bytes:
            lane = max(self.lanes.values(), key=lambda each: len(each.waiting) and each.bytes)
            if not lane.waiting:
                break  # all of it is on its way
            before = lane.bytes
            lane.drop_oldest(self.delivery.problem or "more events than can be delivered")
            total -= before - lane.bytes
            dropped += 1
        self._unlogged += dropped
        if self._unlogged and time.monotonic() - self._logged_at > LOG_S:
            why = self.delivery.problem or "more events than can be delivered"
            log.warning("tracing: %d events were dropped, the oldest first: %s", self._unlogged, why)
            self._unlogged, self._logged_at = 0, time.monotonic()

    def _about(self) -> dict[str, Any]:
        import ai_assistant

        python = ".".join(map(str, sys.version_info[:3]))
        about = {"host": self._host, "pid": os.getpid(), "sdk": ai_assistant.__version__, "python": python}
        return {**about, "service": self._service} if self._service else about

    def _say_goodbye(self) -> bool:
        """The last word of each lane. Whether everything was delivered."""
        try:
            for lane in list(self.lanes.values()):
                with self._lock:
                    while self.queue.items:
                        self._take_slice()
                    if lane.left or not lane.made:
                        continue
                    lane.report_drops(self._clock())
                    lane.add("bye", self._clock(), None, "", {"made": lane.made + 1, "dropped": lane.dropped})
                self.delivery.deliver_lane(lane)
                lane.left = True
                self.sink.leave(lane.site, lane.producer)
        except SinkAway as error:
            self.delivery.problem = str(error)
            return False
        return True

    def status(self) -> dict[str, Any]:
        """Figures for people and for monitoring."""
        lanes = list(self.lanes.values())
        return {
            "producer": self._producer,
            "made": sum(lane.made for lane in lanes),
            "delivered": sum(lane.delivered for lane in lanes),
            "dropped": sum(lane.dropped for lane in lanes),
            "refused": self.delivery.refused,
            "waiting": self.waiting() + len(self.queue.items),
            "waiting_bytes": sum(lane.bytes for lane in lanes),
            "errors": self.errors,
            "masks_failed": self._redactor.failures,
            "problem": self.delivery.problem,
        }
