"""The one HTTP client behind every direct wire."""

from __future__ import annotations

import httpx

from ai_assistant import __version__

#: Hosts that are never reached through a proxy from the environment.
_LOCAL = ("all://127.0.0.1", "all://localhost", "all://[::1]")


def make_client(max_connections: int, keepalive: int) -> httpx.AsyncClient:
    """A pooled HTTP/1.1 client that verifies certificates and follows no redirect.

    Proxies and CA files of the environment are honoured (companies reach providers through them), but this
    machine's own servers are reached directly. Time limits are the gateway's: httpx has none here but the wait for
    a connection, which each request sets. Bodies are asked for uncompressed: a compressed stream arrives in clumps.
    """
    return httpx.AsyncClient(
        http1=True,
        http2=False,
        verify=True,
        trust_env=True,
        follow_redirects=False,
        timeout=httpx.Timeout(None),
        limits=httpx.Limits(
            max_connections=max_connections, max_keepalive_connections=keepalive, keepalive_expiry=20.0
        ),
        mounts=dict.fromkeys(_LOCAL),
        headers={"user-agent": f"ai-assistant/{__version__}", "accept-encoding": "identity"},
    )
