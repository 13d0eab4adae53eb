"""Follows a task: its events in order, each once, over Socket.IO; over HTTP where there is no socket."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import socketio
from socketio.exceptions import SocketIOError

from ai_assistant.cli.remote import Remote, RemoteError
from ai_assistant.cli.stream import Caller
from ai_assistant.core.events import TERMINAL_TYPES

log = logging.getLogger("ai_assistant.cli")

CONNECT_S = 5
POLL_S = 0.3
QUIET_S = 10.0
"""Without an event for so long, the log is asked whether one was missed."""


class Follower:
    """Puts the events of a task in order, whatever brings them; what did not come is asked for."""

    def __init__(self, caller: Caller):
        self._caller = caller

    async def events(self, task_id: str) -> AsyncIterator[dict[str, Any]]:
        """The events of a task up to the one that ends it. Raises RemoteError when the host is lost for good."""
        seen = 0
        early: dict[int, dict[str, Any]] = {}
        while True:
            event = await self._next(task_id, seen)
            if event is not None and event.get("task_id") == task_id:
                early[event["seq"]] = event
            if event is None or (early and min(early) > seen + 1):
                for missed in await self._missed(task_id, seen):
                    early[missed["seq"]] = missed
                    if missed["type"] == "snapshot":
                        seen = missed["seq"] - 1
            early = {seq: item for seq, item in early.items() if seq > seen}
            while seen + 1 in early:
                seen += 1
                event = early.pop(seen)
                yield event
                if event["type"] in TERMINAL_TYPES:
                    return

    async def _next(self, task_id: str, seen: int) -> dict[str, Any] | None:
        """An event of any task, or `None` when it is time to ask for what was missed after number `seen`."""
        raise NotImplementedError

    async def _missed(self, task_id: str, seen: int) -> list[dict[str, Any]]:
        for attempt in range(20):
            try:
                return (await self._caller.call("get_events", task_id=task_id, after_seq=seen))["events"]
            except RemoteError as error:
                if 0 < error.status < 500 or attempt == 19:
                    raise
                await asyncio.sleep(min(2.0, 0.2 * 2**attempt))
        return []


class SocketFollower(Follower):
    """One socket to a host, for any number of tasks one after the other."""

    def __init__(self, remote: Remote, site: str, socket_url: str | None = None):
        super().__init__(remote)
        self._remote = remote
        self._site = site
        self._urls = [socket_url] if socket_url else socket_urls(remote.url)
        self._arrived: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._socket: Any = None
        self._session: Any = None
        self.live = False
        """Whether a socket is connected; without it events are asked for."""

    async def connect(self) -> None:
        """Connects the socket; a failure is noted, and events come over HTTP instead."""
        for url in self._urls:
            if await self._connect(url):
                return

    async def _connect(self, url: str) -> bool:
        session = aiohttp.ClientSession()  # ours to close: after a failure Socket.IO would leave its own open
        socket = socketio.AsyncClient(
            http_session=session, reconnection_delay=1, reconnection_delay_max=5, logger=False
        )
        namespace = f"/{self._site}"
        socket.on("ai_progress", self._on_event, namespace=namespace)
        socket.on("connect", self._on_connect, namespace=namespace)
        socket.on("disconnect", self._on_disconnect, namespace=namespace)
        try:
            await socket.connect(
                url,
                headers=self._remote.socket_headers(),
                namespaces=[namespace],
                transports=["websocket"],
                wait_timeout=CONNECT_S,
            )
        except (SocketIOError, OSError, asyncio.TimeoutError) as error:
            log.info("no socket to %s, asking for events over HTTP: %s", url, error)
            await socket.shutdown()
            await session.close()
            return False
        self._socket, self._session = socket, session
        self.live = True
        return True

    async def _on_event(self, event: dict[str, Any]) -> None:
        self._arrived.put_nowait(event)

    async def _on_connect(self) -> None:
        self.live = True
        self._arrived.put_nowait(None)  # look whether something was missed

    async def _on_disconnect(self, *_: Any) -> None:
        self.live = False
        self._arrived.put_nowait(None)

    async def _next(self, task_id: str, seen: int) -> dict[str, Any] | None:
        try:
            return await asyncio.wait_for(self._arrived.get(), QUIET_S if self.live else POLL_S)
        except (asyncio.TimeoutError, TimeoutError):
            return None

    async def close(self) -> None:
        """Closes the socket."""
        if self._socket:
            await self._socket.shutdown()
            await self._session.close()


def socket_urls(url: str) -> list[str]:
    """Where a host's Socket.IO may be: at its own address; on a development bench, where no proxy joins the two, on
    port 9000 + n beside the web's 8000 + n (frappe-bench numbers its ports so)."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.port or not 8000 <= parts.port < 9000:
        return [url]
    host = f"[{parts.hostname}]" if ":" in str(parts.hostname) else parts.hostname
    return [url, f"http://{host}:{parts.port + 1000}"]
