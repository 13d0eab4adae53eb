"""Events into the Redis Stream of a site: for programs of the bench, and of the embedded host.

redis-py is imported by the publisher's thread, when it first connects.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import msgspec

from ai_assistant.core.trace_event import body_of
from ai_assistant.core.trace_keys import SITES, ObservabilityKeys
from ai_assistant.tracing.sinks import Health, SinkAway, SinkRefused

if TYPE_CHECKING:
    import redis

CONNECT_S: Final = 1.0
ANSWER_S: Final = 5.0
LOOK_S: Final = 1.0
"""How often the stream's size in bytes is asked for."""
ROOM: Final = 0.95
"""Producers hold back at this share of the bound: nothing is trimmed away by another one's entries."""

_json = msgspec.json.Encoder().encode


class RedisSink:
    """See `sinks.Sink`."""

    def __init__(self, url: str, *, max_entries: int, max_bytes: int):
        """The bounds are those of each site's stream."""
        self._url = url
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._client: redis.Redis | None = None
        self._streams: dict[str, _Stream] = {}

    def send(self, site: str, producer: str, entries: list[list[bytes]], beat: dict[str, Any]) -> None:
        """See `Sink.send`. What Redis had taken before its answer was lost is sent again: events have numbers."""
        from redis.exceptions import RedisError, ResponseError

        stream = self._streams.get(site)
        if stream is None:
            stream = self._streams[site] = _Stream(ObservabilityKeys(site))
        try:
            # what was seen a while ago says nothing: what others have added since would be trimmed away
            if stream.is_full(self._max_entries, self._max_bytes) or time.monotonic() - stream.seen_at > LOOK_S:
                self._look(stream)
                if stream.is_full(self._max_entries, self._max_bytes):
                    raise SinkAway(stream.words(self._max_entries, self._max_bytes))
            self._write(stream, site, producer, entries, beat)
        except ResponseError as error:
            words = str(error).rpartition("caused error: ")[2]  # what stands before it are the events
            if "WRONGTYPE" in words:
                raise SinkRefused(f"the key {stream.keys.events} is no stream") from error
            raise SinkAway(f"Redis refuses: {words}") from error
        except (RedisError, OSError) as error:
            raise SinkAway(f"Redis cannot be reached: {error}") from error

    def _write(
        self, stream: _Stream, site: str, producer: str, entries: list[list[bytes]], beat: dict[str, Any]
    ) -> None:
        keys = stream.keys
        with self._connected().pipeline(transaction=False) as pipe:
            for events in entries:
                fields: Any = {"p": producer, **body_of(events)}
                stream.bytes += len(fields["b"])
                pipe.xadd(keys.events, fields, maxlen=self._max_entries, approximate=True)
            pipe.hset(keys.producers, producer, _json(beat))
            pipe.sadd(SITES, site)
            self._ask(pipe, stream)
            stream.seen(pipe.execute()[len(entries) + 2 :])

    def _look(self, stream: _Stream) -> None:
        stream.looked = 0.0
        with self._connected().pipeline(transaction=False) as pipe:
            self._ask(pipe, stream)
            stream.seen(pipe.execute())

    def _ask(self, pipe: Any, stream: _Stream) -> None:
        pipe.xlen(stream.keys.events)
        now = time.monotonic()
        if now - stream.looked > LOOK_S:
            stream.looked = now
            pipe.memory_usage(stream.keys.events)

    def leave(self, site: str, producer: str) -> None:
        """See `Sink.leave`. What it leaves open is closed by a consumer, which knows from `bye` that it has gone."""
        from redis.exceptions import RedisError

        try:
            self._connected().hdel(ObservabilityKeys(site).producers, producer)
        except (RedisError, OSError) as error:
            raise SinkAway(f"Redis cannot be reached: {error}") from error

    def check(self, site: str) -> Health:
        """See `Sink.check`."""
        from redis.exceptions import RedisError

        where = f"Redis at {address_of(self._url)}"
        try:
            with self._connected().pipeline(transaction=False) as pipe:
                pipe.time()
                pipe.hvals(ObservabilityKeys(site).consumers)
                (seconds, micros), beats = pipe.execute()
        except (RedisError, OSError, ValueError, SinkAway) as error:
            return Health(where=where, connected=False, problem=str(error))
        ages = [seconds + micros / 1e6 - beat / 1000 for beat in map(beat_of, beats) if beat]
        return Health(where=where, connected=True, consumer_age_s=max(0.0, min(ages)) if ages else None)

    def _connected(self) -> redis.Redis:
        if self._client is None:
            import redis
            from redis.backoff import NoBackoff
            from redis.retry import Retry

            try:
                self._client = redis.Redis.from_url(
                    self._url,
                    socket_connect_timeout=CONNECT_S,
                    socket_timeout=ANSWER_S,
                    retry=Retry(NoBackoff(), 0),
                )
                self._client.connection_pool.make_connection()  # which is where an unknown option of the URL is noticed
            except (ValueError, TypeError) as error:
                self._client = None
                raise SinkAway(f"redis_url cannot be used ({type(error).__name__}): look at its options") from None
        return self._client

    def after_fork(self) -> None:
        """See `Sink.after_fork`. The sockets are the parent's: they are left alone, not closed."""
        self._client = None

    def close(self) -> None:
        """See `Sink.close`."""
        client, self._client = self._client, None
        if client is not None:
            client.close()


class _Stream:
    """What is known of a site's stream; its bytes by Redis' own figure, and what was added since."""

    __slots__ = ("bytes", "entries", "keys", "looked", "seen_at")

    def __init__(self, keys: ObservabilityKeys):
        self.keys = keys
        self.entries = 0
        self.bytes = 0
        self.looked = 0.0
        self.seen_at = float("-inf")

    def seen(self, answers: list[Any]) -> None:
        """What Redis says of it."""
        self.entries = int(answers[0])
        self.seen_at = time.monotonic()
        if len(answers) > 1:
            self.bytes = int(answers[1] or 0)

    def is_full(self, max_entries: int, max_bytes: int) -> bool:
        """Whether it is near one of its bounds."""
        return self.entries >= max_entries * ROOM or self.bytes >= max_bytes * ROOM

    def words(self, max_entries: int, max_bytes: int) -> str:
        """For the log."""
        return (
            f"the stream {self.keys.events} is full ({self.entries} of {max_entries} entries, "
            f"{self.bytes >> 20} of {max_bytes >> 20} MiB): is its consumer at work?"
        )


def address_of(url: str) -> str:
    """Host and port of a Redis URL, without its password."""
    parts = urlsplit(url)
    return parts.path if parts.scheme == "unix" else f"{parts.hostname or 'localhost'}:{parts.port or 6379}"


def beat_of(heartbeat: bytes) -> float:
    """When a heartbeat was given, in epoch milliseconds; 0 for one that cannot be read."""
    try:
        return float(msgspec.json.decode(heartbeat).get("beat") or 0)
    except (msgspec.DecodeError, AttributeError, TypeError, ValueError):
        return 0.0
