"""A Socket.IO client that connects as a browser or an editor would, and waits for one event made for it."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from typing import Any

import aiohttp
import msgspec
import redis
import socketio
from redis.exceptions import RedisError
from socketio.exceptions import SocketIOError

from ai_assistant.core.events import user_room
from ai_assistant.streams.keys import REALTIME_CHANNEL

EVENT = "ai_assistant_doctor"
"""Name of the probe event; no client but ours knows it."""
UNANSWERED = "namespaces failed to connect"
"""How python-socketio begins to say that there is a server which did not let us in within `CONNECT_S`."""
CONNECT_S = 6
ARRIVE_S = 3.0


class Visit(msgspec.Struct, kw_only=True):
    """How a connection is attempted."""

    base: str
    """Where the socket goes: `http://host:port`."""
    site: str
    headers: dict[str, str]


class Outcome(msgspec.Struct, kw_only=True):
    """How it went."""

    connected: bool = False
    refusal: str = ""
    """The server's own words when it refused the namespace; a library's when there was no server."""
    reached: bool = False
    """Whether a Socket.IO server answered at all."""
    connect_ms: float | None = None
    arrived: dict[str, float] = msgspec.field(default_factory=dict)
    """Round trip in ms of the probe event that arrived, by the room it was published to; empty when none did."""


async def visit(how: Visit, redis_url: str, rooms: list[str]) -> Outcome:
    """Connects, and publishes a probe event through Redis to one room after the other until one arrives."""
    outcome = Outcome()
    session = aiohttp.ClientSession()  # ours to close: after a failure Socket.IO would leave its own open
    client = socketio.AsyncClient(http_session=session, reconnection=False, logger=False, engineio_logger=False)
    namespace, heard = f"/{how.site}", asyncio.Queue[Any]()
    refused = asyncio.Event()

    async def on_event(data: Any) -> None:
        heard.put_nowait((data, time.perf_counter()))

    async def on_refusal(data: Any) -> None:
        if isinstance(data, dict):  # the server's own; text comes from the library, for a server that is not there
            outcome.reached = True
            outcome.refusal = outcome.refusal or str(data.get("message"))
            refused.set()

    client.on(EVENT, on_event, namespace=namespace)
    client.on("connect_error", on_refusal, namespace=namespace)
    started = time.perf_counter()
    try:
        await asyncio.wait_for(connect(client, how, namespace), CONNECT_S + 2)
        outcome.connected = outcome.reached = not refused.is_set()
        outcome.connect_ms = round((time.perf_counter() - started) * 1000, 1)
        outcome.arrived = await first_arrival(how.site, redis_url, rooms, heard)
    except (SocketIOError, OSError, asyncio.TimeoutError, ValueError) as error:
        outcome.connected = False
        outcome.reached = outcome.reached or UNANSWERED in str(error)
        outcome.refusal = outcome.refusal or str(error) or type(error).__name__
    finally:
        with contextlib.suppress(Exception):  # the connection may be gone already, and this is its end
            await asyncio.wait_for(client.disconnect(), 2)
        await session.close()
    return outcome


async def connect(client: socketio.AsyncClient, how: Visit, namespace: str) -> None:
    """A WebSocket at once, as our clients do; the server decides on the namespace."""
    await client.connect(
        how.base, headers=how.headers, namespaces=[namespace], transports=["websocket"], wait_timeout=CONNECT_S
    )


async def first_arrival(site: str, redis_url: str, rooms: list[str], heard: asyncio.Queue[Any]) -> dict[str, float]:
    """Publishes to one room after the other until an event arrives; gives that room and the milliseconds it took.
    Empty when none did. Raises OSError when Redis is away."""
    for room in rooms:
        nonce, sent = uuid.uuid4().hex, time.perf_counter()
        await asyncio.to_thread(publish, redis_url, site, room, nonce)
        at = await arrival(nonce, heard, sent + ARRIVE_S)
        if at is not None:
            return {room: round((at - sent) * 1000, 2)}
    return {}


async def arrival(nonce: str, heard: asyncio.Queue[Any], deadline: float) -> float | None:
    """When the event with this nonce arrived, by `time.perf_counter`."""
    while (left := deadline - time.perf_counter()) > 0:
        try:
            data, at = await asyncio.wait_for(heard.get(), left)
        except (asyncio.TimeoutError, TimeoutError):
            return None
        if isinstance(data, dict) and data.get("nonce") == nonce:
            return at
    return None


def publish(redis_url: str, site: str, room: str, nonce: str) -> None:
    """One event in the form of `frappe.publish_realtime` (frappe v15.55.1, `frappe/realtime.py`)."""
    message = {"event": EVENT, "message": {"nonce": nonce}, "room": room, "namespace": site}
    try:
        with redis.Redis.from_url(redis_url, socket_connect_timeout=2, socket_timeout=2) as client:
            client.publish(REALTIME_CHANNEL, msgspec.json.encode(message))
    except RedisError as error:
        raise OSError(f"Redis: {error}") from error


def room_of(user: str) -> str:
    """The user's room."""
    return user_room(user)
