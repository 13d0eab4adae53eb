"""A Redis connection for the busiest path, with little CPU per command: asyncio protocol and hiredis, nothing between.

redis-py's asyncio client takes 80 µs for a command (a task for the time limit, a pool, events, retries); this takes
about 10. It offers only what the publisher calls, under redis-py's names and with redis-py's exceptions. Commands of
several callers share one connection and are answered in order.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, cast

import hiredis
from redis.connection import parse_url
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

Command = tuple[Any, ...]


class LeanRedis:
    """Connects when it is first used, and again after a connection was lost. One event loop only."""

    def __init__(self, url: str, *, timeout: float = 5.0, connect_timeout: float = 1.0):
        """`timeout`, in seconds, is for the answers to one call. Takes `redis://` and `unix://`; raises ValueError for
        other URLs."""
        options = parse_url(url)
        if url.startswith("rediss:"):
            raise ValueError("a connection with TLS is not for LeanRedis")
        self._options = options
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._connection: _Connection | None = None
        self._opening = asyncio.Lock()

    async def evalsha(self, sha: str, numkeys: int, *keys_and_args: Any) -> Any:
        """Runs a script that Redis knows. Raises redis-py's exceptions, NoScriptError among them."""
        return (await self.execute([("EVALSHA", sha, numkeys, *keys_and_args)]))[0]

    async def script_load(self, source: str) -> Any:
        """Makes a script known; gives its SHA-1."""
        return (await self.execute([("SCRIPT", "LOAD", source)]))[0]

    def pipeline(self, transaction: bool = False) -> LeanPipeline:
        """Collects commands to be sent at once. There are no transactions here."""
        if transaction:
            raise ValueError("LeanRedis has no transactions; run one script instead")
        return LeanPipeline(self)

    async def execute(self, commands: Sequence[Command]) -> list[Any]:
        """Sends commands in one piece; gives their answers, or raises the first error among them."""
        connection = self._connection
        if connection is None or connection.lost is not None:
            connection = await self._connect()
        replies = await connection.send(commands)
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return replies

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        """Drops the connection."""
        if self._connection is not None:
            self._connection.end(RedisConnectionError("the connection was closed"))

    async def _connect(self) -> _Connection:
        async with self._opening:
            if self._connection is None or self._connection.lost is not None:
                self._connection = await self._open()
            return self._connection

    async def _open(self) -> _Connection:
        try:
            connection = await asyncio.wait_for(self._dial(), self._connect_timeout)
        except asyncio.TimeoutError as error:
            raise RedisTimeoutError(f"Redis did not answer within {self._connect_timeout:g} s") from error
        except OSError as error:
            raise RedisConnectionError(f"Redis cannot be reached: {error}") from error
        if greeting := greeting_of(self._options):
            for reply in await connection.send(greeting):
                if isinstance(reply, Exception):
                    connection.end(reply)
                    raise reply
        return connection

    async def _dial(self) -> _Connection:
        loop, connection = asyncio.get_running_loop(), _Connection(self._timeout)
        if path := self._options.get("path"):
            await loop.create_unix_connection(lambda: connection, path)
        else:
            host, port = self._options.get("host", "localhost"), self._options.get("port", 6379)
            await loop.create_connection(lambda: connection, host, port)
        return connection


class LeanPipeline:
    """Commands that are sent at once."""

    def __init__(self, client: LeanRedis):
        self._client = client
        self._commands: list[Command] = []

    def evalsha(self, sha: str, numkeys: int, *keys_and_args: Any) -> None:
        """One more."""
        self._commands.append(("EVALSHA", sha, numkeys, *keys_and_args))

    async def execute(self) -> list[Any]:
        """Sends them; gives their answers, or raises the first error among them."""
        return await self._client.execute(self._commands)

    async def __aenter__(self) -> LeanPipeline:
        return self

    async def __aexit__(self, *_exc: Any) -> None:
        self._commands = []


class _Call:
    """Commands on their way, and the answers that have come."""

    __slots__ = ("done", "expected", "replies", "sent")

    def __init__(self, expected: int, loop: asyncio.AbstractEventLoop):
        self.expected = expected
        self.replies: list[Any] = []
        self.done: asyncio.Future[list[Any]] = loop.create_future()
        self.sent = loop.time()


class _Connection(asyncio.Protocol):
    """One connection. It is dropped when an answer is overdue: what comes after it could not be told apart."""

    def __init__(self, timeout: float):
        self.lost: Exception | None = None
        self._loop = asyncio.get_running_loop()
        self._timeout = timeout
        self._calls: deque[_Call] = deque()
        self._reader = hiredis.Reader(protocolError=RedisConnectionError, replyError=error_of)
        self._transport: asyncio.Transport | None = None
        self._watch: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is of no asyncio class

    def connection_lost(self, exc: Exception | None) -> None:
        self.end(RedisConnectionError(f"Redis closed the connection: {exc}" if exc else "Redis closed the connection"))

    def data_received(self, data: bytes) -> None:
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not False:
                self._take(reply)
        except RedisConnectionError as error:
            self.end(error)

    async def send(self, commands: Sequence[Command]) -> list[Any]:
        """Writes commands; gives their answers, errors among them as exceptions. Raises when the connection is lost.

        Whoever is cancelled here leaves the answers to be read and dropped.
        """
        if self.lost is not None or self._transport is None:
            raise RedisConnectionError("the connection is lost")
        call = _Call(len(commands), self._loop)
        self._calls.append(call)
        self._transport.write(b"".join(map(hiredis.pack_command, commands)))
        if self._watch is None:
            self._watch = self._loop.call_later(self._timeout, self._look)
        return await call.done

    def end(self, why: Exception) -> None:
        """Drops the connection; everybody who waits is told why."""
        if self.lost is not None:
            return
        self.lost = why
        if self._watch is not None:
            self._watch.cancel()
        if self._transport is not None:
            self._transport.abort()
        while self._calls:
            call = self._calls.popleft()
            if not call.done.done():
                call.done.set_exception(why)

    def _take(self, reply: Any) -> None:
        """The next answer belongs to the oldest call."""
        if not self._calls:
            raise RedisConnectionError("Redis answered what was not asked")
        call = self._calls[0]
        call.replies.append(reply)
        if len(call.replies) == call.expected:
            self._calls.popleft()
            if not call.done.done():
                call.done.set_result(call.replies)

    def _look(self) -> None:
        """One timer for all calls: ends the connection when the oldest has waited too long."""
        self._watch = None
        if not self._calls:
            return
        left = self._calls[0].sent + self._timeout - self._loop.time()
        if left <= 0:
            self.end(RedisTimeoutError(f"Redis did not answer within {self._timeout:g} s"))
        else:
            self._watch = self._loop.call_later(left, self._look)


def error_of(message: str) -> ResponseError:
    """redis-py's exception for an error that Redis answers, with the whole of its message."""
    return NoScriptError(message) if message.startswith("NOSCRIPT") else ResponseError(message)


def greeting_of(options: dict[str, Any]) -> list[Command]:
    """What a new connection begins with: the login and the choice of a database, as the URL says."""
    commands: list[Command] = []
    if password := options.get("password"):
        username = options.get("username")
        commands.append(("AUTH", username, password) if username else ("AUTH", password))
    if database := options.get("db"):
        commands.append(("SELECT", database))
    return commands
