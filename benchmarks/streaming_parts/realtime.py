"""A Socket.IO client (protocol 5 over Engine.IO 4, WebSocket only) that reads `ai_progress` and little else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import msgspec

from .websocket import OPEN_TIMEOUT, WebSocket, WebSocketError


class Event(msgspec.Struct):
    """What the benchmark reads of an event of the wire contract."""

    type: str
    task_id: str = ""
    seq: int = 0
    text: str = ""
    partial: bool = False
    ts: int = 0
    code: str = ""
    message: str = ""


_decode = msgspec.json.Decoder(tuple[str, Event]).decode
OPEN, PING, PONG = b"0", b"2", "3"


class RealtimeError(Exception):
    """The server refused the connection to its namespace."""


class Realtime:
    """One socket in the namespace of a site."""

    def __init__(self, site: str, on_event: Callable[[Event, int], None]):
        """`on_event` gets each `ai_progress` event and the clock of its receipt."""
        self._namespace = f"/{site}"
        self._on_event = on_event
        self._prefix = f'42{self._namespace},["ai_progress"'.encode()
        self._start = len(f"42{self._namespace},")
        self._joined: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._socket: WebSocket | None = None

    async def connect(self, url: str, headers: Mapping[str, str], page: str = "") -> None:
        """Connects and joins the namespace. `headers` carry the credential; `page` is the URL of the page that asks,
        where it is another one: a site's realtime server calls it back. Raises RealtimeError, WebSocketError."""
        parts, asks = urlsplit(url), urlsplit(page or url)
        origin = {"Origin": f"{asks.scheme}://{asks.netloc}"}
        target = f"{parts.scheme}://{parts.netloc}/socket.io/?EIO=4&transport=websocket"
        self._socket = await WebSocket.connect(target, {**origin, **headers}, self._text)
        self._socket.closed.add_done_callback(self._closed)
        await asyncio.wait_for(self._joined, OPEN_TIMEOUT)

    @property
    def closed(self) -> str | None:
        """Why the connection was closed; `None` while it is open."""
        if self._socket is None or not self._socket.closed.done():
            return None
        return self._socket.closed.result()

    def close(self) -> None:
        """Leaves."""
        if self._socket is not None:
            self._socket.abort()

    def _text(self, data: bytes, now: int) -> None:
        if data.startswith(self._prefix):
            self._on_event(_decode(data[self._start :])[1], now)
        else:
            self._control(data)

    def _control(self, data: bytes) -> None:
        """Engine.IO's open and ping, Socket.IO's connect and refusal; other packets are not ours."""
        assert self._socket is not None or data.startswith(OPEN)
        if data.startswith(OPEN):
            asyncio.get_running_loop().call_soon(self._join)
        elif data == PING and self._socket is not None:
            self._socket.send_text(PONG)
        elif data.startswith(b"40") and not self._joined.done():
            self._joined.set_result(None)
        elif data.startswith(b"44") and not self._joined.done():
            self._joined.set_exception(RealtimeError(data[2:300].decode("utf-8", "replace")))

    def _join(self) -> None:
        if self._socket is None:  # the open packet came in one piece with the handshake
            asyncio.get_running_loop().call_later(0.001, self._join)
        else:
            self._socket.send_text(f"40{self._namespace},")

    def _closed(self, closed: asyncio.Future[str]) -> None:
        if not self._joined.done():
            self._joined.set_exception(WebSocketError(closed.result()))
