"""The periodic check for anomalies of one site: asks the store, judges, and keeps in Redis what stands.

The past is read from the store, hour by hour, and each finished hour once: what it came to stays in Redis. So a check
costs two looks at an index (the window, and the last hour when one has ended), a Redis that forgets everything costs a
few checks until the past is read again, and no counter of a worker can drift away from what is stored. Rollups kept by
workers or consumers would cost less still, but they would not know programs that send traces from elsewhere, would be
doubled by a batch that is tried again, and would be gone with Redis.

Synchronous; at most one at a time per site, whoever calls it, since the first takes a key that outlives it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import msgspec
import redis

from ai_assistant.core.trace_keys import ObservabilityKeys
from ai_assistant.core.trace_statistics import ModelCall, TraceStatistics
from ai_assistant.traces.anomalies import HOUR_S, Anomaly, Change, Rules, judged
from ai_assistant.traces.statistics import Bucket, buckets_of

log = logging.getLogger("ai_assistant.traces")

EVERY_S: Final = 300.0
"""Seconds between two checks of a site."""
HOURS_AT_ONCE: Final = 24
"""Hours of the past that one check reads at most: the first ones of a long past take several checks."""
MAX_CALLS: Final = 50_000
"""Calls that are read of one hour, or of the window; of more, the newest."""
MAX_MODELS: Final = 50
"""Models that are looked at: those with the most calls. Programs may call them whatever they like."""
LATE_S: Final = 600
"""An hour is read this long after its end, so that traces which come late are in it."""
MICRO: Final = 1_000_000
SECONDS_OF_INCOMPLETE: Final = 24 * HOUR_S

_decode_hour = msgspec.json.Decoder(dict[str, Bucket]).decode
_decode_anomaly = msgspec.json.Decoder(Anomaly).decode


class CheckedStore(TraceStatistics, Protocol):
    """What a check asks of a store of traces."""

    def incomplete(self, since: int) -> int:
        """See `core.trace_ports.TraceReads`."""
        ...


class Checked(msgspec.Struct, kw_only=True):
    """What the last check was."""

    at: float
    """Epoch seconds."""
    models: int
    """With calls in the window."""
    calls: int
    hours: int
    """Hours of the past that are known."""
    incomplete: int
    """Traces of the last day that miss events."""
    took_ms: float


class AnomalyCheck:
    """The check of one site."""

    def __init__(
        self,
        client: redis.Redis,
        site: str,
        rules: Rules = Rules(),  # noqa: B008  # frozen
        *,
        clock: Callable[[], float] = time.time,
        every_s: float = EVERY_S,
    ):
        self._client = client
        self._keys = ObservabilityKeys(site)
        self._rules = rules
        self._clock = clock
        self._every_s = every_s

    def run(self, store: CheckedStore) -> list[Change] | None:
        """Checks, and gives what has changed; `None` where a check was made a moment ago, or is being made.

        Raises redis-py's errors, and what the store raises.
        """
        if not self._client.set(self._keys.checking, 1, nx=True, px=max(1, int(self._every_s * 750))):
            return None
        began, now = time.perf_counter(), self._clock()
        hours = self._past(store, now)
        calls = store.model_calls(int((now - self._rules.window_s) * MICRO), int(now * MICRO), MAX_CALLS)
        kept = largest(calls)
        stands, changes = judged(kept, hours, self.standing(), now, self._rules)
        incomplete = store.incomplete(int((now - SECONDS_OF_INCOMPLETE) * MICRO))
        checked = Checked(
            at=now,
            models=len({call.model for call in kept}),
            calls=len(calls),
            hours=len(hours),
            incomplete=incomplete,
            took_ms=round((time.perf_counter() - began) * 1000, 1),
        )
        self._keep(stands, checked)
        for change in changes:
            note(change)
        return changes

    def standing(self) -> list[Anomaly]:
        """The anomalies that stand."""
        return anomalies_of(self._client.hgetall(self._keys.anomalies))  # type: ignore[arg-type]

    def _past(self, store: CheckedStore, now: float) -> dict[int, dict[str, Bucket]]:
        """What each finished hour of the past came to, from Redis, else from the store."""
        found: dict[bytes, bytes] = self._client.hgetall(self._keys.hours)  # type: ignore[assignment]
        newest = int((now - LATE_S) // HOUR_S) - 1
        wanted = range(newest, newest - self._rules.past_hours, -1)
        hours = {
            hour: buckets for name, text in found.items() if (hour := int(name)) in wanted for buckets in [of(text)]
        }
        missing = [hour for hour in wanted if hour not in hours][:HOURS_AT_ONCE]
        fresh = {hour: self._hour(store, hour) for hour in missing}
        with self._client.pipeline(transaction=False) as pipe:
            if fresh:
                pipe.hset(
                    self._keys.hours, mapping={str(hour): msgspec.json.encode(own) for hour, own in fresh.items()}
                )
            if old := [name for name in found if int(name) not in wanted]:
                pipe.hdel(self._keys.hours, *old)
            pipe.expire(self._keys.hours, self._rules.past_hours * HOUR_S)
            pipe.execute()
        return hours | fresh

    def _hour(self, store: CheckedStore, hour: int) -> dict[str, Bucket]:
        calls = store.model_calls(hour * HOUR_S * MICRO, (hour + 1) * HOUR_S * MICRO, MAX_CALLS)
        return buckets_of(largest(calls))

    def _keep(self, stands: Sequence[Anomaly], checked: Checked) -> None:
        with self._client.pipeline(transaction=True) as pipe:
            pipe.delete(self._keys.anomalies)
            if stands:
                fields = {msgspec.json.encode(each.key): msgspec.json.encode(each) for each in stands}
                pipe.hset(self._keys.anomalies, mapping=fields)  # type: ignore[arg-type]
            pipe.set(self._keys.checked, msgspec.json.encode(checked))
            pipe.execute()


def of(text: bytes) -> dict[str, Bucket]:
    """An hour as it is kept; empty where another version wrote it."""
    try:
        return _decode_hour(text)
    except msgspec.DecodeError:
        return {}


def anomalies_of(found: dict[bytes, bytes]) -> list[Anomaly]:
    """Anomalies as they are kept; one that cannot be read is left out, and judged anew."""
    anomalies = []
    for text in found.values():
        try:
            anomalies.append(_decode_anomaly(text))
        except msgspec.DecodeError as error:
            log.warning("an anomaly that is kept in Redis cannot be read: %s", error)
    return sorted(anomalies, key=lambda anomaly: anomaly.key)


def largest(calls: Sequence[ModelCall]) -> Sequence[ModelCall]:
    """The calls to the models that were called most."""
    counts: dict[str, int] = {}
    for call in calls:
        counts[call.model] = counts.get(call.model, 0) + 1
    if len(counts) <= MAX_MODELS:
        return calls
    kept = set(sorted(counts, key=lambda model: (-counts[model], model))[:MAX_MODELS])
    return [call for call in calls if call.model in kept]


def note(change: Change) -> None:
    """One line in the log."""
    if change.ended:
        log.info("anomaly over: %s (%s)", change.anomaly.text(), change.reason)
    else:
        log.warning("anomaly: %s", change.anomaly.text())


def alarms(client: Any, site: str) -> list[str]:
    """A line for each anomaly that stands, for `status`. Raises redis-py's errors."""
    return [anomaly.text() for anomaly in anomalies_of(client.hgetall(ObservabilityKeys(site).anomalies))]
