"""Socket.IO: namespace `/<site>`, rooms and connection rules of Frappe's realtime server.

The rules are v15.55.1's (`realtime/middlewares/authenticate.js`), enforced against this host's own sessions instead
of by calling back the client's Origin.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from typing import Any

import msgspec
import socketio
from socketio.exceptions import ConnectionRefusedError as Refused
from starlette.requests import cookie_parser

from ai_assistant.core.errors import ApiError
from ai_assistant.core.session import User
from ai_assistant.host.auth import GUEST_USER, Auth
from ai_assistant.host.fanout import SocketIOServer, SocketManager
from ai_assistant.host.origin import LOOPBACK_NAMES, hostname
from ai_assistant.host.passwords import hash_secret
from ai_assistant.host.pool import CallPool

log = logging.getLogger(__name__)

PING_INTERVAL = 25
PING_TIMEOUT = 20
#: Bytes that a client may send in one packet.
MAX_PAYLOAD = 100_000
MAX_SOCKETS_PER_USER = 2_000
MAX_GUEST_SOCKETS = 200
MAX_ROOMS_PER_SOCKET = 100
MAX_ROOM_NAME = 140
#: Seconds between looks for sockets whose session has ended, also by another process.
SWEEP_INTERVAL = 5.0
#: Seconds that a connection may take to join its namespace, as in Socket.IO's Node server.
JOIN_TIMEOUT = 45.0
_IGNORED_EVENTS = (
    "doctype_subscribe",
    "doctype_unsubscribe",
    "doc_subscribe",
    "doc_unsubscribe",
    "doc_open",
    "doc_close",
    "open_in_editor",
)


class Member(msgspec.Struct):
    """A connected socket: who, and the credential that must stay good."""

    user: str
    sid_hash: str | None
    key: str | None
    rooms: int = 0


class Sockets:
    """The Socket.IO server of one site."""

    def __init__(self, site: str, auth: Auth, pool: CallPool, aliases: frozenset[str] = LOOPBACK_NAMES):
        """`aliases` are the Host names under which this site is meant, besides its own."""
        self.site = site
        self._aliases = aliases
        self.namespace = f"/{site}"
        self.counts: Counter[str] = Counter()
        self._auth = auth
        self._pool = pool
        self._members: dict[str, Member] = {}
        self._per_user: Counter[str] = Counter()
        self.manager = SocketManager(self.namespace)
        self.server = self._make_server()
        self._register()

    def app(self) -> Any:
        """The ASGI application for `/socket.io`."""
        return socketio.ASGIApp(self.server)

    def connected(self) -> int:
        """How many sockets have joined."""
        return len(self._members)

    async def run(self) -> None:
        """Disconnects sockets whose credential has ended or that never joined. Runs until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_INTERVAL)
            try:
                await self.sweep()
            except Exception:
                self.counts["sweep_failed"] += 1
                log.exception("the look for ended sessions failed; it is tried again")

    async def sweep(self) -> None:
        """One look for sockets that must go."""
        await self._drop_unjoined()
        if not self._members:
            return
        hashes = await self._pool.run(self._auth.sessions.live_hashes)
        keys = await self._pool.run(self._auth.api_keys.live_keys)
        for socket_id, member in list(self._members.items()):
            if (member.sid_hash and member.sid_hash not in hashes) or (member.key and member.key not in keys):
                await self._disconnect(socket_id)

    def end_session(self, sid: str) -> None:
        """Disconnects the sockets of a session that was just ended."""
        digest = hash_secret(sid)
        for socket_id, member in list(self._members.items()):
            if member.sid_hash == digest:
                task = asyncio.get_running_loop().create_task(self._disconnect(socket_id))
                self.manager.keep(task)

    async def close(self) -> None:
        """Disconnects everybody and stops the server's own tasks."""
        for socket_id in list(self._members):
            await self._disconnect(socket_id)
        await self.server.shutdown()

    def _make_server(self) -> SocketIOServer:
        quiet: Any = logging.getLogger("ai_assistant.host.socketio")
        quiet.setLevel(logging.ERROR)  # at INFO the library logs whole packets
        server = SocketIOServer(
            async_mode="asgi",
            client_manager=self.manager,
            cors_allowed_origins=[],
            namespaces="*",
            logger=quiet,
            engineio_logger=quiet,
            async_handlers=False,
            ping_interval=PING_INTERVAL,
            ping_timeout=PING_TIMEOUT,
            max_http_buffer_size=MAX_PAYLOAD,
            transports=["polling", "websocket"],
        )
        self.manager.counts = self.counts
        return server

    def _register(self) -> None:
        on = self.server.on
        on("connect", self._refuse, namespace="*")
        on("connect", self._connect, namespace=self.namespace)
        on("disconnect", self._left, namespace=self.namespace)
        on("ping", self._ping, namespace=self.namespace)
        for event in ("task_subscribe", "progress_subscribe"):
            on(event, self._join_task, namespace=self.namespace)
        on("task_unsubscribe", self._leave_task, namespace=self.namespace)
        for event in _IGNORED_EVENTS:
            on(event, ignore, namespace=self.namespace)

    async def _refuse(self, namespace: str, socket_id: str, environ: dict[str, Any], auth: Any = None) -> None:
        self.counts["refused"] += 1
        raise Refused("Invalid namespace")

    async def _connect(self, socket_id: str, environ: dict[str, Any], auth: Any = None) -> None:
        try:
            member = await self._admit(environ)
        except Refused as error:
            self.counts["refused"] += 1
            log.info("socket refused: %s", error.error_args["message"])
            raise
        self._members[socket_id] = member
        self._per_user[member.user] += 1
        self.counts["connected"] += 1
        for room in rooms_of(member):
            await self.server.enter_room(socket_id, room, namespace=self.namespace)

    async def _admit(self, environ: dict[str, Any]) -> Member:
        """The member behind a handshake. Raises Refused with the reason that Frappe's server gives."""
        check_handshake(environ, self.site, self._aliases)
        sid = cookie_value(environ.get("HTTP_COOKIE", ""), "sid")
        authorization = environ.get("HTTP_AUTHORIZATION", "")
        if not sid and not authorization:
            raise Refused("No authentication method used. Use cookie or authorization header.")
        member = await self._pool.run(self._member, sid, authorization)
        limit = MAX_GUEST_SOCKETS if member.user == GUEST_USER.name else MAX_SOCKETS_PER_USER
        if self._per_user[member.user] >= limit:
            raise Refused(f"Too many connections: at most {limit} for one user.")
        return member

    def _member(self, sid: str, authorization: str) -> Member:
        """The credential's owner; an invalid sid is a Guest, a wrong key is refused. Runs in a thread."""
        if sid:
            session = self._auth.sessions.get(sid)
            user: User = session.user if session else GUEST_USER
            return Member(user.name, hash_secret(sid) if session else None, None)
        try:
            identity = self._auth.by_authorization(authorization)
        except ApiError as error:
            raise Refused("Unauthorized: Error: Unauthorized") from error
        return Member(identity.user.name, None, identity.key)

    async def _left(self, socket_id: str, reason: Any = None) -> None:
        member = self._members.pop(socket_id, None)
        if member is None:
            return
        self.counts["disconnected"] += 1
        self._per_user[member.user] -= 1
        if self._per_user[member.user] <= 0:
            del self._per_user[member.user]

    async def _ping(self, socket_id: str, *arguments: Any) -> None:
        await self.server.emit("pong", to=socket_id, namespace=self.namespace)

    async def _join_task(self, socket_id: str, task_id: Any = None, *more: Any) -> None:
        """Joins `task_progress:<id>`, as anybody may on Frappe: nothing private is published there."""
        member = self._members.get(socket_id)
        if member is None or not isinstance(task_id, str) or len(task_id) > MAX_ROOM_NAME:
            return
        if member.rooms < MAX_ROOMS_PER_SOCKET:
            member.rooms += 1
            await self.server.enter_room(socket_id, f"task_progress:{task_id}", namespace=self.namespace)

    async def _leave_task(self, socket_id: str, task_id: Any = None, *more: Any) -> None:
        room = f"task_progress:{task_id}"
        if isinstance(task_id, str) and room in self.server.rooms(socket_id, namespace=self.namespace):
            self._members[socket_id].rooms -= 1
            await self.server.leave_room(socket_id, room, namespace=self.namespace)

    async def _disconnect(self, socket_id: str) -> None:
        await self.server.disconnect(socket_id, namespace=self.namespace)

    async def _drop_unjoined(self) -> None:
        """Closes connections that were opened and never joined the namespace."""
        limit = time.monotonic() - JOIN_TIMEOUT
        for socket in self.manager.unjoined(limit):
            self.counts["never_joined"] += 1
            await socket.close(wait=False)
            socket.queue.put_nowait(None)  # ends its writer, which closes the connection


def rooms_of(member: Member) -> tuple[str, ...]:
    """The rooms that a socket joins by itself. By API key it is not in `all`, as on Frappe."""
    if member.user == GUEST_USER.name:
        return ("website",)
    rooms = ("website", f"user:{member.user}")
    return (*rooms, "all") if member.sid_hash else rooms


async def ignore(socket_id: str, *arguments: Any) -> None:
    """Frappe's subscriptions to documents: there are none here, so nobody may read any."""


def check_handshake(environ: dict[str, Any], site: str, aliases: frozenset[str]) -> None:
    """The rules that need no database, in Frappe's order. Raises Refused in the words of its server."""
    host, origin = hostname(environ.get("HTTP_HOST")), hostname(environ.get("HTTP_ORIGIN"))
    if site != site_of(host, origin, environ.get("HTTP_X_FRAPPE_SITE_NAME"), site, aliases):
        raise Refused("Invalid namespace")
    if not origin or origin != host:
        raise Refused("Invalid origin")
    if not environ.get("HTTP_COOKIE"):
        raise Refused("No cookie transmitted.")


def site_of(host: str, origin: str, named: str | None, site: str, aliases: frozenset[str]) -> str:
    """The site that a request means: the one that a proxy names, this one under its further names (as Frappe's
    `default_site` under localhost), else the Origin's hostname, else the Host's."""
    if named:
        return hostname(named)
    return site if host in aliases else origin or host


def cookie_value(header: str, name: str) -> str:
    """The value of a cookie; empty when it is not there."""
    return cookie_parser(header).get(name, "")
