"""The listening socket and the web server on it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ai_assistant.core.errors import ConfigError
from ai_assistant.host.sockets import MAX_PAYLOAD

BACKLOG = 2048
#: Bytes of a request's head, and the seconds within which it must have arrived: httptools and uvicorn limit neither.
MAX_HEAD = 128 * 1024
HEAD_TIMEOUT = 30.0


def listen(host: str, port: int) -> socket.socket:
    """A socket bound to `host` and `port` (0: any free one). Raises ConfigError saying why it cannot be."""
    name = host.strip("[]")
    try:
        family, kind, proto, _, address = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, proto)
    except OSError as error:
        raise ConfigError("host", f"{host} is not an address of this machine: {error.strerror or error}") from error
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigError(
            "port", f"{host}:{port} cannot be used: {error.strerror}. Choose another by --port"
        ) from error
    listener.setblocking(False)
    return listener


def url_of(host: str, port: int) -> str:
    """The address to open on this machine."""
    name = host.strip("[]")
    if name in ("", "0.0.0.0"):
        name = "127.0.0.1"
    elif name == "::":
        name = "::1"
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's protocol, with an end to heads that are too long, and to connections on which none arrives."""

    _head: asyncio.TimerHandle | None = None
    _head_bytes = 0

    def connection_made(self, transport: Any) -> None:
        """asyncio's callback."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio's callback."""
        self._head_came()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """asyncio's callback. A head ends within `super`, which calls `on_headers_complete`."""
        super().data_received(data)
        if self._head is None:
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD and not self.transport.is_closing():
            self.send_400_response("The head of the request is too long.")

    def on_message_begin(self) -> None:
        """httptools' callback."""
        super().on_message_begin()
        if self._head is None:
            self._await_head()

    def on_headers_complete(self) -> None:
        """httptools' callback."""
        self._head_came()
        super().on_headers_complete()

    def _await_head(self) -> None:
        self._head_bytes = 0
        self._head = self.loop.call_later(HEAD_TIMEOUT, self.transport.abort)

    def _head_came(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None


class WebServer(uvicorn.Server):
    """uvicorn that leaves signals to the host, and can stop accepting before it stops serving."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the runtime's business."""
        yield

    def stop_accepting(self) -> None:
        """Takes no new connections; those that are open go on."""
        for server in getattr(self, "servers", []):
            server.close()


def web_server(app: Any, grace: float) -> WebServer:
    """The server for `app`; `grace` is in seconds. Proxy headers count only where FORWARDED_ALLOW_IPS names proxies."""
    trusted = os.environ.get("FORWARDED_ALLOW_IPS")
    return WebServer(
        uvicorn.Config(
            app,
            http=BoundedHttp,
            ws="websockets-sansio",
            ws_max_size=MAX_PAYLOAD,
            ws_ping_interval=None,  # Engine.IO has its own pings
            ws_per_message_deflate=False,  # 64 KiB and more for each socket, and CPU for each event
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(trusted),
            forwarded_allow_ips=trusted,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=max(1, int(grace)),
            h11_max_incomplete_event_size=64 * 1024,
        )
    )
