"""gzip for large answers. Big ones are compressed in a thread: zlib lets go of the interpreter meanwhile."""

from __future__ import annotations

import gzip

from starlette.requests import Request
from starlette.responses import Response

from ai_assistant.host.pool import CallPool

#: Bytes below which compressing is not worth it, and from which it leaves the event loop.
MIN_SIZE, THREAD_SIZE = 1400, 64 * 1024
LEVEL = 5


async def compressed(request: Request, response: Response, pool: CallPool) -> Response:
    """`response` with its body compressed, where the client accepts that and it is large. Streams pass untouched."""
    body = getattr(response, "body", b"")
    if len(body) < MIN_SIZE or "content-encoding" in response.headers or not accepts_gzip(request):
        return response
    small = gzip_bytes(body) if len(body) < THREAD_SIZE else await pool.run(gzip_bytes, body)
    response.body = small
    response.headers["Content-Encoding"] = "gzip"
    response.headers["Content-Length"] = str(len(small))
    response.headers.add_vary_header("Accept-Encoding")
    return response


def gzip_bytes(body: bytes) -> bytes:
    """`body` in gzip, the same bytes each time."""
    return gzip.compress(body, LEVEL, mtime=0)


def accepts_gzip(request: Request) -> bool:
    """Whether the client named gzip in Accept-Encoding."""
    for item in request.headers.get("accept-encoding", "").lower().split(","):
        name, _, parameters = item.partition(";")
        if name.strip() in ("gzip", "*"):
            return parameters.replace(" ", "") not in ("q=0", "q=0.0")
    return False
