"""A trace as a JSON document of its own: everything that is stored of it, in a form that says its version."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import IO, Any, Final

import msgspec

import ai_assistant
from ai_assistant.core.trace_views import INTERNAL, data_of

FORMAT: Final = "ai-assistant-trace"
VERSION: Final = 1
"""Rises when a reader of the last one would be led astray; new members do not count."""
JSON_COLUMNS: Final = frozenset({"metadata", "marks", "scores"})


def write_json(site: str, trace: Mapping[str, Any], observations: Iterable[Mapping[str, Any]], out: IO[bytes]) -> None:
    """Writes the document, observation by observation: none but one is held. Times are epoch microseconds."""
    head = {
        "format": FORMAT,
        "version": VERSION,
        "app_version": ai_assistant.__version__,
        "site": site,
        "exported_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "trace": {"trace": trace.get("name"), **plain(trace)},
    }
    out.write(msgspec.json.encode(head)[:-1] + b',"observations":[')
    for i, row in enumerate(observations):
        out.write((b",\n" if i else b"\n") + msgspec.json.encode(plain(row)))
    out.write(b"\n]}\n")


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """What there is in a row, columns of JSON as data."""
    return {
        key: data_of(value) if key in JSON_COLUMNS and isinstance(value, str) else value
        for key, value in row.items()
        if key not in INTERNAL and key != "name" and value is not None  # `trace` and `span` say the name
    }
