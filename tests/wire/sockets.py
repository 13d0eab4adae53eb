"""A Socket.IO client that keeps what it receives; plain tests drive it through the background loop."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any
from urllib.parse import urlsplit

import socketio
from socketio.exceptions import ConnectionError as SocketRefused

from .background import Background

__all__ = ["SETS_ORIGIN", "Listener", "SocketRefused"]
PATIENCE = 20.0
#: bench's nginx (frappe-bench 5.31) sends the realtime server an Origin of its own: that server refuses none then, and
#: what keeps foreign pages out is the cookie's SameSite=Lax alone.
SETS_ORIGIN = os.environ.get("AI_ASSISTANT_PROXY_ORIGIN") == "1"


class Listener:
    """One socket. Keeps every `ai_progress` in the order of its arrival."""

    def __init__(self, background: Background, url: str, site: str, *, origin: str = ""):
        """`origin`: of the page that would connect, where that is not the socket's own address."""
        self._background = background
        self._url = url
        self._origin = origin or url
        self.namespace = f"/{site}"
        self.events: list[dict[str, Any]] = []
        self.others: list[tuple[str, Any]] = []
        self._client: socketio.AsyncClient | None = None

    def connect(
        self,
        *,
        sid: str | None = None,
        cookie: str | None = None,
        token: str | None = None,
        origin: str | None = "same",
        namespace: str | None = None,
        transports: list[str] | None = None,
    ) -> Listener:
        """Connect with a session's id or a whole Cookie header and an API key. Raises SocketRefused."""
        self.namespace = namespace or self.namespace
        headers = _headers(self._origin if origin == "same" else origin, cookie or (sid and f"sid={sid}"), token)
        self._background.run(self._connect(headers, transports or ["websocket"]))
        return self

    async def _connect(self, headers: dict[str, str], transports: list[str]) -> None:
        client = socketio.AsyncClient(reconnection=False)
        client.on("ai_progress", self.events.append, namespace=self.namespace)
        client.on("*", self._note, namespace=self.namespace)
        self._client = client
        await client.connect(
            self._url, headers=headers, transports=transports, namespaces=[self.namespace], wait_timeout=10
        )

    def _note(self, event: str, *arguments: Any) -> None:
        self.others.append((event, arguments))

    def close(self) -> None:
        """Disconnect; harmless when it is not connected."""
        if self._client is not None:
            self._background.run(_leave(self._client))
            self._client = None

    @property
    def is_connected(self) -> bool:
        """Whether the namespace is connected."""
        return self._client is not None and self.namespace in self._client.namespaces

    def of(self, task_id: str) -> list[dict[str, Any]]:
        """The events of one task."""
        return [event for event in list(self.events) if event["task_id"] == task_id]

    def wait_for(self, task_id: str, reached: Any, timeout: float = PATIENCE) -> list[dict[str, Any]]:
        """The events of a task so far, once `reached(events)` holds."""
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            found = self.of(task_id)
            if reached(found):
                return found
            time.sleep(0.005)
        raise AssertionError(f"not received within {timeout:g} s; got {[e['type'] for e in self.of(task_id)]}")

    def wait_for_end(self, task_id: str, timeout: float = PATIENCE) -> list[dict[str, Any]]:
        """All events of a task, up to its end."""
        return self.wait_for(
            task_id, lambda e: any(x["type"] in ("completion", "error", "cancelled") for x in e), timeout
        )


def _headers(origin: str | None, cookie: str | None, token: str | None) -> dict[str, str]:
    headers = {}
    if origin:
        parts = urlsplit(origin)
        headers["Origin"] = f"{parts.scheme}://{parts.netloc}"
    if cookie:
        headers["Cookie"] = cookie
    if token:
        headers["Authorization"] = f"token {token}"
    return headers


async def _leave(client: socketio.AsyncClient) -> None:
    """Say good-bye; a client that polls waits for its last poll, which takes as long as a ping."""
    try:
        await asyncio.wait_for(client.disconnect(), 2)
    except asyncio.TimeoutError:
        await client.eio.disconnect(abort=True)
