"""The messages of OTLP 1.x that are read and written here, as tables: protobuf's field numbers and JSON's names.

Source: opentelemetry-proto 1.10 (stable; https://github.com/open-telemetry/opentelemetry-proto). A test holds these
tables equal to its own definitions. Its Python package is no dependency, because none suits both a bench and a program
that uses OpenTelemetry itself: from 1.28 on it wants protobuf 5 or later, while what Frappe v15 pins wants protobuf
below 4, and OpenTelemetry's exporters pin the one package of their own version. Twenty messages and two
encodings are less than that.

A decoded message is a dict by JSON's names. Ids are hexadecimal text, integers are `int`, and attributes and values are
plain Python: a dict, a list, text, numbers, booleans, bytes.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Kind = Literal[
    "string", "hex", "int64", "uint32", "int32", "fixed32", "fixed64", "double", "enum", "attributes", "message",
]  # fmt: skip
"""`hex`: bytes that JSON writes as hexadecimal; `attributes`: a list of KeyValue."""

PACKED: Final = frozenset({"fixed64", "double"})
"""Kinds of repeated fields that protobuf writes in one piece."""


class Field(NamedTuple):
    """One field of a message."""

    number: int
    name: str
    kind: Kind
    many: bool = False
    message: Message | None = None
    """Of the kind `message`: which."""
    choices: tuple[str, ...] = ()
    """Names of an enumeration's values, from 0, which some JSON writers use."""


class Message:
    """A message: its fields by number and by JSON name."""

    __slots__ = ("by_name", "by_number", "name")

    def __init__(self, name: str, *fields: Field):
        """`name` is protobuf's, for errors and tests."""
        self.name = name
        self.by_number = {field.number: field for field in fields}
        self.by_name = {field.name: field for field in fields}


def many(number: int, name: str, message: Message) -> Field:
    """A list of messages."""
    return Field(number, name, "message", True, message)


def one(number: int, name: str, message: Message) -> Field:
    """A message."""
    return Field(number, name, "message", False, message)


KINDS: Final = (
    "SPAN_KIND_UNSPECIFIED", "SPAN_KIND_INTERNAL", "SPAN_KIND_SERVER", "SPAN_KIND_CLIENT", "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
)  # fmt: skip
INTERNAL, CLIENT = 1, 3
CODES: Final = ("STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR")
OK, ERROR = 1, 2
TEMPORALITIES: Final = (
    "AGGREGATION_TEMPORALITY_UNSPECIFIED", "AGGREGATION_TEMPORALITY_DELTA", "AGGREGATION_TEMPORALITY_CUMULATIVE",
)  # fmt: skip
CUMULATIVE = 2

RESOURCE: Final = Message(
    "opentelemetry.proto.resource.v1.Resource",
    Field(1, "attributes", "attributes"),
    Field(2, "droppedAttributesCount", "uint32"),
)
SCOPE: Final = Message(
    "opentelemetry.proto.common.v1.InstrumentationScope",
    Field(1, "name", "string"),
    Field(2, "version", "string"),
    Field(3, "attributes", "attributes"),
    Field(4, "droppedAttributesCount", "uint32"),
)
STATUS: Final = Message(
    "opentelemetry.proto.trace.v1.Status",
    Field(2, "message", "string"),
    Field(3, "code", "enum", choices=CODES),
)
EVENT: Final = Message(
    "opentelemetry.proto.trace.v1.Span.Event",
    Field(1, "timeUnixNano", "fixed64"),
    Field(2, "name", "string"),
    Field(3, "attributes", "attributes"),
    Field(4, "droppedAttributesCount", "uint32"),
)
LINK: Final = Message(
    "opentelemetry.proto.trace.v1.Span.Link",
    Field(1, "traceId", "hex"),
    Field(2, "spanId", "hex"),
    Field(3, "traceState", "string"),
    Field(4, "attributes", "attributes"),
    Field(5, "droppedAttributesCount", "uint32"),
    Field(6, "flags", "fixed32"),
)
SPAN: Final = Message(
    "opentelemetry.proto.trace.v1.Span",
    Field(1, "traceId", "hex"),
    Field(2, "spanId", "hex"),
    Field(3, "traceState", "string"),
    Field(4, "parentSpanId", "hex"),
    Field(5, "name", "string"),
    Field(6, "kind", "enum", choices=KINDS),
    Field(7, "startTimeUnixNano", "fixed64"),
    Field(8, "endTimeUnixNano", "fixed64"),
    Field(9, "attributes", "attributes"),
    Field(10, "droppedAttributesCount", "uint32"),
    many(11, "events", EVENT),
    Field(12, "droppedEventsCount", "uint32"),
    many(13, "links", LINK),
    Field(14, "droppedLinksCount", "uint32"),
    one(15, "status", STATUS),
    Field(16, "flags", "fixed32"),
)
SCOPE_SPANS: Final = Message(
    "opentelemetry.proto.trace.v1.ScopeSpans",
    one(1, "scope", SCOPE),
    many(2, "spans", SPAN),
    Field(3, "schemaUrl", "string"),
)
RESOURCE_SPANS: Final = Message(
    "opentelemetry.proto.trace.v1.ResourceSpans",
    one(1, "resource", RESOURCE),
    many(2, "scopeSpans", SCOPE_SPANS),
    Field(3, "schemaUrl", "string"),
)
TRACE_REQUEST: Final = Message(
    "opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest",
    many(1, "resourceSpans", RESOURCE_SPANS),
)
TRACE_RESPONSE: Final = Message(
    "opentelemetry.proto.collector.trace.v1.ExportTraceServiceResponse",
    one(
        1,
        "partialSuccess",
        Message(
            "opentelemetry.proto.collector.trace.v1.ExportTracePartialSuccess",
            Field(1, "rejectedSpans", "int64"),
            Field(2, "errorMessage", "string"),
        ),
    ),
)
METRICS_RESPONSE: Final = Message(
    "opentelemetry.proto.collector.metrics.v1.ExportMetricsServiceResponse",
    one(
        1,
        "partialSuccess",
        Message(
            "opentelemetry.proto.collector.metrics.v1.ExportMetricsPartialSuccess",
            Field(1, "rejectedDataPoints", "int64"),
            Field(2, "errorMessage", "string"),
        ),
    ),
)
RPC_STATUS: Final = Message(
    "google.rpc.Status",
    Field(1, "code", "int32"),
    Field(2, "message", "string"),
)
"""The body of an error answer (OTLP/HTTP, "Failures")."""
HISTOGRAM_POINT: Final = Message(
    "opentelemetry.proto.metrics.v1.HistogramDataPoint",
    Field(2, "startTimeUnixNano", "fixed64"),
    Field(3, "timeUnixNano", "fixed64"),
    Field(4, "count", "fixed64"),
    Field(5, "sum", "double"),
    Field(6, "bucketCounts", "fixed64", True),
    Field(7, "explicitBounds", "double", True),
    Field(9, "attributes", "attributes"),
    Field(11, "min", "double"),
    Field(12, "max", "double"),
)
HISTOGRAM: Final = Message(
    "opentelemetry.proto.metrics.v1.Histogram",
    many(1, "dataPoints", HISTOGRAM_POINT),
    Field(2, "aggregationTemporality", "enum", choices=TEMPORALITIES),
)
METRIC: Final = Message(
    "opentelemetry.proto.metrics.v1.Metric",
    Field(1, "name", "string"),
    Field(2, "description", "string"),
    Field(3, "unit", "string"),
    one(9, "histogram", HISTOGRAM),
)
METRICS_REQUEST: Final = Message(
    "opentelemetry.proto.collector.metrics.v1.ExportMetricsServiceRequest",
    many(
        1,
        "resourceMetrics",
        Message(
            "opentelemetry.proto.metrics.v1.ResourceMetrics",
            one(1, "resource", RESOURCE),
            many(
                2,
                "scopeMetrics",
                Message(
                    "opentelemetry.proto.metrics.v1.ScopeMetrics",
                    one(1, "scope", SCOPE),
                    many(2, "metrics", METRIC),
                    Field(3, "schemaUrl", "string"),
                ),
            ),
            Field(3, "schemaUrl", "string"),
        ),
    ),
)
