"""Takes an OTLP/HTTP export of spans: reads its body, makes entries for the stream, and writes the answer.

https://opentelemetry.io/docs/specs/otlp/#otlphttp. Whether a body is compressed is told by its first bytes, which are
those of gzip and of nothing else that is accepted here: so it works too where the header is lost on the way.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from ai_assistant.core.trace_event import ENTRY_BYTES, ENTRY_EVENTS, TraceEvent, body_of, encode_event
from ai_assistant.core.trace_pipe import OtlpError, TraceEntry
from ai_assistant.traces.otlp_in import events_of
from ai_assistant.traces.otlp_json import JsonError, read_json, to_json
from ai_assistant.traces.otlp_proto import ProtoError, decode, encode
from ai_assistant.traces.otlp_schema import RPC_STATUS, TRACE_REQUEST, TRACE_RESPONSE, Message
from ai_assistant.traces.otlp_span import Rejected, spans_of

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"
PRODUCER: Final = "otlp"
"""The producer of events that came over OTLP. They are not numbered: what was lost before it came is not known here."""
MAX_INFLATED: Final = 32 * 1024 * 1024
"""Bytes of a body when it is decompressed."""
GZIP: Final = b"\x1f\x8b"
GZIP_WINDOW: Final = 31
"""zlib's `wbits` for gzip's own header."""
INVALID_ARGUMENT, UNAUTHENTICATED, PERMISSION_DENIED, UNAVAILABLE = 3, 16, 7, 14
"""Codes of google.rpc.Code."""


def taken(media: str, body: bytes, user: str | None) -> tuple[list[TraceEntry], Rejected]:
    """The entries for the stream, and the spans that were refused. `user`: whose the traces are to be, where the
    consumer does not say it. Raises OtlpError."""
    spans, rejected = spans_of(request_of(media, body))
    return entries_of(events_of(spans, user)), rejected


def request_of(media: str, body: bytes) -> dict[str, Any]:
    """The ExportTraceServiceRequest of a body. Raises OtlpError."""
    if media not in (PROTOBUF, JSON):
        raise OtlpError(f"content-type: must be {PROTOBUF} or {JSON}, not {media[:100]!r}", status=415)
    plain = inflated(body) if body.startswith(GZIP) else body
    if len(plain) > MAX_INFLATED:
        raise too_large()
    try:
        return decode(TRACE_REQUEST, plain) if media == PROTOBUF else read_json(TRACE_REQUEST, plain)
    except (ProtoError, JsonError) as error:
        raise OtlpError(f"body: is no ExportTraceServiceRequest: {error}") from None


def inflated(body: bytes) -> bytes:
    """A gzip body, decompressed. Raises OtlpError where it is broken or too large."""
    parts: list[bytes] = []
    left = MAX_INFLATED
    while body:
        machine = zlib.decompressobj(GZIP_WINDOW)
        try:
            parts.append(machine.decompress(body, left + 1))
        except zlib.error as error:
            raise OtlpError(f"body: cannot be decompressed as gzip: {error}") from None
        left -= len(parts[-1])
        if left < 0:
            raise too_large()
        if not machine.eof:
            raise OtlpError("body: its gzip data ends early")
        body = machine.unused_data
    return b"".join(parts)


def too_large() -> OtlpError:
    """The error for a body that no exporter needs."""
    return OtlpError(
        f"body: has more than {MAX_INFLATED} bytes when decompressed; send fewer spans at once", status=413
    )


def entries_of(events: Iterable[TraceEvent]) -> list[TraceEntry]:
    """Events in entries that are neither too many nor too large."""
    found: list[TraceEntry] = []
    held: list[bytes] = []
    size = 0
    for event in events:
        raw = encode_event(event)
        if held and (len(held) >= ENTRY_EVENTS or size + len(raw) > ENTRY_BYTES):
            found.append(entry_of(held))
            held, size = [], 0
        held.append(raw)
        size += len(raw)
    return [*found, entry_of(held)] if held else found


def entry_of(events: list[bytes]) -> TraceEntry:
    """One entry."""
    fields = body_of(events)
    body = fields["b"]
    assert isinstance(body, bytes)
    return TraceEntry(body, bool(fields.get("z")), len(events))


def answer(media: str, rejected: Rejected) -> bytes:
    """The ExportTraceServiceResponse, in the form of the request."""
    said = {"rejectedSpans": rejected.count, "errorMessage": rejected.why} if rejected.count else None
    return written(TRACE_RESPONSE, {"partialSuccess": said}, media)


def refusal(media: str, status: int, message: str) -> bytes:
    """The google.rpc.Status of an HTTP error, in the form of the request."""
    codes = {401: UNAUTHENTICATED, 403: PERMISSION_DENIED, 503: UNAVAILABLE}
    return written(RPC_STATUS, {"code": codes.get(status, INVALID_ARGUMENT), "message": message}, media)


def written(message: Message, value: dict[str, Any], media: str) -> bytes:
    """A message as JSON where that is what the client speaks, else as protobuf."""
    return msgspec.json.encode(to_json(message, value)) if media == JSON else encode(message, value)
