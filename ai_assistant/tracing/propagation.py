"""Traces across processes: the header `traceparent` (W3C Trace Context, level 1, https://www.w3.org/TR/trace-context/)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any

import msgspec

from ai_assistant.tracing.context import CURRENT
from ai_assistant.tracing.no_span import nothing

TRACEPARENT = "traceparent"
_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


class Remote(msgspec.Struct, frozen=True):
    """An observation of another program."""

    trace_id: str
    span_id: str
    sampled: bool


def parsed(traceparent: str | bytes | None) -> Remote | None:
    """What the header says; None for one that is not valid, which then is as if it were not there."""
    if isinstance(traceparent, bytes):
        traceparent = traceparent.decode("latin-1")
    found = _FORM.fullmatch(traceparent.strip().lower()) if isinstance(traceparent, str) else None
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == "ff" or (version == "00" and more) or not int(trace_id, 16) or not int(span_id, 16):
        return None
    return Remote(trace_id, span_id, bool(int(flags, 16) & 1))


def traceparent() -> str:
    """The header for a request that belongs to the current observation; empty where there is none."""
    span = CURRENT.get()
    return span.traceparent() if span is not None else ""


def inject(headers: MutableMapping[str, str]) -> MutableMapping[str, str]:
    """Adds the header to those of a request; gives them back."""
    header = traceparent()
    if header:
        headers[TRACEPARENT] = header
    return headers


def extract(headers: Mapping[str, Any]) -> str | None:
    """The header among those of a request, whatever the case of its name; bytes are taken, too."""
    for name, value in headers.items():
        key = name.decode("latin-1") if isinstance(name, bytes) else str(name)
        if key.lower() == TRACEPARENT:
            return value.decode("latin-1") if isinstance(value, bytes) else str(value)
    return None


@contextmanager
def continue_trace(header: str | Mapping[str, Any] | None) -> Iterator[None]:
    """Within the block, observations belong to the trace of another program: `header` is its `traceparent`, or the
    headers of its request. One that is missing or not valid changes nothing."""
    from ai_assistant.tracing.state import remote_parent

    remote = parsed(extract(header) if isinstance(header, Mapping) else header)
    if remote is None:
        yield
        return
    span = remote_parent(remote) if remote.sampled else nothing(remote.trace_id)
    if span is None:
        yield
        return
    token = CURRENT.set(span)
    try:
        yield
    finally:
        CURRENT.reset(token)
