"""What every HTTP request passes: request id, accepted Host names, security headers, access log."""

from __future__ import annotations

import logging
import re
import secrets
import time
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ai_assistant.host.errors import UnknownHostError, error_response
from ai_assistant.host.origin import HostNames

log = logging.getLogger("ai_assistant.access")

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self' ws: wss:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Gate:
    """The outermost ASGI layer: `/socket.io` goes to the sockets' application, the rest to the web one."""

    def __init__(self, web: ASGIApp, sockets: ASGIApp, names: HostNames):
        self._web = web
        self._sockets = sockets
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._web(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            self._names.check(headers)
        except UnknownHostError as error:
            await refuse(error, scope, receive, send)
            return
        if scope["path"].startswith("/socket.io"):
            await self._sockets(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send, headers)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _http(self, scope: Scope, receive: Receive, send: Send, headers: Headers) -> None:
        began = time.perf_counter()
        request_id = own_or_new_id(headers.get("x-request-id"))
        state: dict[str, Any] = scope.setdefault("state", {})
        status = 500

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                add_headers(message, request_id)
            await send(message)

        try:
            await self._web(scope, receive, send_with_headers)
        finally:
            elapsed = (time.perf_counter() - began) * 1000
            log.info(
                "%s %s %d %.1f ms",
                scope["method"],
                loggable(scope["path"]),
                status,
                elapsed,
                extra={"user": state.get("user", "-"), "request_id": request_id, "ms": round(elapsed, 1)},
            )


async def refuse(error: UnknownHostError, scope: Scope, receive: Receive, send: Send) -> None:
    """421 for HTTP, a refused handshake for a WebSocket."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
    else:
        await error_response(error)(scope, receive, send)


def own_or_new_id(given: str | None) -> str:
    """The client's X-Request-Id where it is harmless, else a new one."""
    return given if given and _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


def add_headers(message: Message, request_id: str) -> None:
    """Adds the security headers that the answer does not set itself."""
    headers = MutableHeaders(scope=message)
    headers["X-Request-Id"] = request_id
    for name, value in SECURITY_HEADERS.items():
        headers.setdefault(name, value)
    headers.setdefault("Cache-Control", "no-store")


def loggable(path: str) -> str:
    """A path for one line of the log: without control characters, cut."""
    return "".join(c if c.isprintable() else "?" for c in path[:200])
