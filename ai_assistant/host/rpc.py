"""`/api/method/<dotted>`: Frappe's RPC form over the registered endpoints.

Reading the sender and calling the endpoint is one hop to a thread; an endpoint that waits gives an awaitable, which
the event loop awaits without a thread.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ai_assistant.core.endpoint import ENDPOINTS, Endpoint, FileAnswer, ProtocolAnswer, TextAnswer, use_host
from ai_assistant.core.errors import PermissionError_, ValidationError
from ai_assistant.core.session import GUEST, User
from ai_assistant.host.auth import Auth, Identity
from ai_assistant.host.body import MAX_BODY, MAX_GUEST_BODY, declared_size, media_type, read_arguments
from ai_assistant.host.compress import accepts_gzip
from ai_assistant.host.cookies import clear_session_cookies
from ai_assistant.host.errors import error_response
from ai_assistant.host.files import file_response
from ai_assistant.host.pool import CallPool
from ai_assistant.host.request_host import EmbeddedRequest, Services

HostMethod = Callable[[Request, dict[str, Any]], Awaitable[Response]]
"""A method of the host itself, such as login; runs on the event loop."""


class Rpc:
    """The ASGI-facing side of the endpoints."""

    def __init__(self, auth: Auth, services: Services, pool: CallPool, host_methods: Mapping[str, HostMethod]):
        self._auth = auth
        self._services = services
        self._pool = pool
        self._host_methods = host_methods

    async def handle(self, request: Request) -> Response:
        """Answers one call; every failure becomes Frappe's error body."""
        try:
            return await self._answer(request)
        except Exception as error:  # noqa: BLE001 - counted, logged with an id, and told without detail
            return with_expiry(request, error)

    async def _answer(self, request: Request) -> Response:
        arguments = await read_arguments(request, self._pool, await self._body_limit(request))
        name = request.path_params["method"].split("/", 1)[0]
        if name in self._host_methods:
            return await self._host_methods[name](request, arguments)
        result = await self._pool.run(self._call, request, name, arguments)
        if inspect.isawaitable(result):
            result = await result
        if isinstance(result, FileAnswer):
            return file_response(result, gzip=accepts_gzip(request))
        return message_response(result)

    async def _body_limit(self, request: Request) -> int:
        """The largest body, in bytes, that is read from this sender; asked only where it matters."""
        declared = declared_size(request)
        if declared is not None and declared <= MAX_GUEST_BODY:
            return MAX_BODY
        known = await self._pool.run(self._auth.is_known, request.headers, request.cookies.get("sid"))
        return MAX_BODY if known else MAX_GUEST_BODY

    def _call(self, request: Request, name: str, arguments: dict[str, Any]) -> Any:
        """The endpoint's result; arguments that it does not know are dropped, as Frappe does (v15
        `frappe.get_newargs`), and those of a wrong type are its own to refuse. Runs in a thread."""
        identity = identify(self._auth, request, arguments)
        endpoint = find_endpoint(name, request.method, identity.user)
        known = {name: value for name, value in arguments.items() if name in endpoint.parameters}
        with EmbeddedRequest(self._services, identity.user, media_type(request), request.state.body) as host:
            use_host(host)
            return endpoint.function(**known)


def identify(auth: Auth, request: Request, arguments: dict[str, Any]) -> Identity:
    """The sender of `request`, noted for the access log. Blocks; see `Auth.identify` for errors."""
    sid = request.cookies.get("sid")
    identity = auth.identify(request.method, request.headers, sid, arguments)
    request.state.user = identity.user.name
    request.state.session_expired = bool(sid) and sid != GUEST and identity.session is None
    return identity


def with_expiry(request: Request, error: Exception) -> Response:
    """The answer to `error`; where the request came with an ended session, it says so and clears the cookie."""
    if not getattr(request.state, "session_expired", False):
        return error_response(error)
    response = error_response(error, {"session_expired": 1})
    clear_session_cookies(response)
    return response


def find_endpoint(name: str, method: str, user: User) -> Endpoint:
    """The endpoint that `user` may call by `method`. In Frappe's order (v15 `frappe/handler.py`): unknown is 417,
    not for guests is 403, the wrong verb is 403."""
    endpoint = ENDPOINTS.get(name)
    if endpoint is None:
        raise ValidationError(f"Failed to get method for command {name[:140]} with no such method.")
    if user.is_guest and not endpoint.allow_guest:
        raise PermissionError_(
            f"Function {name} is not for guests: log in, or send Authorization: token <key>:<secret>."
        )
    if method not in endpoint.methods:
        raise PermissionError_(f"Not permitted: call {name} by {' or '.join(endpoint.methods)}.")
    return endpoint


def message_response(result: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """`{"message": result}`; a None leaves `message` out, as Frappe does. A text, or the answer of another
    protocol, is given as it is."""
    if isinstance(result, TextAnswer):
        return Response(result.text, status, headers={**(headers or {}), "content-type": result.content_type})
    if isinstance(result, ProtocolAnswer):
        return Response(result.data, status, headers={**(headers or {}), "content-type": result.content_type})
    body = {} if result is None else {"message": result}
    return Response(encode(body), status, headers, "application/json")


def encode(value: Any) -> bytes:
    """JSON; a lone surrogate, which UTF-8 cannot carry, becomes `?`."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return msgspec.json.encode(without_surrogates(value))


def without_surrogates(value: Any) -> Any:
    """A copy of built-in data in which no text holds a lone surrogate."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {without_surrogates(key): without_surrogates(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_surrogates(item) for item in value]
    return value
