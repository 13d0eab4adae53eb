"""The addresses that exporters of OpenTelemetry know: `/v1/traces`, and the one of Langfuse's SDK.

    OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:8000
    OTEL_EXPORTER_OTLP_HEADERS=Authorization=token%20<key>:<secret>

The same as the endpoint `otlp_traces`, but with OTLP's own errors, and with bodies of JSON that are compressed.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ai_assistant.core import trace_feed
from ai_assistant.core.errors import ApiError, AuthenticationError
from ai_assistant.core.session import User
from ai_assistant.core.trace_pipe import OtlpError
from ai_assistant.host.auth import Auth
from ai_assistant.host.body import MAX_BODY, media_type, read_body
from ai_assistant.host.errors import error_response
from ai_assistant.host.pool import CallPool
from ai_assistant.host.request_host import EmbeddedRequest, Services
from ai_assistant.traces.otlp_intake import JSON, PROTOBUF, refusal

PATHS = ("/v1/traces", "/api/public/otel/v1/traces")
ENCODINGS = frozenset({"", "identity", "gzip"})


class OtlpRoutes:
    """Takes exports of spans."""

    def __init__(self, auth: Auth, services: Services, pool: CallPool):
        self._auth = auth
        self._services = services
        self._pool = pool

    def routes(self) -> list[Route]:
        """One for each path."""
        return [Route(path, self.take, methods=["POST"]) for path in PATHS]

    async def take(self, request: Request) -> Response:
        """Answers one export; an error is a google.rpc.Status (OTLP/HTTP, "Failures")."""
        media = media_type(request)
        try:
            return await self._answer(request, media)
        except ApiError as error:
            status = error.status if isinstance(error, OtlpError) else error.http_status
            answer = error_response(error)  # counts it, and says when to try again
            form = media if media == JSON else PROTOBUF
            headers = {name: answer.headers[name] for name in ("retry-after",) if name in answer.headers}
            return Response(refusal(form, status, error.message), status, headers, form)

    async def _answer(self, request: Request, media: str) -> Response:
        user = await self._pool.run(self._sender, request)
        encoding = request.headers.get("content-encoding", "").strip().lower()
        if encoding not in ENCODINGS:
            raise OtlpError(f"content-encoding: must be gzip or nothing, not {encoding[:100]!r}", status=415)
        body = await read_body(request, MAX_BODY)
        return Response(await self._pool.run(self._taken, user, media, body), media_type=media)

    def _sender(self, request: Request) -> User:
        """The owner of the API key. Cookies do not count here: a page of another origin could send with them."""
        user = self._auth.by_authorization(as_token(request.headers.get("authorization", ""))).user
        request.state.user = user.name
        if user.is_guest:
            raise AuthenticationError("Send an API key as a header: Authorization: token <key>:<secret>")
        return user

    def _taken(self, user: User, media: str, body: bytes) -> bytes:
        with EmbeddedRequest(self._services, user, media, body) as host:
            return trace_feed.otlp_traces(host).data


def as_token(value: str) -> str:
    """An Authorization header; `Bearer <key>:<secret>`, which some exporters insist on, as `token`."""
    scheme, _, rest = value.partition(" ")
    return f"token {rest.strip()}" if scheme.lower() == "bearer" else value
