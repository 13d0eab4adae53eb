"""What an export puts onto the stream, and when it is refused: over a real Redis."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ai_assistant.core.errors import ServiceUnavailableError
from ai_assistant.core.trace_event import TraceEvent, unpack
from ai_assistant.core.trace_keys import SITES, ObservabilityKeys
from ai_assistant.streams.connection import request_client
from ai_assistant.traces.ingest import RedisTracePipe
from ai_assistant.traces.otlp_intake import PROTOBUF

SITE, USER = "traces.test", "ann@example.com"
KEYS = ObservabilityKeys(SITE)


def export(count: int = 1) -> bytes:
    """Spans of one trace."""
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for each in range(1, count + 1):
        spans.add(
            trace_id=b"\x01" * 16,
            span_id=each.to_bytes(8, "big"),
            name="x",
            start_time_unix_nano=1_790_000_000 * 10**9,
            end_time_unix_nano=1_790_000_001 * 10**9,
        )
    return request.SerializeToString()


def events_of(entry: dict[bytes, bytes]) -> list[TraceEvent]:
    return unpack(entry[b"b"], b"z" in entry)


def entries(client: redis.Redis) -> list[dict[bytes, bytes]]:
    found: Any = client.xrange(KEYS.events)
    return [fields for _, fields in found]


def test_spans_are_on_the_stream_when_it_returns(client: redis.Redis) -> None:
    pipe = RedisTracePipe(client, SITE)
    assert pipe.take_otlp(PROTOBUF, export(120), user=USER, is_trusted=False) == b""
    found = entries(client)
    assert [int(each[b"n"]) for each in found] == [50, 50, 21]
    assert {each[b"u"].decode() for each in found} == {USER}
    assert len({each[b"p"] for each in found}) == 1
    assert found[0][b"p"].endswith(b":otlp")
    events = [event for each in found for event in events_of(each)]
    assert {(event.number, event.place, event.segment) for event in events} == {(0, 0, 0)}
    assert "user" not in events[0].fields, "the entry says whose it is"
    assert client.sismember(SITES, SITE)
    assert not client.exists(KEYS.producers), "a producer without numbers has no heartbeat"


def test_a_trusted_sender_names_the_owner_in_the_trace(client: redis.Redis) -> None:
    RedisTracePipe(client, SITE).take_otlp(PROTOBUF, export(), user=USER, is_trusted=True)
    (entry,) = entries(client)
    assert b"u" not in entry
    assert events_of(entry)[0].fields["user"] == USER


def test_an_export_of_nothing_adds_nothing(client: redis.Redis) -> None:
    assert RedisTracePipe(client, SITE).take_otlp(PROTOBUF, b"", user=USER, is_trusted=False) == b""
    assert not client.exists(KEYS.events)


def test_a_full_stream_is_503_and_takes_nothing(client: redis.Redis) -> None:
    pipe = RedisTracePipe(client, SITE, max_entries=4)
    pipe.take_otlp(PROTOBUF, export(100), user=USER, is_trusted=False)
    before = len(entries(client))
    with pytest.raises(ServiceUnavailableError) as caught:
        pipe.take_otlp(PROTOBUF, export(100), user=USER, is_trusted=False)
    assert caught.value.retry_after
    assert len(entries(client)) == before


def test_redis_away_is_503() -> None:
    away = request_client("redis://127.0.0.1:1/0")
    with pytest.raises(ServiceUnavailableError) as caught:
        RedisTracePipe(away, SITE).take_otlp(PROTOBUF, export(), user=USER, is_trusted=False)
    assert caught.value.retry_after
