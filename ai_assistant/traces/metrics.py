"""Figures of the traces' pipeline for monitoring: what waits, who stores it, what was lost, what is unusual.

They are sums over the sites that share a Redis, as the figures of tasks are: a bench is scraped at one of its sites,
whose managers need not know what the other sites are called. Two round trips to Redis, none to a database.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
import redis
from redis.exceptions import RedisError

from ai_assistant.core.metrics import Family, Sample, counter, counters, gauge, gauges
from ai_assistant.core.trace_keys import SITES, ObservabilityKeys
from ai_assistant.traces.anomalies import Anomaly
from ai_assistant.traces.anomaly_check import Checked, anomalies_of
from ai_assistant.traces.deadletters import whole
from ai_assistant.traces.health import COUNTS, MISSING
from ai_assistant.traces.heartbeat import ALIVE_MS, age_ms, beats_of
from ai_assistant.traces.ingest import MAX_STREAM_BYTES, MAX_STREAM_ENTRIES
from ai_assistant.traces.intake import PEEK, Backlog, backlog_of

MAX_SITES: Final = 1000
"""Sites that one scrape looks at."""
SILENT_MS: Final = 60_000
"""A producer whose last heartbeat is older has died, or sends over HTTP and has nothing to say."""
EVENTS: Final = {"stored": "stored", "duplicates": "duplicate", "dead": "dead_letter", "dropped": "dropped"}
"""What becomes of an event, by the count that tells of it."""
EVENTS_TEXT: Final = (
    "Events of traces: stored, skipped as duplicates, become dead letters, or dropped by their producer."
)
TOTALS: Final = {
    "batches": "trace_batches_total",
    "failures": "trace_store_failures_total",
    "claimed": "trace_entries_claimed_total",
    "interrupted": "trace_observations_interrupted_total",
    "retried": "trace_dead_letters_retried_total",
}
"""The names of the other counts."""


class Bounds(msgspec.Struct, frozen=True):
    """What may wait in a stream; producers hold their events back beyond it."""

    entries: int = MAX_STREAM_ENTRIES
    bytes: int = MAX_STREAM_BYTES


class Standing(msgspec.Struct, frozen=True):
    """How one site's traces stand."""

    consumers: list[dict[str, Any]]
    """All heartbeats, with `age_ms`."""
    producers: list[dict[str, Any]]
    counts: dict[bytes, bytes]
    backlog: Backlog
    anomalies: list[Anomaly]
    checked: Checked | None

    @property
    def living(self) -> list[dict[str, Any]]:
        """The consumers that live."""
        return [each for each in self.consumers if each["age_ms"] < ALIVE_MS]

    def fill(self, bounds: Bounds) -> float:
        """How full the stream is, from 0 to 1: producers hold back at 1."""
        waiting = self.backlog.bytes if self.backlog.entries else 0
        return max(self.backlog.entries / bounds.entries, waiting / bounds.bytes)

    def count(self, name: str) -> int:
        """One of the totals."""
        return whole(self.counts.get(name.encode()))


def trace_families(
    client: redis.Redis,
    sites: Sequence[str] | None = None,
    bounds: Bounds = Bounds(),  # noqa: B008  # frozen
) -> list[Family]:
    """Everything; that the traces' Redis is away is a figure. Without `sites`: those that somebody has sent traces
    for."""
    try:
        found = look(client, known_sites(client) if sites is None else sites)
    except (RedisError, OSError):
        return [redis_up(0)]
    return [
        redis_up(1),
        *stream_families(found, bounds),
        *consumer_families(found),
        *producer_families(found),
        *count_families(found),
        *anomaly_families(found),
    ]


def redis_up(value: int) -> Family:
    """Whether it answers."""
    return gauge("trace_redis_up", "Whether the Redis of the traces answers.", value)


def known_sites(client: redis.Redis) -> list[str]:
    """The sites whose traces this Redis carries. Raises redis-py's errors."""
    members: Any = client.smembers(SITES)
    return sorted(member.decode(errors="replace") for member in members)[:MAX_SITES]


def look(client: redis.Redis, sites: Sequence[str]) -> list[Standing]:
    """One round trip. Raises redis-py's errors, and OSError."""
    if not sites:
        client.ping()
        return []
    with client.pipeline(transaction=False) as pipe:
        for site in sites:
            keys = ObservabilityKeys(site)
            pipe.hgetall(keys.consumers)
            pipe.hgetall(keys.producers)
            pipe.hgetall(keys.counts)
            pipe.eval(PEEK, 2, keys.events, keys.dead)
            pipe.hgetall(keys.anomalies)
            pipe.get(keys.checked)
        answers: list[Any] = pipe.execute()
    return [standing(*answers[start : start + 6]) for start in range(0, len(answers), 6)]


def standing(consumers: Any, producers: Any, counts: Any, peeked: Any, anomalies: Any, checked: Any) -> Standing:
    """One site's answers, read."""
    backlog = backlog_of(peeked)
    now = backlog.now_ms
    return Standing(
        consumers=[{**beat, "age_ms": age_ms(beat, now)} for beat in beats_of(consumers).values()],
        producers=[{**beat, "age_ms": age_ms(beat, now)} for beat in beats_of(producers).values()],
        counts=counts,
        backlog=backlog,
        anomalies=anomalies_of(anomalies),
        checked=checked_of(checked),
    )


def checked_of(text: bytes | None) -> Checked | None:
    """The last check; `None` where there was none, or another version wrote it."""
    try:
        return msgspec.json.decode(text, type=Checked) if text else None
    except msgspec.DecodeError:
        return None


def stream_families(found: Sequence[Standing], bounds: Bounds = Bounds()) -> list[Family]:  # noqa: B008  # frozen
    """What waits to be stored."""
    backlogs = [site.backlog for site in found]
    fill = "How full the fullest stream is: at 1 its producers hold events back, and later drop the oldest."
    oldest = max((backlog.oldest_ms for backlog in backlogs if backlog.entries), default=0) / 1000
    waiting = sum(backlog.bytes for backlog in backlogs if backlog.entries)
    return [
        gauge("trace_stream_entries", "Entries that no consumer has stored yet.", sum(b.entries for b in backlogs)),
        gauge("trace_stream_bytes", "Memory that they take in Redis.", waiting),
        gauge("trace_stream_fill_ratio", fill, max((site.fill(bounds) for site in found), default=0.0)),
        gauge("trace_stream_oldest_seconds", "How long the oldest of them has waited; 0: none waits.", oldest),
        gauge(
            "trace_dead_letters",
            "Events that could not be stored, and are kept.",
            sum(b.dead_letters for b in backlogs),
        ),
    ]


def consumer_families(found: Sequence[Standing]) -> Iterator[Family]:
    """Who stores."""
    living = [each for site in found for each in site.living]
    unattended = sum(1 for site in found if site.backlog.entries and not site.living)
    yield gauge("trace_consumers", "Consumers whose heartbeat is younger than 15 s, once for each site.", len(living))
    text = "Living consumers that could not store their last batch."
    yield gauge("trace_consumers_failing", text, sum(1 for each in living if each.get("error")))
    text = "Sites whose traces wait while no consumer lives that serves them."
    yield gauge("trace_unattended_sites", text, unattended)
    if ages := [each["age_ms"] for site in found for each in site.consumers]:
        text = (
            "Age of the youngest heartbeat. Consumers that end in order are not listed; without any there is no line."
        )
        yield gauge("trace_consumer_heartbeat_age_seconds", text, min(ages) / 1000)
    if batches := [float(each["batch_ms"]) for each in living if isinstance(each.get("batch_ms"), (int, float))]:
        yield gauge("trace_batch_seconds", "How long the slowest consumer's last batch took.", max(batches) / 1000)


def producer_families(found: Sequence[Standing]) -> list[Family]:
    """Who sends."""
    producers = [each for site in found for each in site.producers]
    silent = sum(1 for each in producers if each["age_ms"] >= SILENT_MS)
    states = {"living": float(len(producers) - silent), "silent": float(silent)}
    waiting = "Events that wait inside producers for the stream to take them."
    return [
        gauges(
            "trace_producers",
            "Processes that send traces, by whether they were heard within a minute.",
            "state",
            states,
        ),
        gauge("trace_producer_buffered_events", waiting, total(producers, "buffered")),
        gauge(
            "trace_producer_dropped_events", "Events that living producers have given up.", total(producers, "dropped")
        ),
        gauge("trace_open_observations", "Observations that have begun and not ended.", total(producers, "open")),
    ]


def total(beats: Sequence[dict[str, Any]], name: str) -> float:
    """The sum of a number that heartbeats hold; producers may say anything."""
    values = (beat.get(name) for beat in beats)
    return sum(value for value in values if isinstance(value, int) and not isinstance(value, bool) and value >= 0)


def count_families(found: Sequence[Standing]) -> list[Family]:
    """What was counted since Redis has known of the sites."""
    events = {outcome: sum(site.count(name) for site in found) for name, outcome in EVENTS.items()}
    missing = "Events that are missing now: numbered by a producer, and neither stored, given up nor dead letters."
    incomplete = sum(site.checked.incomplete for site in found if site.checked)
    store_s = sum(site.count("store_us") for site in found) / 1e6
    return [
        counters("trace_events_total", EVENTS_TEXT, "outcome", events),
        *(counter(named, COUNTS[name], sum(site.count(name) for site in found)) for name, named in TOTALS.items()),
        counter("trace_store_seconds_total", "Time that storing batches took.", store_s),
        gauge("trace_missing_events", missing, sum(site.count(MISSING) for site in found)),
        gauge("trace_incomplete", "Traces of the last day that miss events, when it was looked last.", incomplete),
    ]


def anomaly_families(found: Sequence[Standing]) -> Iterator[Family]:
    """Anomalies that stand, and when it was looked for them."""
    stands = sorted({anomaly.key for site in found for anomaly in site.anomalies})
    yield gauge("anomalies", "Figures of models that are out of the ordinary.", len(stands))
    samples = [Sample(1, {"model": model, "kind": kind}) for model, kind in stands]
    yield Family("anomaly", "gauge", "One that stands: a figure of a model beside its own past.", samples)
    if checks := [site.checked for site in found if site.checked]:
        yield gauge("anomaly_check_timestamp_seconds", "When it was looked for them last.", max(c.at for c in checks))
        yield gauge("anomaly_check_seconds", "How long the longest look took.", max(c.took_ms for c in checks) / 1000)
