"""Fixtures around a real Redis: one per session, empty for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from ai_assistant.streams.tasks import Tasks
from tests.kit import tasks_at
from tests.servers import Proxy, RedisServer, Upstream


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """The session's Redis."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """Its URL, with nothing in it."""
    with redis_server.client() as client:
        client.flushall()
        client.script_flush()
    return redis_server.url


@pytest.fixture
def client(redis_url: str, redis_server: RedisServer) -> Iterator[redis.Redis]:
    """A client of the test's own."""
    with redis_server.client() as client:
        yield client


@pytest.fixture
def tasks(redis_url: str) -> Iterator[Tasks]:
    """Tasks as a web request sees them."""
    found = tasks_at(redis_url)
    yield found
    found.client.close()


@pytest.fixture
def proxy(redis_server: RedisServer, redis_url: str) -> Iterator[Proxy]:
    """A proxy in front of Redis."""
    with Proxy(redis_server.port) as found:
        yield found


@pytest.fixture(scope="session")
def upstream_server() -> Iterator[Upstream]:
    """The session's provider."""
    with Upstream() as found:
        yield found


@pytest.fixture
def upstream(upstream_server: Upstream) -> Upstream:
    """The provider, having forgotten earlier requests."""
    upstream_server.calls.clear()
    return upstream_server
