"""`/metrics`: the figures at the address where Prometheus looks first.

The same as `ai_assistant.api.metrics`, with the same rights: an API key of a manager or administrator. Where the
configuration says `[metrics] public = true`, programs of this machine need none; nobody else gets them that way, and a
request that a proxy passed on is not taken for one of this machine. The Gate has refused foreign Host names before.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ai_assistant.core.metrics import CONTENT_TYPE, render
from ai_assistant.host.compress import compressed
from ai_assistant.host.errors import error_response
from ai_assistant.host.pool import CallPool
from ai_assistant.host.request_host import Services
from ai_assistant.host.rpc import Rpc

METHOD = "ai_assistant.api.metrics"
FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
"""Headers that proxies add."""
LOOPBACK = ("127.", "::1", "::ffff:127.")


class MetricsPage:
    """The figures over HTTP."""

    def __init__(self, services: Services, rpc: Rpc, pool: CallPool, *, public: bool = False):
        """`public`: whether this machine's programs need no key."""
        self._services = services
        self._rpc = rpc
        self._pool = pool
        self._public = public

    async def answer(self, request: Request) -> Response:
        """The page, or Frappe's form of an error."""
        if not (self._public and is_of_this_machine(request)):
            request.path_params["method"] = METHOD
            return await compressed(request, await self._rpc.handle(request), self._pool)
        try:
            text = await self._pool.run(self._text)
        except Exception as error:  # noqa: BLE001 - counted, logged with an id, and told without detail
            return error_response(error)
        answer = Response(text, headers={"content-type": CONTENT_TYPE})
        return await compressed(request, answer, self._pool)

    def _text(self) -> str:
        return render(self._services.meters.collect(self._services.tasks))


def is_of_this_machine(request: Request) -> bool:
    """Whether a program of this machine asks, and not a browser on behalf of some page, nor a proxy."""
    client: Any = request.client
    if client is None or not str(client.host).startswith(LOOPBACK):
        return False
    headers = request.headers
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return False
    return not any(name in headers for name in FORWARDED)
