"""The host's own methods below /api/method: login, logout, who am I, ping. Answers are Frappe's (v15 `auth.py`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ai_assistant.core.errors import PermissionError_
from ai_assistant.core.session import GUEST
from ai_assistant.host.auth import Auth, Identity
from ai_assistant.host.cookies import clear_session_cookies, set_session_cookies
from ai_assistant.host.origin import check_same_origin
from ai_assistant.host.pool import CallPool
from ai_assistant.host.rpc import HostMethod, encode, identify, message_response


class AccountMethods:
    """Login and what belongs to it. `on_logout` is told the sid of a session that was ended."""

    def __init__(self, auth: Auth, pool: CallPool, on_logout: Callable[[str], None]):
        self._auth = auth
        self._pool = pool
        self._on_logout = on_logout

    def table(self) -> dict[str, HostMethod]:
        """The methods by the names under which Frappe has them."""
        return {
            "login": self.login,
            "logout": self.logout,
            "frappe.handler.logout": self.logout,
            "frappe.auth.get_logged_user": self.get_logged_user,
            "frappe.realtime.get_user_info": self.get_user_info,
            "ping": self.ping,
            "frappe.ping": self.ping,
            "frappe.handler.ping": self.ping,
        }

    async def login(self, request: Request, arguments: dict[str, Any]) -> Response:
        """A session for `usr` and `pwd`; its sid comes as a cookie."""
        check_same_origin(request.headers)
        if request.method != "POST":
            raise PermissionError_("Not permitted: log in by POST.")
        address = request.client.host if request.client else "unknown"
        name, password = arguments.get("usr"), arguments.get("pwd")
        session = await self._pool.run(self._auth.login, name, password, address)
        request.state.user = session.user.name
        body = {"message": "Logged In", "home_page": "/", "full_name": session.user.full_name}
        response = Response(encode(body), media_type="application/json")
        set_session_cookies(response, session, secure=request.url.scheme == "https")
        return response

    async def logout(self, request: Request, arguments: dict[str, Any]) -> Response:
        """Ends the session and its sockets; without one nothing happens."""
        identity = await self._identify(request, arguments)
        if request.method != "POST":
            raise PermissionError_("Not permitted: log out by POST.")
        body = {"message": "Logged Out", "home_page": "/", "full_name": GUEST}
        response = Response(encode(body), media_type="application/json")
        if identity.session is not None:
            await self._pool.run(self._auth.sessions.end, identity.session.sid)
            self._on_logout(identity.session.sid)
        clear_session_cookies(response)
        return response

    async def get_logged_user(self, request: Request, arguments: dict[str, Any]) -> Response:
        """The name of the user. Raises PermissionError_ for a guest, as Frappe does."""
        identity = await self._identify(request, arguments)
        if identity.user.name == GUEST:
            raise PermissionError_("You are not logged in.")
        return message_response(identity.user.name)

    async def get_user_info(self, request: Request, arguments: dict[str, Any]) -> Response:
        """The user and their type, which Frappe's realtime server asks for."""
        identity = await self._identify(request, arguments)
        kind = "Website User" if identity.user.is_guest else "System User"
        return message_response({"user": identity.user.name, "user_type": kind})

    async def ping(self, request: Request, arguments: dict[str, Any]) -> Response:
        """`pong`, for anybody."""
        return message_response("pong")

    async def _identify(self, request: Request, arguments: dict[str, Any]) -> Identity:
        return await self._pool.run(identify, self._auth, request, arguments)
