"""The one HTTP client behind every direct wire."""

from __future__ import annotations

import functools
import os
import ssl
import urllib.request
from collections.abc import AsyncGenerator

import httpcore
import httpx

from ai_assistant import __version__
from ai_assistant.gateway.network import AsyncioBackend

#: Seconds that an idle connection is kept.
_KEEPALIVE = 20.0
#: Hosts that are never reached through a proxy from the environment.
_LOCAL = ("all://127.0.0.1", "all://localhost", "all://[::1]")
_PROXIES = ("http", "https", "all")


def make_client(max_connections: int, keepalive: int) -> httpx.AsyncClient:
    """A pooled HTTP/1.1 client that verifies certificates and follows no redirect.

    Proxies and CA files of the environment are honoured (companies reach providers through them), but this
    machine's own servers are reached directly. Time limits are the gateway's: httpx has none here but the wait for
    a connection, which each request sets. Bodies are asked for uncompressed: a compressed stream arrives in clumps.
    """
    headers = {"user-agent": f"ai-assistant/{__version__}", "accept-encoding": "identity"}
    limits = httpx.Limits(
        max_connections=max_connections, max_keepalive_connections=keepalive, keepalive_expiry=_KEEPALIVE
    )
    direct = PoolTransport(limits)
    if not any(urllib.request.getproxies().get(name) for name in _PROXIES):
        return httpx.AsyncClient(transport=direct, timeout=httpx.Timeout(None), headers=headers)
    return httpx.AsyncClient(
        timeout=httpx.Timeout(None), headers=headers, limits=limits, mounts=dict.fromkeys(_LOCAL, direct)
    )


class PoolTransport(httpx.AsyncBaseTransport):
    """httpcore's pool behind httpx's interface, with our network backend, which httpx has no option for."""

    def __init__(self, limits: httpx.Limits):
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=_ssl_context(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")),
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            http1=True,
            http2=False,
            network_backend=AsyncioBackend(),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; the body of the answer is read by the caller."""
        url = request.url
        core = httpcore.Request(
            method=request.method,
            url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        try:
            answer = await self._pool.handle_async_request(core)
        except Exception as error:
            raise _as_httpx(error) from error
        stream = _Body(answer)
        return httpx.Response(answer.status, headers=answer.headers, stream=stream, extensions=answer.extensions)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._pool.aclose()


@functools.lru_cache(maxsize=4)
def _ssl_context(_file: str | None, _folder: str | None) -> ssl.SSLContext:
    """A context that verifies, with the authorities that the two variables of the environment name; making one
    takes some 30 ms."""
    return httpx.create_ssl_context()


class _Body(httpx.AsyncByteStream):
    """The body of an answer, with httpx's exceptions."""

    def __init__(self, answer: httpcore.Response):
        self._answer = answer

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        try:
            async for piece in self._answer.stream:  # pyright: ignore[reportGeneralTypeIssues]
                yield piece
        except Exception as error:
            raise _as_httpx(error) from error

    async def aclose(self) -> None:
        await self._answer.aclose()


def _as_httpx(error: Exception) -> Exception:
    """httpx's exception of the same name (it names its own after httpcore's); others as they are."""
    kind = getattr(httpx, type(error).__name__, None)
    if type(error).__module__.startswith("httpcore") and isinstance(kind, type):
        return kind(str(error))
    return error
