"""The tables of `otlp_schema` are those of opentelemetry-proto."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from ai_assistant.traces import otlp_schema as schema

TYPES = {
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_BYTES: "hex",
    FieldDescriptor.TYPE_INT64: "int64",
    FieldDescriptor.TYPE_INT32: "int32",
    FieldDescriptor.TYPE_UINT32: "uint32",
    FieldDescriptor.TYPE_FIXED32: "fixed32",
    FieldDescriptor.TYPE_FIXED64: "fixed64",
    FieldDescriptor.TYPE_DOUBLE: "double",
    FieldDescriptor.TYPE_ENUM: "enum",
    FieldDescriptor.TYPE_MESSAGE: "message",
}
PAIRS: list[tuple[schema.Message, Any]] = [
    (schema.TRACE_REQUEST, trace_service_pb2.ExportTraceServiceRequest),
    (schema.TRACE_RESPONSE, trace_service_pb2.ExportTraceServiceResponse),
    (schema.METRICS_REQUEST, metrics_service_pb2.ExportMetricsServiceRequest),
    (schema.METRICS_RESPONSE, metrics_service_pb2.ExportMetricsServiceResponse),
]


def differences(message: schema.Message, descriptor: Any) -> list[str]:
    """What a table and the official definition do not agree on, in the messages within them too."""
    found = [] if message.name == descriptor.full_name else [f"{message.name} is {descriptor.full_name}"]
    official = {field.number: field for field in descriptor.fields}
    for field in message.by_number.values():
        theirs = official.get(field.number)
        where = f"{message.name}.{field.name}"
        if theirs is None or theirs.json_name != field.name:
            found.append(f"{where} is not number {field.number}")
        elif field.kind == "attributes":
            if theirs.message_type.name != "KeyValue":
                found.append(f"{where} is no list of KeyValue")
        elif TYPES.get(theirs.type) != field.kind:
            found.append(f"{where} is of the type {theirs.type}")
        elif field.message is not None:
            found.extend(differences(field.message, theirs.message_type))
    return found


@pytest.mark.parametrize(("message", "theirs"), PAIRS, ids=lambda each: getattr(each, "name", ""))
def test_messages_are_the_official_ones(message: schema.Message, theirs: Any) -> None:
    assert differences(message, theirs.DESCRIPTOR) == []


def test_nothing_of_a_span_is_missing() -> None:
    """Of what is read; the other messages have fields that nobody needs here."""
    for message, theirs in (
        (schema.SPAN, trace_pb2.Span),
        (schema.EVENT, trace_pb2.Span.Event),
        (schema.LINK, trace_pb2.Span.Link),
        (schema.STATUS, trace_pb2.Status),
    ):
        assert set(message.by_number) == {field.number for field in theirs.DESCRIPTOR.fields}


@pytest.mark.parametrize(
    ("choices", "enum"),
    [(schema.KINDS, trace_pb2.Span.SpanKind), (schema.CODES, trace_pb2.Status.StatusCode)],
)
def test_enumerations_are_the_official_ones(choices: tuple[str, ...], enum: Any) -> None:
    assert dict(enum.items()) == {name: number for number, name in enumerate(choices)}
