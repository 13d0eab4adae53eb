"""The short way of an event to many sockets: encoded once, no task per socket, bounded for slow ones.

python-socketio's own `emit` makes an asyncio task per recipient. Here a ready packet is put into each recipient's
outbox; what is written is the same Socket.IO packet. A recipient whose outbox is full is dropped: it can connect
again and resume from the event log.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import Counter
from typing import Any

import engineio
import socketio
from engineio.packet import MESSAGE
from engineio.packet import Packet as EnginePacket

log = logging.getLogger(__name__)

#: What may wait for one socket: bytes of text, and packets.
MAX_OUTBOX_BYTES = 4 * 1024 * 1024
MAX_OUTBOX_PACKETS = 5_000
#: "42": an Engine.IO message that holds a Socket.IO event (protocols 4 and 5).
EVENT_PREFIX = "2"
#: Socket.IO's packet types of events and acknowledgements with attachments (protocol 5).
BINARY_TYPES = ("5", "6")
#: Names that Socket.IO reserves (its "Emit cheatsheet"); the last one is python-socketio's for any event.
RESERVED_EVENTS = frozenset({"connect", "connect_error", "disconnect", "disconnecting", "*"})


class Outbox(asyncio.Queue):
    """The packets that wait for one socket, with their size."""

    def _init(self, maxsize: int) -> None:
        super()._init(maxsize)
        self.bytes = 0
        self.created = time.monotonic()

    def _put(self, item: Any) -> None:
        super()._put(item)
        self.bytes += size_of(item)

    def _get(self) -> Any:
        item = super()._get()
        self.bytes -= size_of(item)
        return item

    def is_over(self) -> bool:
        """Whether its socket is too slow."""
        return self.bytes > MAX_OUTBOX_BYTES or self.qsize() > MAX_OUTBOX_PACKETS


def size_of(item: Any) -> int:
    """Characters of a packet's text; control packets count nothing."""
    data = getattr(item, "data", None)
    return len(data) if isinstance(data, str | bytes) else 0


class EngineServer(engineio.AsyncServer):
    """Engine.IO with outboxes, and with a WebSocket whose connection can be cut."""

    def __init__(self, **options: Any):
        super().__init__(**options)
        self._async = {**(self._async or {}), "websocket": CuttableWebSocket}

    def create_queue(self, *arguments: Any, **options: Any) -> Outbox:
        """One Outbox per socket."""
        return Outbox(*arguments, **options)

    async def _trigger_event(self, event: str, *arguments: Any, **options: Any) -> Any:
        """Beside the library's work, lets go of the poll that a client left open when it said goodbye; it would
        hang until the next ping."""
        result = await super()._trigger_event(event, *arguments, **options)
        if event == "disconnect" and self.reason.CLIENT_DISCONNECT in arguments:
            socket = self.sockets.get(arguments[0])
            if socket is not None:
                socket.queue.put_nowait(None)
        return result


class SocketIOServer(socketio.AsyncServer):
    """Socket.IO over EngineServer, which takes from clients only what they may send."""

    def _engineio_server_class(self) -> type[EngineServer]:
        return EngineServer

    async def _handle_eio_message(self, eio_sid: str, data: Any) -> None:
        """One message of a client. Attachments are refused, for the library keeps as many as a client announces;
        what is malformed is counted, not logged with a trace that anybody could write."""
        if not isinstance(data, str) or data[:1] in BINARY_TYPES:
            self._counted()["binary_refused"] += 1
            return
        try:
            await super()._handle_eio_message(eio_sid, data)
        except (ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
            self._counted()["malformed"] += 1
            log.debug("a malformed message of a client was skipped: %s", type(error).__name__)

    async def _handle_event(self, eio_sid: str, namespace: str, id: int | None, data: Any) -> None:
        """One event of a client. The library would let it call the handlers of `connect` and `disconnect`, and so
        take a socket off the list from which ended sessions are disconnected."""
        if isinstance(data, list) and data and isinstance(data[0], str) and data[0] not in RESERVED_EVENTS:
            await super()._handle_event(eio_sid, namespace, id, data)
        else:
            self._counted()["malformed"] += 1

    def _counted(self) -> Counter[str]:
        return self.manager.counts  # pyright: ignore[reportAttributeAccessIssue] - a SocketManager


class CuttableWebSocket:
    """What python-engineio needs of a WebSocket, over ASGI; stands in for its own adapter."""

    def __init__(self, handler: Any, _server: Any):
        self._handler = handler
        self._receive: Any = None
        self._send: Any = None
        socket = handler.__self__
        socket.websocket = self
        socket.poll = lambda: next_packets(socket.queue)

    async def __call__(self, environ: dict[str, Any]) -> str:
        self._receive, self._send = environ["asgi.receive"], environ["asgi.send"]
        await self._send({"type": "websocket.accept"})
        await self._handler(self)
        return ""

    async def send(self, message: str | bytes) -> None:
        """Writes one frame; waits while the connection's buffer is full."""
        if isinstance(message, str):
            await self._send({"type": "websocket.send", "text": message})
        else:
            await self._send({"type": "websocket.send", "bytes": message})

    async def wait(self) -> str | bytes:
        """The next frame. Raises OSError when the connection has ended."""
        event = await self._receive()
        if event["type"] != "websocket.receive":
            raise OSError("the connection has ended")
        data = event.get("text")
        return event["bytes"] if data is None else data

    async def close(self) -> None:
        """Closes it; one that is gone already stays so."""
        try:
            await self._send({"type": "websocket.close"})
        except (RuntimeError, OSError) as error:
            log.debug("closing a websocket that was gone: %s", error)

    def cut(self) -> None:
        """Drops the TCP connection without waiting for the peer, whose buffer is full."""
        transport = getattr(getattr(self._send, "__self__", None), "transport", None)
        if transport is not None:
            transport.abort()


async def next_packets(outbox: Outbox) -> list[Any]:
    """Every packet that waits, at least one; empty when the socket is to be closed.

    No time limit of its own: the reader of the same socket ends within ping interval and timeout, and then puts None.
    """
    packets = [await outbox.get()]
    outbox.task_done()
    while packets[-1] is not None and not outbox.empty():
        packets.append(outbox.get_nowait())
        outbox.task_done()
    if packets[-1] is None:
        packets.pop()
        if packets:
            outbox.put_nowait(None)
    return packets


class SocketManager(socketio.AsyncManager):
    """Rooms of one namespace, with `publish` beside the library's own `emit`."""

    def __init__(self, namespace: str):
        super().__init__()
        self.server: Any = None
        self._namespace = namespace
        self._tasks: set[asyncio.Task[Any]] = set()
        self.counts: Counter[str] = Counter()

    def publish(self, room: str, event: str, message: str) -> int:
        """Sends `message`, which is JSON already, to the sockets of `room`; gives their number."""
        members = self.rooms.get(self._namespace, {}).get(room)
        if not members:
            return 0
        packet = EnginePacket(MESSAGE, f"{EVENT_PREFIX}{self._namespace},[{json.dumps(event)},{message}]")
        sockets = self.server.eio.sockets
        for engine_id in list(members.values()):
            socket = sockets.get(engine_id)
            if socket is not None and not socket.closed:
                socket.queue.put_nowait(packet)
                if socket.queue.is_over():
                    self.drop(socket)
        return len(members)

    def drop(self, socket: Any) -> None:
        """Cuts a socket that reads too slowly."""
        self.counts["slow_dropped"] += 1
        log.warning("a socket was dropped: %d events wait for it; it can resume", socket.queue.qsize())
        while not socket.queue.empty():
            socket.queue.get_nowait()
            socket.queue.task_done()
        websocket = getattr(socket, "websocket", None)
        if websocket is not None:
            websocket.cut()
        self.keep(asyncio.get_running_loop().create_task(socket.close(wait=False, abort=True)))

    def keep(self, task: asyncio.Task[Any]) -> None:
        """Holds a task until it is done, so that it is not collected half-way."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def unjoined(self, opened_before: float) -> list[Any]:
        """Engine sockets opened before this monotonic time that joined no namespace."""
        return [
            socket
            for engine_id, socket in self.server.eio.sockets.items()
            if socket.queue.created < opened_before and not self.sid_from_eio_sid(engine_id, self._namespace)
        ]
