"""Sends what was stored to an OpenTelemetry collector: observations that have ended as spans, and metrics of them.

The consumer says, after each commit, which observations have ended; only their names are kept here. They are read in a
unit of work of their own, made into spans, and delivered. Nothing here can hold up storing: the queue is bounded, and
what does not fit is counted and given up. What came in over OTLP does not go out: its program can send it to two
places, and an endpoint that leads back here would turn in circles.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Protocol, TypeVar

import msgspec

from ai_assistant.core.errors import ConfigError, DoesNotExistError, ServiceUnavailableError
from ai_assistant.core.metrics import Family, counters, gauge
from ai_assistant.core.otel import OtelConfig
from ai_assistant.core.ports import SiteAccess
from ai_assistant.traces.otlp_histograms import GenAiMetrics
from ai_assistant.traces.otlp_intake import PRODUCER
from ai_assistant.traces.otlp_out import is_whole, request_of, resource_of
from ai_assistant.traces.otlp_post import Mailer
from ai_assistant.traces.otlp_schema import METRICS_REQUEST, METRICS_RESPONSE, TRACE_REQUEST, TRACE_RESPONSE

log = logging.getLogger("ai_assistant.otel")

Result = TypeVar("Result")
Pair = tuple[dict[str, Any], dict[str, Any]]
"""An observation, and its trace."""
BATCH: Final = 512
"""Spans of one request, as OpenTelemetry's SDKs have it."""
DELAY_S: Final = 2.0
"""How long a span waits for others."""
QUEUE: Final = 20_000
"""Names of observations that wait, for all sites; each takes about 150 bytes."""
CONFIG_S: Final = 30.0
"""How long a site's configuration is believed."""
METRICS_S: Final = 60.0
LOOK_S: Final = 1.0
AWAY_S: Final = 5.0
"""How long to wait when a site's database is away."""
LOG_S: Final = 60.0
FLUSH_S: Final = 3.0
"""How long the last spans may take, and the last metrics, when the process ends."""


class Units(Protocol):
    """Opens units of work on sites (`worker.site_thread`)."""

    async def run(self, site: str, work: Callable[[SiteAccess], Result]) -> Result:
        """The result of `work`, committed. Raises what it raises, rolled back."""
        ...

    def close(self) -> None:
        """Ends after the current units."""
        ...


FULL = "the queue is full"


class Figures(msgspec.Struct):
    """What became of the observations that have ended."""

    sent: int = 0
    dropped: int = 0
    """Given up: the queue was full, or the receiver did not take them."""
    rejected: int = 0
    """Refused by the receiver, one by one."""


class Target:
    """One site with an endpoint."""

    def __init__(self, site: str, config: OtelConfig):
        self.site = site
        self.config = config
        self.mailer = Mailer(config)
        self.metrics = GenAiMetrics()


class OtlpSender:
    """Of one process. `run` works until it is cancelled; `offer` never waits."""

    def __init__(self, units: Units, instance: str, *, queue: int = QUEUE, delay_s: float = DELAY_S):
        """`units`: opens units of work; nothing else should wait for its threads. `instance`: names this process
        among those that count the same metrics. `queue`: how many observations may wait."""
        self.figures = Figures()
        self._units = units
        self._instance = instance
        self._limit = queue
        self._delay_s = delay_s
        self._waiting: dict[str, deque[str]] = {}
        self._unsure: dict[str, int] = {}
        """What did not fit before it was known whether the site has an endpoint."""
        self._targets: dict[str, tuple[float, Target | None]] = {}
        self._sending: dict[str, asyncio.Task[None]] = {}
        self._some = asyncio.Event()
        self._logged_at = -LOG_S
        self._metrics_at = time.monotonic() + METRICS_S

    def offer(self, site: str, names: Sequence[str]) -> None:
        """Observations that have ended and are stored: trace id and span id of each. Called on the event loop."""
        known = self._targets.get(site)
        if known and known[1] is None and time.monotonic() < known[0]:
            return
        free = self._limit - self.queued
        if len(names) > free:
            lost = len(names) - max(0, free)
            if known and known[1]:
                self._give_up(lost, FULL)
            else:  # perhaps nothing of this site goes out
                self._unsure[site] = self._unsure.get(site, 0) + lost
        if free > 0:
            self._waiting.setdefault(site, deque()).extend(names[:free])
            self._some.set()

    @property
    def queued(self) -> int:
        """Observations that wait."""
        return sum(map(len, self._waiting.values()))

    def families(self) -> list[Family]:
        """What became of spans, for the worker's own `/metrics`."""
        help_ = "Spans for OpenTelemetry: sent, given up, or refused by the collector."
        return [
            counters("worker_otel_spans_total", help_, "outcome", msgspec.to_builtins(self.figures)),
            gauge("worker_otel_waiting", "Observations that wait to be sent to OpenTelemetry.", self.queued),
        ]

    async def run(self) -> None:
        """Sends until it is cancelled."""
        while True:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._some.wait(), LOOK_S)
                await asyncio.sleep(self._delay_s)
            self._some.clear()
            self._start()
            if time.monotonic() >= self._metrics_at:
                self._metrics_at = time.monotonic() + METRICS_S
                await self._send_metrics()

    def _start(self) -> list[asyncio.Task[None]]:
        """Begins to send what waits; each site's by itself, so that one that does not answer holds up no other."""
        for site, names in self._waiting.items():
            if names and site not in self._sending:
                task = asyncio.get_running_loop().create_task(self._flush(site), name=f"spans of {site}")
                self._sending[site] = task
                task.add_done_callback(functools.partial(self._ended, site))
        return list(self._sending.values())

    def _ended(self, site: str, task: asyncio.Task[None]) -> None:
        del self._sending[site]
        if self._waiting[site]:
            self._some.set()
        if not task.cancelled() and task.exception():
            log.error("OpenTelemetry: sending the spans of %s failed", site, exc_info=task.exception())

    async def flush(self) -> None:
        """Sends what waits now."""
        tasks = self._start()
        if tasks:
            await asyncio.wait(tasks)

    async def _flush(self, site: str) -> None:
        names = self._waiting.get(site)
        while names:
            batch = [names.popleft() for _ in range(min(BATCH, len(names)))]
            try:
                target = await self._target(site)
                lost = self._unsure.pop(site, 0)
                if target is not None and lost:
                    self._give_up(lost, FULL)
                if target is None:
                    names.clear()
                    return
                pairs = await self._units.run(site, lambda access, batch=batch: found(access, batch))
            except ServiceUnavailableError as error:
                names.extendleft(reversed(batch))
                log.warning("OpenTelemetry: traces of %s cannot be read now: %s", site, error)
                await asyncio.sleep(AWAY_S)
                continue
            except DoesNotExistError:
                names.clear()
                return
            await self._send(target, pairs)

    async def _send(self, target: Target, pairs: list[Pair]) -> None:
        if not pairs:
            return
        target.metrics.count(row for row, _ in pairs)
        config = target.config
        if not config.traces_url:
            return
        request = request_of(pairs, target.site, content=config.content, service=config.service)
        try:
            result = await target.mailer.send(config.traces_url, TRACE_REQUEST, request, TRACE_RESPONSE)
        except asyncio.CancelledError:
            self._give_up(len(pairs), "the process ends")
            raise
        if result.ok:
            self.figures.rejected += result.rejected
            self.figures.sent += len(pairs) - result.rejected
        else:
            self._give_up(len(pairs), "the receiver does not take them")

    async def _target(self, site: str) -> Target | None:
        """Where a site's spans go; `None` where nowhere. Looked up again after a while."""
        until, target = self._targets.get(site, (0.0, None))
        if time.monotonic() < until:
            return target
        try:
            config = await self._units.run(site, lambda access: access.otel)
        except ConfigError as error:
            log.error("OpenTelemetry: nothing of %s is sent: %s", site, error)
            config = None
        if config is None or not config.is_on:
            if target:
                await target.mailer.close()
            target = None
        elif target is None or target.config != config:
            if target:
                await target.mailer.close()
            target = Target(site, config)
        self._targets[site] = (time.monotonic() + CONFIG_S, target)
        return target

    async def _send_metrics(self) -> None:
        await asyncio.gather(*(self._send_metrics_of(target) for _, target in self._targets.values() if target))

    async def _send_metrics_of(self, target: Target) -> None:
        config = target.config
        if not config.metrics_url or target.metrics.is_empty:
            return
        resource = resource_of({}, target.site, config.service) | {"service.instance.id": self._instance}
        request = target.metrics.request(resource)
        await target.mailer.send(config.metrics_url, METRICS_REQUEST, request, METRICS_RESPONSE, patience_s=0.0)

    def _give_up(self, count: int, why: str) -> None:
        self.figures.dropped += count
        if time.monotonic() - self._logged_at >= LOG_S:
            self._logged_at = time.monotonic()
            log.error("OpenTelemetry: %d spans were not sent so far: %s", self.figures.dropped, why)

    async def finish(self) -> None:
        """Sends what waits, and the last metrics, as far as FLUSH_S allows; then closes what it holds. After `run`."""
        try:
            await asyncio.wait_for(self.flush(), FLUSH_S)
            await asyncio.wait_for(self._send_metrics(), FLUSH_S)
        except asyncio.TimeoutError:
            if self.queued:
                self._give_up(self.queued, "the process ends")
        sending = list(self._sending.values())
        for task in sending:
            task.cancel()
        await asyncio.gather(*sending, return_exceptions=True)
        for _, target in self._targets.values():
            if target:
                await target.mailer.close()
        self._units.close()


def found(access: SiteAccess, names: Iterable[str]) -> list[Pair]:
    """Those of these observations that are to go out, each with its trace."""
    rows = [row for row in access.traces.rows(list(names)) if is_whole(row) and not came_in(row)]
    traces = {trace: access.traces.get(trace, owner=None) or {} for trace in {row["trace"] for row in rows}}
    return [(row, traces[row["trace"]]) for row in rows]


def came_in(row: dict[str, Any]) -> bool:
    """Whether an observation came from elsewhere over OTLP."""
    return str(row.get("producer") or "").endswith(f":{PRODUCER}")
