"""How the traces of a site stand: consumers, what waits, what was lost. One round trip to Redis, none to a database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import redis
from redis.exceptions import RedisError

from ai_assistant.core.trace_keys import ObservabilityKeys
from ai_assistant.traces.anomaly_check import anomalies_of
from ai_assistant.traces.deadletters import whole
from ai_assistant.traces.heartbeat import age_ms, beats_of, living, now_ms
from ai_assistant.traces.intake import PEEK, backlog_of

COUNTS: Final = {
    "stored": "Events of traces that were stored.",
    "duplicates": "Events of traces that came again, and were skipped.",
    "dead": "Events of traces, and entries that could not be read, that became dead letters.",
    "dropped": "Events of traces that their producers reported as given up.",
    "claimed": "Entries that were taken over from a consumer that had gone.",
    "batches": "Batches of trace events that were stored.",
    "store_us": "Time that storing them took, in microseconds.",
    "failures": "Attempts to store a batch that failed; it was kept and tried again.",
    "interrupted": "Observations closed because their producer died.",
    "retried": "Dead letters that were put back on the stream.",
}
"""Fields of the hash `ObservabilityKeys.counts` that only grow."""
MISSING: Final = "missing_events"
"""The field that says how many events are missing now: numbered by a producer, and neither stored, nor given up by it,
nor among the dead letters. A consumer counts them every quarter of a minute."""

DROPPED: Final = "dropped_events"
"""The field that says how many events were given up by producers that were heard within a day."""
LATE_MS: Final = 60_000
"""Traces that wait for longer are an alarm."""


def trace_health(client: redis.Redis, site: str) -> dict[str, Any]:
    """For `status`: `trace_consumers` and `traces`. Never raises: that Redis is away is part of the answer."""
    keys = ObservabilityKeys(site)
    try:
        with client.pipeline(transaction=False) as pipe:
            pipe.hgetall(keys.consumers)
            pipe.hgetall(keys.counts)
            pipe.eval(PEEK, 2, keys.events, keys.dead)
            pipe.hlen(keys.producers)
            pipe.hgetall(keys.anomalies)
            found: list[Any] = pipe.execute()
    except (RedisError, OSError) as error:
        return away(type(error).__name__)
    beats, counts, peeked, producers, anomalies = found
    backlog = backlog_of(peeked)
    consumers = living(beats, backlog.now_ms)
    missing = whole(counts.get(MISSING.encode()))
    traces = {
        "backlog": backlog.entries,
        "backlog_bytes": backlog.bytes if backlog.entries else 0,
        "oldest_ms": backlog.oldest_ms,
        "producers": producers,
        "dead_letters": backlog.dead_letters,
        "missing_events": missing,
        "dropped_events": whole(counts.get(DROPPED.encode())),
        "anomalies": [anomaly.text() for anomaly in anomalies_of(anomalies)],
    }
    return {"trace_consumers": consumers, "traces": traces | {"alarms": alarms(traces, consumers)}}


def away(why: str) -> dict[str, Any]:
    """The same where the traces' Redis does not answer."""
    names = ("backlog", "backlog_bytes", "oldest_ms", "producers", "dead_letters", "missing_events", "dropped_events")
    traces: dict[str, Any] = {**dict.fromkeys(names), "anomalies": []}
    return {"trace_consumers": [], "traces": traces | {"alarms": ["redis_away"], "error": why}}


def alarms(traces: dict[str, Any], consumers: list[dict[str, Any]]) -> list[str]:
    """Words for what somebody should look at.

    `no_consumer`: traces wait and nobody stores them; `late`: the oldest waits for a minute or more; `failing`: a
    consumer cannot reach its database; `dead_letters`; `missing_events`: events were lost on the way;
    `dropped_events`: producers have given some up; `anomalies`: a model differs from its own past; `redis_away`.
    """
    found = {
        "no_consumer": traces["backlog"] > 0 and not consumers,
        "late": traces["oldest_ms"] >= LATE_MS,
        "failing": any(each.get("error") for each in consumers),
        "dead_letters": traces["dead_letters"] > 0,
        "missing_events": traces["missing_events"] > 0,
        "dropped_events": traces["dropped_events"] > 0,
        "anomalies": bool(traces["anomalies"]),
    }
    return [word for word, is_so in found.items() if is_so]


def producers_of(client: redis.Redis, site: str) -> list[dict[str, Any]]:
    """What each producer said of itself, with `age_ms` of its heartbeat. Raises redis-py's errors."""
    found: Any = client.hgetall(ObservabilityKeys(site).producers)
    now = now_ms()
    return [{**beat, "id": id_, "age_ms": age_ms(beat, now)} for id_, beat in sorted(beats_of(found).items())]


def unattended(client: redis.Redis, sites: Sequence[str]) -> list[str]:
    """Those of the sites whose traces wait while no consumer lives that could store them. One round trip; raises
    redis-py's errors."""
    with client.pipeline(transaction=False) as pipe:
        for site in sites:
            keys = ObservabilityKeys(site)
            pipe.xlen(keys.events)
            pipe.hgetall(keys.consumers)
        found = pipe.execute()
    lengths, beats = found[::2], found[1::2]
    return [site for site, length, said in zip(sites, lengths, beats, strict=True) if length and not living(said)]
