"""TCP and TLS for httpcore, on asyncio's protocols.

httpcore's own backend goes through anyio, which stops and restarts reading around every read: two system calls and
some 40 µs for each token of a stream that comes token by token. This one leaves the reading on, and hands out what
has arrived.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Iterable
from typing import Any, cast

import httpcore

from ai_assistant.gateway.deadline import timeout_at

#: Bytes kept for a reader that is slower than the provider; beyond them the socket is not read.
_HIGH_WATER = 256 * 1024
#: Bytes handed out at once: some 90 tokens, or two milliseconds of reading.
_PIECE = 16 * 1024
#: Seconds for an address that is not the last one of a host: a broken IPv6 route must not use up the whole time.
_PER_ADDRESS = 2.0


class _Protocol(asyncio.Protocol):
    """Collects what arrives until it is asked for."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.transport: asyncio.Transport | None = None
        self.received = bytearray()
        self.ended = False
        self.error: Exception | None = None
        self.reader: asyncio.Future[None] | None = None
        self.writer: asyncio.Future[None] | None = None
        self._reading_paused = False
        self._writing_paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio's callback."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is of no asyncio class

    def data_received(self, data: bytes) -> None:
        """asyncio's callback."""
        self.received += data
        if len(self.received) > _HIGH_WATER and not self._reading_paused and self.transport is not None:
            self._reading_paused = True
            self.transport.pause_reading()
        _wake(self.reader)

    def eof_received(self) -> None:
        """asyncio's callback."""
        self.ended = True
        _wake(self.reader)

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio's callback."""
        self.ended = True
        self.error = exc
        _wake(self.reader)
        _wake(self.writer)

    def pause_writing(self) -> None:
        """asyncio's callback."""
        self._writing_paused = True

    def resume_writing(self) -> None:
        """asyncio's callback."""
        self._writing_paused = False
        _wake(self.writer)

    def take(self) -> bytes:
        """The next bytes of what has arrived, `_PIECE` at most."""
        data = bytes(self.received[:_PIECE])
        del self.received[:_PIECE]
        if self._reading_paused and self.transport is not None and len(self.received) < _HIGH_WATER // 2:
            self._reading_paused = False
            self.transport.resume_reading()
        return data

    async def readable(self) -> None:
        """Wait for data or the end."""
        if not self.received and not self.ended:
            self.reader = self.loop.create_future()
            try:
                await self.reader
            finally:
                self.reader = None

    async def writable(self) -> None:
        """Wait until what was written has mostly gone out."""
        if self._writing_paused and not self.ended:
            self.writer = self.loop.create_future()
            try:
                await self.writer
            finally:
                self.writer = None


class AsyncioStream(httpcore.AsyncNetworkStream):
    """One connection. Closing it aborts: the provider notices at once."""

    def __init__(self, transport: asyncio.Transport, protocol: _Protocol):
        self._transport = transport
        self._protocol = protocol

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """What has arrived, `b""` at the end, in pieces smaller than the `max_bytes` of httpcore."""
        protocol = self._protocol
        if protocol.received:
            await asyncio.sleep(0)  # a provider that is faster than we are must not keep the loop from others
        else:
            if timeout is None:
                await protocol.readable()
            else:
                await _limited(protocol.readable(), timeout, httpcore.ReadTimeout)
            if not protocol.received and protocol.error is not None:
                raise httpcore.ReadError(str(protocol.error)) from protocol.error
        return protocol.take()

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of `buffer`."""
        if self._protocol.ended and self._transport.is_closing():
            raise httpcore.WriteError("the connection is closed")
        self._transport.write(buffer)
        if self._protocol._writing_paused:
            await _limited(self._protocol.writable(), timeout, httpcore.WriteTimeout)

    async def aclose(self) -> None:
        """Close without waiting for anything."""
        self._transport.abort()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        """Speak TLS from here on; the certificate is verified as `ssl_context` says."""
        loop = asyncio.get_running_loop()
        upgrade = loop.start_tls(self._transport, self._protocol, ssl_context, server_hostname=server_hostname)
        try:
            transport = await _limited(upgrade, timeout, httpcore.ConnectTimeout)
        except (OSError, ssl.SSLError) as error:
            self._transport.abort()
            raise httpcore.ConnectError(str(error)) from error
        except BaseException:
            self._transport.abort()
            raise
        if transport is None:
            raise httpcore.ConnectError("the connection was closed in the TLS handshake")
        self._protocol.transport = transport
        return AsyncioStream(transport, self._protocol)

    def get_extra_info(self, info: str) -> Any:
        """httpcore asks for the TLS object, and whether an idle connection has something to read (its end)."""
        if info == "is_readable":
            return self._protocol.ended or bool(self._protocol.received)
        names = {"ssl_object": "ssl_object", "client_addr": "sockname", "server_addr": "peername"}
        return self._transport.get_extra_info(names.get(info, info))


class AsyncioBackend(httpcore.AsyncNetworkBackend):
    """Opens connections."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first of the host's addresses that answers, within `timeout` seconds in all."""
        try:
            return await _limited(self._connect(host, port), timeout, httpcore.ConnectTimeout)
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    async def _connect(self, host: str, port: int) -> AsyncioStream:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=1)
        addresses = list(dict.fromkeys(entry[4][0] for entry in found))
        for address in addresses[:-1]:
            try:
                return await _limited(self._open(address, port), _PER_ADDRESS, httpcore.ConnectTimeout)
            except (OSError, httpcore.ConnectTimeout):
                continue
        return await self._open(addresses[-1], port)

    async def _open(self, address: str | int, port: int) -> AsyncioStream:
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_connection(_Protocol, str(address), port)
        return AsyncioStream(transport, protocol)


def _wake(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)


async def _limited(step: Any, timeout: float | None, failure: type[Exception]) -> Any:
    """Await with a time limit in seconds, raising httpcore's exception when it passes."""
    if timeout is None:
        return await step
    try:
        async with timeout_at(asyncio.get_running_loop().time() + timeout):
            return await step
    except asyncio.TimeoutError as error:
        raise failure(f"no answer within {timeout:g} s ({time.strftime('%H:%M:%S')})") from error
