"""A WebSocket client (RFC 6455) with little CPU per frame: what a benchmark's generator needs, and no more.

The libraries take 20 to 60 µs for a received frame, which at 5,000 frames a second would be what is measured.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import ssl
import time
from collections.abc import Callable, Mapping
from typing import cast
from urllib.parse import urlsplit

_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONTINUATION, TEXT, CLOSE, PING, PONG = 0x0, 0x1, 0x8, 0x9, 0xA
OPEN_TIMEOUT = 30.0


class WebSocketError(Exception):
    """The handshake was refused, or the peer broke the protocol."""


class WebSocket(asyncio.Protocol):
    """One connection. Whole text messages go to `on_text` with the clock of their receipt."""

    def __init__(self, on_text: Callable[[bytes, int], None]):
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Why it was closed."""
        self._on_text = on_text
        self._transport: asyncio.Transport | None = None
        self._data = b""
        self._parts = b""
        self._accept = b""

    @classmethod
    async def connect(cls, url: str, headers: Mapping[str, str], on_text: Callable[[bytes, int], None]) -> WebSocket:
        """Opens a connection to a ws, wss, http or https URL. Raises WebSocketError, OSError, TimeoutError."""
        parts = urlsplit(url)
        secure = parts.scheme in ("wss", "https")
        port = parts.port or (443 if secure else 80)
        context = ssl.create_default_context() if secure else None
        loop = asyncio.get_running_loop()
        _, socket = await asyncio.wait_for(
            loop.create_connection(lambda: cls(on_text), parts.hostname or "", port, ssl=context), OPEN_TIMEOUT
        )
        socket._ask(f"{parts.path}?{parts.query}", parts.netloc, headers)
        await asyncio.wait_for(socket.opened, OPEN_TIMEOUT)
        return socket

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is of no asyncio class

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(str(exc) if exc else "the peer closed the connection")

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        self._data = self._data + data if self._data else data
        try:
            if not self.opened.done() and not self._handshake():
                return
            self._frames(now)
        except WebSocketError as error:
            self._end(str(error))
            self.abort()

    def send_text(self, text: str) -> None:
        """Sends one text message."""
        self._send(TEXT, text.encode())

    def abort(self) -> None:
        """Drops the connection."""
        if self._transport is not None:
            self._transport.abort()

    def _ask(self, target: str, host: str, headers: Mapping[str, str]) -> None:
        key = base64.b64encode(os.urandom(16))
        self._accept = base64.b64encode(hashlib.sha1(key + _MAGIC, usedforsecurity=False).digest())
        fields = {
            "Host": host,
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": key.decode(),
            "Sec-WebSocket-Version": "13",
            **headers,
        }
        lines = [f"GET {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
        assert self._transport is not None
        self._transport.write("\r\n".join(lines).encode())

    def _handshake(self) -> bool:
        """Whether the answer to the upgrade is complete."""
        head, end, rest = self._data.partition(b"\r\n\r\n")
        if not end:
            return False
        status = head.split(b"\r\n", 1)[0].decode("latin-1")
        if " 101 " not in f"{status} ":
            raise WebSocketError(f"the upgrade was refused: {status} {rest[:200].decode('utf-8', 'replace')}".strip())
        if self._accept not in head:
            raise WebSocketError("the peer answered another handshake than ours")
        self._data = rest
        self.opened.set_result(None)
        return True

    def _frames(self, now: int) -> None:
        """Takes every whole frame of what has come."""
        data, at, size = self._data, 0, len(self._data)
        while size - at >= 2:
            first, length, start = data[at], data[at + 1], at + 2
            if length & 0x80:
                raise WebSocketError("a server must not mask its frames")
            if length == 126:
                length, start = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
            elif length == 127:
                length, start = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
            if size < start or size - start < length:
                break
            at = start + length
            self._frame(first, data[start:at], now)
        self._data = data[at:]

    def _frame(self, first: int, payload: bytes, now: int) -> None:
        code, is_last = first & 0x0F, first & 0x80
        if code in (TEXT, CONTINUATION):
            if is_last and not self._parts:
                self._on_text(payload, now)
            else:
                self._join(payload, bool(is_last), now)
        elif code == PING:
            self._send(PONG, payload)
        elif code == CLOSE:
            self._end(f"closed with code {int.from_bytes(payload[:2], 'big')}")
            self.abort()

    def _join(self, payload: bytes, is_last: bool, now: int) -> None:
        self._parts += payload
        if is_last:
            whole, self._parts = self._parts, b""
            self._on_text(whole, now)

    def _send(self, code: int, payload: bytes) -> None:
        """One frame; a client must mask it (section 5.3)."""
        mask, size = os.urandom(4), len(payload)
        if size < 126:
            head = bytes((0x80 | code, 0x80 | size))
        elif size < 65_536:
            head = bytes((0x80 | code, 0xFE)) + size.to_bytes(2, "big")
        else:
            head = bytes((0x80 | code, 0xFF)) + size.to_bytes(8, "big")
        body = bytes(byte ^ mask[i & 3] for i, byte in enumerate(payload))
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(head + mask + body)

    def _end(self, why: str) -> None:
        if not self.closed.done():
            self.closed.set_result(why)
        if not self.opened.done():
            self.opened.set_exception(WebSocketError(why))
