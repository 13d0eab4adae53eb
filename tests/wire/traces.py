"""A program elsewhere that traces: it makes events as docs/protocol.md describes them and sends them over HTTP."""

from __future__ import annotations

import base64
import secrets
import time
import zlib
from typing import Any

import httpx
import msgspec

from .client import Client, Refused, result

PATIENCE = 30.0
QUESTION, ANSWER = "A question about Xylophongärten", "An answer about Zitterrochen"
MSGPACK = {"Content-Type": "application/x-msgpack"}


def new_trace() -> str:
    """An id of W3C Trace Context."""
    return secrets.token_hex(16)


def new_span() -> str:
    """An id of an observation."""
    return secrets.token_hex(8)


def now_us() -> int:
    """Epoch microseconds."""
    return time.time_ns() // 1000


class Program:
    """One producer. It numbers its events, and keeps those of each call to send them again."""

    def __init__(self, client: Client):
        self.client = client
        self.producer = f"wire-{secrets.token_hex(6)}"
        self.number = 0
        self._places: dict[str, int] = {}

    def event(self, kind: str, trace: str, span: str = "", *, at: int | None = None, **fields: Any) -> list[Any]:
        """The next event, in the form of the wire."""
        self.number += 1
        place = self._places[trace] = self._places.get(trace, 0) + 1
        return [self.number, kind, at or now_us(), trace, 1, place, span, fields]

    def upload(self, events: list[list[Any]], *, compress: bool = False, size: int = 50) -> dict[str, Any]:
        """What a call sends for these events."""
        entries = []
        for i in range(0, len(events), size):
            part = events[i : i + size]
            body = msgspec.msgpack.encode(part)
            entries.append({"b": zlib.compress(body) if compress else body, "z": int(compress), "n": len(part)})
        return {"producer": self.producer, "entries": entries, "beat": {"made": self.number, "host": "wire"}}

    def post(self, upload: Any) -> httpx.Response:
        """The bare answer to an upload as MessagePack."""
        return self.client.request("ingest_traces", content=msgspec.msgpack.encode(upload), headers=MSGPACK)

    def send(self, events: list[list[Any]], **options: Any) -> dict[str, Any]:
        """Sends them; gives the result. Raises Refused."""
        return result(self.post(self.upload(events, **options)))

    def answered(
        self, trace: str, *, question: str = "Why?", answer: str = "Because.", **fields: Any
    ) -> list[list[Any]]:
        """The events of a small trace: a root, a model's call and a tool below it, and what is said of the trace."""
        root, call, tool = new_span(), new_span(), new_span()
        start = fields.pop("at", None) or now_us()
        generation = {
            "parent": root,
            "type": "generation",
            "title": "ask the model",
            "model": "gpt-wire",
            "provider": "openai",
            "started_at": start + 1000,
            "ended_at": start + 51_000,
            "prompt_tokens": 7,
            "completion_tokens": 5,
            "total_tokens": 12,
            "cost": 0.25,
            "input": question,
            "output": answer,
            "reasoning": "Hm.",
        }
        return [
            self.event("trace", trace, **{"service": "wire", "source": "sdk", **fields}),
            self.event("start", trace, root, at=start, title="work", type="span", started_at=start),
            self.event("whole", trace, call, at=start + 1000, **generation),
            self.event(
                "whole", trace, tool, at=start + 2000, parent=call, type="tool", title="look it up",
                started_at=start + 2000, ended_at=start + 3000, input='{"q": 1}',
            ),
            self.event(
                "end", trace, root, at=start + 60_000, status="completed", ended_at=start + 60_000, input=question,
                output=answer,
            ),
        ]  # fmt: skip

    def traced(self, **fields: Any) -> str:
        """A small trace that is stored; its id."""
        trace = new_trace()
        self.send(self.answered(trace, **fields))
        stored(self.client, trace, lambda found: found["trace"]["status"] == "completed")
        return trace


def as_json(upload: dict[str, Any]) -> dict[str, Any]:
    """The same upload for a JSON body."""
    entries = [{**entry, "b": base64.b64encode(entry["b"]).decode()} for entry in upload["entries"]]
    return {**upload, "entries": entries}


def stored(client: Client, trace: str, reached: Any = lambda found: True) -> dict[str, Any]:
    """The trace once a consumer has stored it and `reached(it)` holds."""
    until = time.monotonic() + PATIENCE
    found: Any = None
    while time.monotonic() < until:
        try:
            found = client.call("get_trace", trace=trace)
        except Refused as refused:
            if refused.status != 404:
                raise
        else:
            if reached(found):
                return found
        time.sleep(0.05)
    raise AssertionError(f"trace {trace} did not come within {PATIENCE:g} s: {found}")


def ids_of(page: dict[str, Any]) -> list[str]:
    """The ids of a page of `get_traces`."""
    return [row["trace"] for row in page["traces"]]
