"""What a program elsewhere sends to `ingest_traces`: entries of events, checked before anything is kept of them.

As MessagePack (`application/x-msgpack`) `b` is binary; in JSON it is base64. An upload is taken whole or not at all.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec

from ai_assistant.core import check
from ai_assistant.core.errors import ValidationError
from ai_assistant.core.trace_event import (
    ENTRY_EVENTS,
    MAX_ENTRY_BYTES,
    OBSERVATION_KINDS,
    PRODUCER_KINDS,
    TraceEvent,
    WireError,
    inflated,
    unpack,
)
from ai_assistant.core.trace_pipe import TraceEntry

MEDIA_TYPE: Final = "application/x-msgpack"
MAX_ENTRIES: Final = 2000
"""Entries of one upload."""
MAX_EVENT_BYTES: Final = 64 * 1024 * 1024
"""Bytes of one upload's events when they are decompressed: what a body of zlib bombs may cost."""
MAX_NUMBER: Final = 2**53
MAX_AT: Final = 253_402_300_800_000_000
"""Epoch microseconds of the end of the year 9999."""

_PRODUCER = re.compile(r"[A-Za-z0-9._:@+-]{1,100}")
_TRACE = re.compile(r"[0-9a-f]{32}")
_SPAN = re.compile(r"[0-9a-f]{16}")
_MISSING = re.compile(r"Object missing required field `(\w+)`")
_PATH = re.compile(r"^(.*?)(?: - at `\$\.?(.*)`)?$", re.DOTALL)

Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_NUMBER)]
Word = Annotated[str, msgspec.Meta(max_length=140)]


class UploadEntry(msgspec.Struct):
    """One entry, with the field names of the stream's own."""

    b: bytes
    z: Literal[0, 1] = 0
    n: Annotated[int, msgspec.Meta(ge=0, le=ENTRY_EVENTS)] | None = None


class Beat(msgspec.Struct):
    """What a producer says of itself at least every five seconds; everything else in it is ignored."""

    host: Word = ""
    pid: Count = 0
    service: Word | None = None
    made: Count = 0
    dropped: Count = 0
    buffered: Count = 0
    open: Count = 0


class Upload(msgspec.Struct):
    """The whole of it."""

    producer: str
    entries: Annotated[list[UploadEntry], msgspec.Meta(max_length=MAX_ENTRIES)] = []
    beat: Beat | None = None


def upload_of(media: str, body: bytes, arguments: Mapping[str, Any]) -> Upload:
    """The upload in a MessagePack body, or in the arguments that the host has read from another one. Raises
    ValidationError, which names the field by its path."""
    try:
        if media == MEDIA_TYPE:
            found = msgspec.msgpack.decode(body, type=Upload)
        else:
            given = {name: value for name, value in arguments.items() if value is not None}
            lists = {name: check.parsed(name, given[name]) for name in ("entries", "beat") if name in given}
            found = msgspec.convert(given | lists, Upload)
    except msgspec.ValidationError as error:
        raise ValidationError(named(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValidationError(f"body: is not valid MessagePack ({error})") from None
    if not _PRODUCER.fullmatch(found.producer):
        raise ValidationError(
            f"producer: must be 1 to 100 letters, digits and ._:@+-, not {check.shown(found.producer)}"
        )
    for name in ("host", "service"):
        check.clean(f"beat.{name}", getattr(found.beat, name, None) or "")
    return found


def named(message: str) -> str:
    """The message of msgspec with the field's path in front, as our own have it."""
    match = _PATH.match(message)
    text, path = (match.group(1), match.group(2) or "") if match else (message, "")
    if missing := _MISSING.fullmatch(text):
        return f"{path}.{missing.group(1)}: is missing".removeprefix(".")
    return f"{path or 'body'}: {text}"


def checked_entries(upload: Upload) -> list[TraceEntry]:
    """The entries, each read to its end. Raises ValidationError for the first that cannot be."""
    left = MAX_EVENT_BYTES
    found = []
    for i, entry in enumerate(upload.entries):
        body = plain_body(f"entries[{i}]", entry)
        left -= len(body)
        if left < 0:
            raise ValidationError(
                f"entries: more than {MAX_EVENT_BYTES} bytes when they are decompressed; send fewer at once"
            )
        events = events_of(f"entries[{i}]", body, entry.n)
        ended = any(event.kind == "bye" for event in events)
        found.append(TraceEntry(entry.b, bool(entry.z), len(events), ended))
    return found


def plain_body(field: str, entry: UploadEntry) -> bytes:
    """The entry's events as MessagePack. Raises ValidationError where that is too long or cannot be got."""
    try:
        body = inflated(entry.b) if entry.z else entry.b
    except WireError as error:
        raise ValidationError(f"{field}.b: {error}") from None
    if len(body) > MAX_ENTRY_BYTES:
        raise ValidationError(f"{field}.b: {len(body)} bytes; at most {MAX_ENTRY_BYTES} are allowed")
    return body


def events_of(field: str, body: bytes, said: int | None) -> list[TraceEvent]:
    """The events of an entry, each with ids that can be stored."""
    try:
        events = unpack(body, False)
    except WireError as error:
        raise ValidationError(f"{field}.b: {error}") from None
    if not 1 <= len(events) <= ENTRY_EVENTS:
        raise ValidationError(f"{field}.b: must hold 1 to {ENTRY_EVENTS} events, not {len(events)}")
    if said is not None and said != len(events):
        raise ValidationError(f"{field}.n: says {said} events, but there are {len(events)}")
    for i, event in enumerate(events):
        if wrong := fault_of(event):
            raise ValidationError(f"{field}.b[{i}].{wrong}")
    return events


def fault_of(event: TraceEvent) -> str:
    """What is wrong with an event, beginning with the name of the member; nothing where all is well."""
    if event.kind not in OBSERVATION_KINDS and event.kind not in PRODUCER_KINDS and event.kind != "trace":
        return f"kind: there is no kind {check.shown(event.kind)}"
    for name in ("number", "segment", "place"):
        if not 0 <= getattr(event, name) <= MAX_NUMBER:
            return f"{name}: must be between 0 and {MAX_NUMBER}"
    if not 0 <= event.at <= MAX_AT:
        return f"at: must be epoch microseconds, not {check.shown(event.at)}"
    if event.kind in PRODUCER_KINDS:
        return ""
    if not _TRACE.fullmatch(event.trace):
        return f"trace: must be 32 hexadecimal digits in lower case, not {check.shown(event.trace)}"
    if event.kind in OBSERVATION_KINDS and not _SPAN.fullmatch(event.span):
        return f"span: must be 16 hexadecimal digits in lower case, not {check.shown(event.span)}"
    return ""


def producer_of(user: str, producer: str) -> str:
    """The name under which a user's producer is kept: nobody can speak as another user's, whatever they call theirs."""
    return f"{hashlib.sha256(user.encode('utf-8', 'replace')).hexdigest()[:16]}:{producer}"
