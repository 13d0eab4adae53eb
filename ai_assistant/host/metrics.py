"""Figures of the embedded host: those of its tasks and traces, from Redis, and those of its own process."""

from __future__ import annotations

import platform

import redis

import ai_assistant
from ai_assistant.core.metrics import Family, counter, counters, gauge, probe_families
from ai_assistant.host.bridge import Bridge
from ai_assistant.host.errors import ERROR_COUNTS
from ai_assistant.host.probe import DeliveryProbe
from ai_assistant.host.sockets import Sockets
from ai_assistant.streams.metrics import collect
from ai_assistant.streams.tasks import Tasks
from ai_assistant.traces.metrics import Bounds, trace_families
from ai_assistant.worker.process_metrics import process_families

SOCKET_STATES = ("connected", "disconnected", "refused", "slow_dropped", "never_joined")


class HostMeters:
    """Reads counters that the event loop keeps; may be called from any thread."""

    def __init__(self, sockets: Sockets, bridge: Bridge, probe: DeliveryProbe | None = None):
        self._sockets = sockets
        self._bridge = bridge
        self._probe = probe
        self._traces: tuple[redis.Redis, Bounds] | None = None

    def watch_traces(self, client: redis.Redis, bounds: Bounds) -> None:
        """Says where the traces' stream is, which may be another Redis than that of the tasks, and what it may hold."""
        self._traces = client, bounds

    def collect(self, tasks: Tasks) -> list[Family]:
        """Everything."""
        return [
            self._build(),
            *collect(tasks),
            *self._trace_families(),
            *self._socket_families(),
            *self._probe_families(),
            *process_families(),
        ]

    def _trace_families(self) -> list[Family]:
        if self._traces is None:
            return []
        client, bounds = self._traces
        return trace_families(client, [self._sockets.site], bounds)

    def _build(self) -> Family:
        labels = {"version": ai_assistant.__version__, "python": platform.python_version(), "site": self._sockets.site}
        return gauge("build_info", "What runs here.", 1, host="embedded", **labels)

    def _socket_families(self) -> list[Family]:
        states = {state: self._sockets.counts.get(state, 0) for state in SOCKET_STATES}
        bridge = self._bridge.counts
        text = "Sockets by what became of them; slow_dropped: too many events waited for it."
        reconnects = self._bridge.subscriber.counts.get("reconnects", 0)
        return [
            gauge("socket_connections", "Sockets that are connected.", self._sockets.connected()),
            counters("sockets_total", text, "state", states),
            counter("bridge_events_total", "Events that came from Redis for sockets.", bridge.get("events", 0)),
            counter("bridge_deliveries_total", "Events times the sockets they went to.", bridge.get("deliveries", 0)),
            counter("bridge_malformed_total", "Messages from Redis that were no event.", bridge.get("malformed", 0)),
            counter("bridge_reconnects_total", "Times that the subscription to Redis ended.", reconnects),
            counter("unexpected_errors_total", "Requests that failed inside.", ERROR_COUNTS.get("unexpected", 0)),
        ]

    def _probe_families(self) -> list[Family]:
        probe = self._probe
        if probe is None or probe.succeeded is None:
            return []
        return probe_families(probe.at, {"inside": probe.delivery_s})
