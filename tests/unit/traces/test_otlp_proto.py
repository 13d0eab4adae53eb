"""Protobuf as the official library writes and reads it, and what is no protobuf."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from otlp_values import messages, seen, without_defaults

from ai_assistant.traces import otlp_proto
from ai_assistant.traces.otlp_proto import MAX_DEPTH, TOO_DEEP, ProtoError, decode, encode
from ai_assistant.traces.otlp_schema import METRICS_REQUEST, SPAN, TRACE_REQUEST


@given(messages(TRACE_REQUEST))
@settings(max_examples=150)
def test_what_is_written_is_what_the_official_library_reads(request: dict[str, Any]) -> None:
    body = encode(TRACE_REQUEST, request)
    assert seen(ExportTraceServiceRequest.FromString(body), TRACE_REQUEST) == without_defaults(request, TRACE_REQUEST)


@given(messages(METRICS_REQUEST))
@settings(max_examples=100)
def test_metrics_too(request: dict[str, Any]) -> None:
    body = encode(METRICS_REQUEST, request)
    assert seen(ExportMetricsServiceRequest.FromString(body), METRICS_REQUEST) == without_defaults(
        request, METRICS_REQUEST
    )


@given(messages(TRACE_REQUEST))
@settings(max_examples=150)
def test_what_the_official_library_writes_is_read(request: dict[str, Any]) -> None:
    theirs = ExportTraceServiceRequest.FromString(encode(TRACE_REQUEST, request)).SerializeToString()
    found = decode(TRACE_REQUEST, theirs)
    assert without_defaults(found, TRACE_REQUEST) == without_defaults(request, TRACE_REQUEST)


@given(st.binary(max_size=200))
def test_other_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        assert isinstance(decode(TRACE_REQUEST, body), dict)
    except ProtoError as error:
        assert str(error)


@given(messages(TRACE_REQUEST), st.data())
@settings(max_examples=100)
def test_a_body_that_was_cut_is_refused_or_read(request: dict[str, Any], data: st.DataObject) -> None:
    body = encode(TRACE_REQUEST, request)
    end = data.draw(st.integers(0, len(body)))
    try:
        decode(TRACE_REQUEST, body[:end])
    except ProtoError as error:
        assert str(error)


def test_unknown_fields_are_skipped() -> None:
    theirs = Span(name="x").SerializeToString() + b"\xfa\x3f\x03abc" + b"\xf8\x3f\x05"
    assert decode(SPAN, theirs) == {"name": "x"}


def test_text_that_is_no_utf8_is_replaced() -> None:
    assert decode(SPAN, b"\x2a\x02\xff\xfe")["name"] == "\ufffd\ufffd"


def test_a_lone_surrogate_is_written_as_a_question_mark() -> None:
    assert Span.FromString(encode(SPAN, {"name": "a\ud800"})).name == "a?"


def test_values_nested_too_deeply_are_replaced() -> None:
    value = AnyValue(int_value=1)
    for _ in range(MAX_DEPTH + 5):  # the official library itself reads no more than a hundred messages in each other
        outer = AnyValue()
        outer.array_value.values.append(value)
        value = outer
    found = decode(SPAN, Span(attributes=[KeyValue(key="a", value=value)]).SerializeToString())["attributes"]["a"]
    for _ in range(MAX_DEPTH + 1):
        (found,) = found if isinstance(found, list) else (found,)
    assert found == TOO_DEEP


def test_values_nested_too_deeply_are_not_written() -> None:
    value: Any = 1
    for _ in range(1000):
        value = [value]
    assert Span.FromString(encode(SPAN, {"attributes": {"a": value}})).attributes[0].key == "a"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"\x0a\x05ab", "it ends in the middle of a field"),
        (b"\x0a", "it ends in the middle of a number"),
        (b"\x0a" + b"\xff" * 11, "a number has more than ten bytes"),
        (b"\x0b", "there is no wire type 3"),
        (
            b"\x08\x01",
            "opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest.resourceSpans has the wire type 0",
        ),
    ],
)
def test_the_error_says_what_is_wrong(body: bytes, message: str) -> None:
    with pytest.raises(ProtoError) as caught:
        decode(TRACE_REQUEST, body)
    assert str(caught.value) == message


def test_a_body_of_countless_tiny_messages_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp_proto, "MAX_FIELDS", 1000)
    assert len(decode(TRACE_REQUEST, b"\x0a\x00" * 1000)["resourceSpans"]) == 1000
    with pytest.raises(ProtoError, match="more than 1000 fields"):
        decode(TRACE_REQUEST, b"\x0a\x00" * 1001)
