"""The pipeline as the endpoints see it: `core.trace_pipe.TracePipe` over a site's stream in Redis."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from typing import IO, Any, Final

import msgspec
import redis
from redis.exceptions import RedisError

from ai_assistant.core.errors import ServiceUnavailableError
from ai_assistant.core.trace_event import TraceEvent, body_of, encode_event
from ai_assistant.core.trace_keys import SITES, ObservabilityKeys
from ai_assistant.core.trace_pipe import ExportFormat, TraceEntry
from ai_assistant.core.trace_upload import producer_of
from ai_assistant.streams.connection import unavailable_as_503
from ai_assistant.traces.deadletters import DeadLetters
from ai_assistant.traces.export_json import write_json
from ai_assistant.traces.health import trace_health
from ai_assistant.traces.heartbeat import ALIVE_MS, age_ms, beats_of

log = logging.getLogger("ai_assistant.traces")

MAX_STREAM_ENTRIES: Final = 100_000
MAX_STREAM_BYTES: Final = 128 * 1024 * 1024
"""Bounds of a site's stream, as the SDK keeps them: producers hold back at ROOM of them, so that nothing that waits is
ever trimmed away."""
ROOM: Final = 0.95
MAX_PRODUCERS: Final = 5000
"""Heartbeats that a site keeps: a program that gives itself another name with each call must not fill Redis."""
MAX_OWN_PRODUCERS: Final = 1000
"""Those of one user among them: one who uses up this share keeps nobody else from tracing."""
FULL_RETRY_S: Final = 2.0
RETRIED_AT_ONCE: Final = 2000
"""Dead letters that one call puts back."""
SERVER: Final = "server"
"""Producer of what the endpoints themselves add, which is not numbered."""

STATE: Final = """
local time = redis.call('TIME')
return {redis.call('XLEN', KEYS[1]), redis.call('MEMORY', 'USAGE', KEYS[1], 'SAMPLES', 20) or 0,
        redis.call('HEXISTS', KEYS[2], ARGV[1]), redis.call('HLEN', KEYS[2]),
        time[1] * 1000 + math.floor(time[2] / 1000)}
"""
"""KEYS events producers, ARGV producer."""


class RedisTracePipe:
    """One site's. Thread-safe, as its client is."""

    def __init__(
        self,
        client: redis.Redis,
        site: str,
        *,
        max_entries: int = MAX_STREAM_ENTRIES,
        max_bytes: int = MAX_STREAM_BYTES,
    ):
        """`max_entries` and `max_bytes` are of the stream."""
        self._client = client
        self._site = site
        self._keys = ObservabilityKeys(site)
        self._max_entries = int(max_entries * ROOM)
        self._max_bytes = int(max_bytes * ROOM)

    @unavailable_as_503()
    def send(
        self, producer: str, entries: Sequence[TraceEntry], *, user: str | None, beat: dict[str, Any] | None
    ) -> None:
        """See `TracePipe.send`. The time of a producer's heartbeat is Redis's, by which consumers go too."""
        now = self._check_room(producer, entries, beat)
        with self._client.pipeline(transaction=False) as pipe:
            pipe.sadd(SITES, self._site)
            for entry in entries:
                pipe.xadd(self._keys.events, entry_fields(producer, entry, user))
            if any(entry.ended for entry in entries):
                pipe.hdel(self._keys.producers, producer)
            elif beat is not None:
                said = {**beat, "beat": now, "http": True}
                pipe.hset(self._keys.producers, producer, msgspec.json.encode(said))  # type: ignore[arg-type]
            pipe.execute()

    def take_otlp(self, media: str, body: bytes, *, user: str, is_trusted: bool) -> bytes:
        """See `TracePipe.take_otlp`."""
        from ai_assistant.traces import otlp_intake  # only OpenTelemetry's exports need it

        entries, rejected = otlp_intake.taken(media, body, user if is_trusted else None)
        if entries:
            producer = producer_of(user, otlp_intake.PRODUCER)
            self.send(producer, entries, user=None if is_trusted else user, beat=None)
        return otlp_intake.answer(media, rejected)

    def _check_room(self, producer: str, entries: Sequence[TraceEntry], beat: dict[str, Any] | None) -> int:
        """Redis's time in epoch milliseconds. Raises ServiceUnavailableError where the stream, or the list of
        producers, is full."""
        length, size, is_known, producers, now = self._client.eval(  # type: ignore[misc]
            STATE, 2, self._keys.events, self._keys.producers, producer
        )
        more = sum(len(entry.body) for entry in entries)
        if entries and (length + len(entries) > self._max_entries or size + more > self._max_bytes):
            raise ServiceUnavailableError(
                f"The traces' stream is full ({length} entries, {size} bytes): keep the events and send them again. "
                "If it stays so, the consumer does not keep up, or does not run.",
                retry_after=FULL_RETRY_S,
            )
        if beat is None or is_known:
            return now
        own = self._own_producers(producer) if producers >= MAX_OWN_PRODUCERS else 0
        if producers >= MAX_PRODUCERS or own >= MAX_OWN_PRODUCERS:
            raise ServiceUnavailableError(
                f"{own or producers} programs send traces already; end some, or keep the same producer for all calls",
                retry_after=60,
            )
        return now

    def _own_producers(self, producer: str) -> int:
        """How many heartbeats are of the same user's producers (`core.trace_upload.producer_of`)."""
        owner = producer.partition(":")[0].encode() + b":"
        return sum(name.startswith(owner) for name in self._client.hkeys(self._keys.producers))  # type: ignore[union-attr]

    def health(self) -> dict[str, Any]:
        """See `TracePipe.health`."""
        return trace_health(self._client, self._site)

    @unavailable_as_503()
    def consumer(self) -> dict[str, Any]:
        """See `TracePipe.consumer`. Names the site to the consumers, who beat for a site that they know."""
        with self._client.pipeline(transaction=False) as pipe:
            pipe.sadd(SITES, self._site)
            pipe.time()
            pipe.hgetall(self._keys.consumers)
            _, (seconds, micros), beats = pipe.execute()
        now = seconds * 1000 + micros // 1000  # Redis's clock, which consumers go by too
        ages = [age_ms(beat, now) for beat in beats_of(beats).values() if "beat" in beat]
        age = min(ages, default=None)
        return {"alive": age is not None and age < ALIVE_MS, "age_ms": age}

    def receipt(self, trace: str, seq: int) -> None:
        """See `TracePipe.receipt`. Unnumbered, and whatever comes twice or late changes nothing: the highest counts."""
        event = TraceEvent(0, "trace", time.time_ns() // 1000, trace, 0, 0, "", {"acknowledged_seq": seq})
        fields: Any = {"p": SERVER, **body_of([encode_event(event)])}
        try:
            with self._client.pipeline(transaction=False) as pipe:
                # nobody waits for a receipt: where the stream is full, it is the first thing to go
                if int(self._client.xlen(self._keys.events)) >= self._max_entries:  # type: ignore[arg-type]
                    pipe.hincrby(self._keys.counts, "receipts_dropped", 1)
                else:
                    pipe.sadd(SITES, self._site)
                    pipe.xadd(self._keys.events, fields)
                pipe.execute()
        except (RedisError, OSError) as error:
            log.warning("a receipt of trace %s is lost, Redis is away: %s", trace, error)

    @unavailable_as_503()
    def dead_letters(self, limit: int, before: str | None) -> list[dict[str, Any]]:
        """See `TracePipe.dead_letters`."""
        return msgspec.to_builtins(DeadLetters(self._client, self._site).list(limit, before))

    @unavailable_as_503()
    def retry_dead_letters(self, ids: Sequence[str] | None) -> int:
        """See `TracePipe.retry_dead_letters`."""
        return DeadLetters(self._client, self._site).retry(ids, limit=RETRIED_AT_ONCE)

    def export(
        self, format: ExportFormat, trace: dict[str, Any], observations: Iterable[dict[str, Any]], out: IO[bytes]
    ) -> None:
        """See `TracePipe.export`."""
        if format == "json":
            write_json(self._site, trace, observations, out)
            return
        from ai_assistant.traces.otlp_export import write_otlp_json  # only this format needs it

        write_otlp_json(trace, observations, out, self._site)


def entry_fields(producer: str, entry: TraceEntry, user: str | None) -> Any:
    """The entry as the stream holds it (`core.trace_event`)."""
    fields: dict[str, Any] = {"p": producer, "b": entry.body, "n": entry.count}
    if entry.compressed:
        fields["z"] = 1
    if user is not None:
        fields["u"] = user
    return fields
