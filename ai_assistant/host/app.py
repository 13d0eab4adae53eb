"""Puts the web application together: RPC, page, health, description; sockets beside it."""

from __future__ import annotations

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ai_assistant import api  # noqa: F401 - registers the endpoints
from ai_assistant.host.account_methods import AccountMethods
from ai_assistant.host.auth import Auth
from ai_assistant.host.compress import compressed
from ai_assistant.host.errors import MethodNotFoundError, error_response
from ai_assistant.host.gate import Gate
from ai_assistant.host.metrics_page import MetricsPage
from ai_assistant.host.openapi import describe
from ai_assistant.host.origin import HostNames
from ai_assistant.host.otlp import OtlpRoutes
from ai_assistant.host.page import Page
from ai_assistant.host.pool import CallPool
from ai_assistant.host.request_host import Services
from ai_assistant.host.rpc import Rpc
from ai_assistant.host.sockets import Sockets

RPC_METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH"]


def build_app(
    *,
    auth: Auth,
    services: Services,
    pool: CallPool,
    sockets: Sockets,
    names: HostNames,
    demo_routes: list[Route] | None = None,
    public_metrics: bool = False,
) -> Gate:
    """The ASGI application of one embedded host. `public_metrics`: whether programs of this machine get `/metrics`
    without a key."""
    accounts = AccountMethods(auth, pool, sockets.end_session)
    rpc = Rpc(auth, services, pool, accounts.table())
    page = Page(services.site, auth, pool, demo=bool(demo_routes))

    async def call(request: Request) -> Response:
        return await compressed(request, await rpc.handle(request), pool)

    async def description(request: Request) -> Response:
        body = Response(msgspec.json.encode(describe()), media_type="application/json")
        return await compressed(request, body, pool)

    routes = [
        Route("/api/method/{method:path}", call, methods=RPC_METHODS),
        Route("/api/v1/method/{method:path}", call, methods=RPC_METHODS),
        *OtlpRoutes(auth, services, pool).routes(),
        Route("/", page.index),
        Route("/login", page.login),
        Route("/assets/ai_assistant/{path:path}", page.asset),
        Route("/openapi.json", description),
        Route("/healthz", healthy),
        Route("/metrics", MetricsPage(services, rpc, pool, public=public_metrics).answer),
        *(demo_routes or []),
    ]
    web = Starlette(routes=routes, exception_handlers={404: not_found, 405: not_found, Exception: failed})
    return Gate(web, sockets.app(), names)


async def healthy(_request: Request) -> Response:
    """Says that the process answers; nothing more is looked at."""
    return PlainTextResponse("ok")


async def not_found(request: Request, _error: Exception) -> Response:
    """404 in Frappe's form for everything that is not served, other verbs included."""
    return error_response(MethodNotFoundError("There is nothing at this address."))


async def failed(request: Request, error: Exception) -> Response:
    """The answer to an error outside the RPC; logged with an id, told without detail."""
    return error_response(error)
