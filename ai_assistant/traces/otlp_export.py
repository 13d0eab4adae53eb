"""A stored trace as OTLP/JSON (https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/): one document that any
collector takes, and this app's own intake too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import IO, Any

import msgspec

from ai_assistant.traces.otlp_json import to_json
from ai_assistant.traces.otlp_out import SCOPE, is_whole, request_of, resource_of, span_of
from ai_assistant.traces.otlp_schema import RESOURCE, SPAN, TRACE_REQUEST
from ai_assistant.traces.otlp_schema import SCOPE as SCOPE_MESSAGE

Row = Mapping[str, Any]


def to_otlp_json(trace: Row, observations: Iterable[Row], site: str = "") -> dict[str, Any]:
    """The trace with all its content. Observations that still run have no end and are left out."""
    pairs = ((row, trace) for row in observations if is_whole(row))
    return to_json(TRACE_REQUEST, request_of(pairs, site, content=True))


def write_otlp_json(trace: Row, observations: Iterable[Row], out: IO[bytes], site: str = "") -> None:
    """Writes the same, observation by observation: none but one is held."""
    encode = msgspec.json.encode
    resource = to_json(RESOURCE, {"attributes": resource_of(trace, site)})
    head = b'{"resourceSpans":[{"resource":%s,"scopeSpans":[{"scope":%s,"spans":['
    out.write(head % (encode(resource), encode(to_json(SCOPE_MESSAGE, SCOPE))))
    between = b"\n"
    for row in observations:
        if is_whole(row):
            out.write(between + encode(to_json(SPAN, span_of(row, trace, content=True))))
            between = b",\n"
    out.write(b"\n]}]}]}\n")
