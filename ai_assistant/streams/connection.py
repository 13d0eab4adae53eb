"""Redis clients with the time limits that each use needs. Works with redis-py 4.5 (Frappe v15) and later."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from ai_assistant.core.errors import ServiceUnavailableError
from ai_assistant.streams.lean import LeanRedis

log = logging.getLogger("ai_assistant.redis")

Result = TypeVar("Result")

#: A web request must know within two seconds that Redis is away: two attempts of these.
CONNECT_TIMEOUT_S = 0.8
COMMAND_TIMEOUT_S = 0.9
#: A worker would rather wait than lose a stream.
WORKER_TIMEOUT_S = 5.0

#: How long a worker that reads something waits for Redis to come back.
PATIENCE_S = 15.0

AWAY = (RedisConnectionError, RedisTimeoutError, OSError)
"""What redis-py raises when Redis cannot be reached."""


def request_client(url: str, max_connections: int = 200) -> redis.Redis:
    """A synchronous client for web requests: fails within two seconds where Redis is away."""
    return redis.Redis.from_url(
        url,
        max_connections=max_connections,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        socket_timeout=COMMAND_TIMEOUT_S,
        retry=Retry(NoBackoff(), 1),
        retry_on_error=[RedisConnectionError, RedisTimeoutError],
    )


def waiting_client(url: str, max_connections: int = 200) -> redis.Redis:
    """A synchronous client for blocking reads of up to two seconds."""
    return redis.Redis.from_url(
        url,
        max_connections=max_connections,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        socket_timeout=COMMAND_TIMEOUT_S + 2.0,
        retry=Retry(NoBackoff(), 0),
    )


def program_client(url: str) -> redis.Redis:
    """A synchronous client for the thread that publishes a program's own tasks; it tries again by itself."""
    return redis.Redis.from_url(
        url,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        socket_timeout=WORKER_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    )


def worker_client(url: str, socket_timeout: float | None = WORKER_TIMEOUT_S) -> redis.asyncio.Redis:
    """An asynchronous client for the worker and the bridge. `socket_timeout=None` for blocking reads."""
    return redis.asyncio.Redis.from_url(
        url,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        socket_timeout=socket_timeout,
        retry=AsyncRetry(NoBackoff(), 0),
    )


def publishing_client(url: str) -> redis.asyncio.Redis:
    """The connection with little CPU per command, which offers what the publisher calls of a client and no more; with
    TLS, redis-py's own."""
    if url.startswith("rediss:"):
        return worker_client(url)
    return cast("redis.asyncio.Redis", LeanRedis(url, timeout=WORKER_TIMEOUT_S, connect_timeout=CONNECT_TIMEOUT_S))


def was_cancelled() -> bool:
    """Whether the running task was cancelled and redis-py kept it from hearing of it (see `end_tasks`). Always false
    on Python 3.10, which does not tell."""
    task = asyncio.current_task()
    return bool(task and getattr(task, "cancelling", int)())


async def end_tasks(tasks: Collection[asyncio.Future[Any]], limit_s: float = 5.0) -> None:
    """Cancels tasks that use Redis and waits for their end.

    Once is not enough: while a connection breaks, redis-py (8.1.0) catches the CancelledError that should end the
    task, and a task that tries again after a failure would go on for ever.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + limit_s
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=0.2)
        if left and loop.time() > deadline:
            log.error("%d tasks did not end within %g s: %s", len(left), limit_s, left)
            return


async def patiently(read: Callable[[], Awaitable[Result]]) -> Result:
    """What Redis says, waiting out a short absence of it."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE_S
    while True:
        try:
            return await read()
        except (RedisError, OSError) as error:
            if loop.time() > deadline:
                raise
            log.warning("Redis is away, trying again: %s", error)
            await asyncio.sleep(0.5)


@contextmanager
def unavailable_as_503() -> Iterator[None]:
    """Turns any failure of Redis into the 503 of the contract."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise ServiceUnavailableError(
            "The task queue (Redis) cannot be reached. Try again in a few seconds; if it stays so, "
            "tell your administrator.",
            retry_after=5,
        ) from error
