"""What the suite's provider is to answer: a list of steps for each call that a test expects."""

from __future__ import annotations

import json
import threading
import uuid
from dataclasses import dataclass, field
from typing import Any

SSE = {"Content-Type": "text/event-stream"}


class Gate:
    """A step that waits until the test opens it: the stream then goes on."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def open(self) -> None:
        """Let the stream go on."""
        self._event.set()

    @property
    def is_open(self) -> bool:
        """Whether it was opened."""
        return self._event.is_set()


@dataclass(frozen=True)
class Pause:
    """A step that waits."""

    seconds: float


@dataclass(frozen=True)
class Endless:
    """A step that never ends: writes `data` every `interval` seconds until the client has gone."""

    data: bytes
    interval: float = 0.02


class Hold:
    """A step that says nothing more and keeps the connection open until the client closes it."""


class Cut:
    """A step that breaks the connection off."""


Step = bytes | Gate | Pause | Endless | Hold | Cut


@dataclass(frozen=True)
class Reply:
    """One answer of the provider."""

    steps: list[Step]
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: dict(SSE))


def refusal(status: int, message: str, *, code: str | None = None, type: str = "error", **headers: str) -> Reply:
    """An HTTP error in OpenAI's form. Names of headers are written with `_` for `-`."""
    body = {"error": {"message": message, "type": type, "code": code}}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply([json.dumps(body).encode()], status, {"Content-Type": "application/json", **named})


def page(html: str = "<html><body><h1>Bad gateway</h1></body></html>", status: int = 200) -> Reply:
    """What a proxy in between would answer."""
    return Reply([html.encode()], status, {"Content-Type": "text/html"})


@dataclass
class Call:
    """One request that the provider received."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    closed: threading.Event = field(default_factory=threading.Event)
    """Set when the client closed the connection before the answer was whole."""
    over: threading.Event = field(default_factory=threading.Event)
    """Set when the provider has done with it, in whichever way."""


class Script:
    """The replies to the calls whose last known key is this script's; the last reply is repeated."""

    def __init__(self, replies: list[Reply]):
        self.key = f"k-{uuid.uuid4().hex[:12]}"
        self.replies = replies
        self.calls: list[Call] = []
        self._arrived = threading.Condition()

    def messages(self, content: str = "Question") -> list[dict[str, Any]]:
        """Messages that are answered by this script."""
        return [{"role": "user", "content": f"{content} {self.key}"}]

    def take(self, call: Call) -> Reply:
        """Note a call; gives the reply to it."""
        with self._arrived:
            self.calls.append(call)
            self._arrived.notify_all()
            return self.replies[min(len(self.calls), len(self.replies)) - 1]

    def wait_for_call(self, count: int = 1, timeout: float = 20.0) -> Call:
        """The `count`-th call, once it is there."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: len(self.calls) >= count, timeout):
                raise AssertionError(f"the provider received {len(self.calls)} calls, not {count}")
            return self.calls[count - 1]
