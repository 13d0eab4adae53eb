"""What a stream of trace events tells of chats, put together without the code that stores it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import redis

from ai_assistant.core.trace_event import unpack
from ai_assistant.core.trace_keys import ObservabilityKeys


@dataclass
class Story:
    """One trace: its own fields, and its observations by their ids, each with all that was said of it."""

    fields: dict[str, Any] = field(default_factory=dict)
    spans: dict[str, dict[str, Any]] = field(default_factory=dict)
    kinds: list[tuple[str, str]] = field(default_factory=list)
    """Kind and observation of each event, in order."""

    def of(self, type_: str) -> list[dict[str, Any]]:
        """The observations of a type, in the order of their beginning."""
        found = [span for span in self.spans.values() if span["type"] == type_]
        return sorted(found, key=lambda span: span["started_at"])

    @property
    def root(self) -> dict[str, Any]:
        """The one observation without a parent."""
        (found,) = (span for span in self.spans.values() if not span["parent"])
        return found

    @property
    def metadata(self) -> dict[str, Any]:
        """The root's."""
        return json.loads(self.root["metadata"])


def stories(client: redis.Redis, site: str) -> dict[str, Story]:
    """Every trace of a site's stream."""
    found: dict[str, Story] = {}
    for _, entry in client.xrange(ObservabilityKeys(site).events):
        for event in unpack(entry[b"b"], b"z" in entry):
            if not event.trace:
                continue
            story = found.setdefault(event.trace, Story())
            story.kinds.append((event.kind, event.span))
            if event.kind == "trace":
                story.fields |= event.fields
            else:
                story.spans.setdefault(event.span, {"id": event.span}).update(event.fields)
    return found


def raw(client: redis.Redis, site: str) -> bytes:
    """Everything that is in the stream, decompressed."""
    parts = []
    for _, entry in client.xrange(ObservabilityKeys(site).events):
        parts += [repr(event).encode() for event in unpack(entry[b"b"], b"z" in entry)]
        parts += [value for name, value in entry.items() if name != b"b"]
    return b"\n".join(parts)


def played(marks: list[list[int]], text: str) -> list[tuple[int, str]]:
    """A text as it was seen: milliseconds, and what was added then."""
    found, at = [], 0
    for ms, chars in marks:
        found.append((ms, text[at : at + chars]))
        at += chars
    assert at == len(text)
    return found
