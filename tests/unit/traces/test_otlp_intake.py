"""Bodies of an export: compressed or not, in two forms, and what is refused."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from otlp_case import SPAN, raw_span, request

from ai_assistant.core.trace_event import ENTRY_BYTES, ENTRY_EVENTS, unpack
from ai_assistant.core.trace_pipe import OtlpError, TraceEntry
from ai_assistant.traces.otlp_intake import JSON, MAX_INFLATED, PROTOBUF, answer, refusal, taken
from ai_assistant.traces.otlp_json import to_json
from ai_assistant.traces.otlp_proto import encode
from ai_assistant.traces.otlp_schema import TRACE_REQUEST
from ai_assistant.traces.otlp_span import Rejected


def body_of(media: str, *spans: dict[str, Any]) -> bytes:
    message = request(*spans)
    if media == PROTOBUF:
        return encode(TRACE_REQUEST, message)
    return json.dumps(to_json(TRACE_REQUEST, message)).encode()


def kinds(entries: list[TraceEntry]) -> list[str]:
    return [event.kind for entry in entries for event in unpack(entry.body, entry.compressed)]


@pytest.mark.parametrize("media", [PROTOBUF, JSON])
@pytest.mark.parametrize("compress", [False, True])
def test_a_body_is_taken(media: str, compress: bool) -> None:
    body = body_of(media, raw_span({"input.value": "hi"}))
    entries, rejected = taken(media, gzip.compress(body) if compress else body, None)
    assert (kinds(entries), rejected.count) == (["trace", "whole"], 0)
    event = unpack(entries[0].body, entries[0].compressed)[1]
    assert (event.span, event.fields["input"]) == (SPAN, "hi")


def test_gzip_may_come_in_several_pieces() -> None:
    body = body_of(PROTOBUF, raw_span())
    entries, _ = taken(PROTOBUF, gzip.compress(body[:5]) + gzip.compress(body[5:]), None)
    assert kinds(entries) == ["trace", "whole"]


def test_an_export_of_nothing_is_taken() -> None:
    assert taken(PROTOBUF, b"", None)[0] == []
    assert taken(JSON, b"{}", None)[0] == []


def test_entries_are_neither_too_many_events_nor_too_large() -> None:
    spans = [raw_span({"input.value": "x" * 9000}, spanId=f"{each:016x}") for each in range(1, 301)]
    entries, _ = taken(PROTOBUF, body_of(PROTOBUF, *spans), None)
    assert len(kinds(entries)) == 301
    assert sum(entry.count for entry in entries) == 301
    assert max(entry.count for entry in entries) <= ENTRY_EVENTS
    assert max(len(unpack(entry.body, entry.compressed)) for entry in entries) <= ENTRY_EVENTS
    assert max(len(entry.body) for entry in entries) <= ENTRY_BYTES + 20_000


@pytest.mark.parametrize(
    ("media", "body", "status", "message"),
    [
        ("", b"", 415, "content-type: must be application/x-protobuf or application/json, not ''"),
        ("text/plain", b"x", 415, "content-type: must be application/x-protobuf or application/json, not 'text/plain'"),
        (PROTOBUF, b"\x0a\x05a", 400, "body: is no ExportTraceServiceRequest: it ends in the middle of a field"),
        (JSON, b"{", 400, "body: is no ExportTraceServiceRequest: it is not valid JSON: "),
        (JSON, b'{"resourceSpans": 5}', 400, "body: is no ExportTraceServiceRequest: resourceSpans must be a list"),
        (PROTOBUF, gzip.compress(b"abc")[:-9], 400, "body: its gzip data ends early"),
        (PROTOBUF, b"\x1f\x8b\x08" + b"\xff" * 20, 400, "body: cannot be decompressed as gzip: "),
        (PROTOBUF, gzip.compress(b"\x00" * (MAX_INFLATED + 1)), 413, f"body: has more than {MAX_INFLATED} bytes"),
        (PROTOBUF, b"\x00" * (MAX_INFLATED + 1), 413, f"body: has more than {MAX_INFLATED} bytes"),
    ],
)
def test_what_is_refused(media: str, body: bytes, status: int, message: str) -> None:
    with pytest.raises(OtlpError) as caught:
        taken(media, body, None)
    assert caught.value.status == status
    assert str(caught.value).startswith(message)


def test_the_answer_says_what_was_rejected() -> None:
    official = ExportTraceServiceResponse.FromString(answer(PROTOBUF, Rejected(2, "no")))
    assert (official.partial_success.rejected_spans, official.partial_success.error_message) == (2, "no")
    assert json.loads(answer(JSON, Rejected(2, "no"))) == {
        "partialSuccess": {"rejectedSpans": "2", "errorMessage": "no"}
    }
    assert (answer(PROTOBUF, Rejected()), answer(JSON, Rejected())) == (b"", b"{}")


def test_a_refusal_is_a_status_of_grpc() -> None:
    from google.rpc.status_pb2 import Status

    official = Status.FromString(refusal(PROTOBUF, 400, "no"))
    assert (official.code, official.message) == (3, "no")
    assert json.loads(refusal(JSON, 503, "later")) == {"code": 14, "message": "later"}
