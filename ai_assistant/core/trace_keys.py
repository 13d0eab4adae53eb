"""Names of what tracing keeps in Redis. By site; a program that traces needs to know no more than the site's name."""

from __future__ import annotations

from typing import Final

SITES: Final = "ai_assistant:observability:sites"
"""A set: the sites that somebody has sent traces for. A consumer finds its streams by it."""
GROUP: Final = "trace-consumers"
"""The consumer group of each site's stream."""


class ObservabilityKeys:
    """The keys of one site."""

    __slots__ = ("anomalies", "checked", "checking", "consumers", "counts", "dead", "events", "hours", "producers")

    def __init__(self, site: str):
        base = f"ai_assistant:{site}:observability"
        self.events = f"{base}:events"
        """Stream of entries (`core.trace_event`)."""
        self.dead = f"{base}:dead"
        """Stream of dead letters: events that could not be stored. Fields: `p`, `b` (one event), `u`, `error`, `at`
        (epoch ms), `entry`, `tries`."""
        self.consumers = f"{base}:consumers"
        """Hash: consumer's id → JSON of its last heartbeat."""
        self.producers = f"{base}:producers"
        """Hash: producer's id → JSON of its last heartbeat."""
        self.counts = f"{base}:counts"
        """Hash of totals, for monitoring."""
        self.anomalies = f"{base}:anomalies"
        """Hash: model and kind → JSON of an anomaly that stands."""
        self.hours = f"{base}:hours"
        """Hash: hour → JSON of what each model's calls in it came to. A cache of the store's answer."""
        self.checked = f"{base}:checked"
        """JSON of the last check for anomalies."""
        self.checking = f"{base}:checking"
        """Exists while a check for anomalies is at work, or was not long ago."""
