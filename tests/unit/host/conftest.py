"""Fixtures of the host's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from hosting import PASSWORD, WebHost, running_redis, test_config

from ai_assistant.host.auth import Auth
from ai_assistant.host.database import Database


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """One Redis for all tests."""
    with running_redis() as url:
        yield url


@pytest.fixture
async def host(tmp_path: Path, redis_url: str) -> AsyncIterator[WebHost]:
    """The web side of a host with the users ann and bob."""
    web = WebHost(test_config(tmp_path), redis_url)
    for name in ("ann", "bob"):
        web.auth.users.add(name, full_name=name.title(), password=PASSWORD)
    await web.start()
    yield web
    await web.stop()


@pytest.fixture
async def http(host: WebHost) -> AsyncIterator[httpx.AsyncClient]:
    """A client without credentials."""
    async with httpx.AsyncClient(base_url=host.url, timeout=20) as client:
        yield client


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty database with every table."""
    from ai_assistant.host import accounts  # noqa: F401 - declares the tables

    found = Database.open(tmp_path / "test.db")
    yield found
    found.close()


@pytest.fixture
def auth(database: Database) -> Auth:
    """Accounts with the user ann."""
    from ai_assistant.host.apikeys import ApiKeys
    from ai_assistant.host.sessions import Sessions
    from ai_assistant.host.users import Users

    found = Auth(Users(database), Sessions(database), ApiKeys(database))
    found.users.add("ann", full_name="Ann", password=PASSWORD)
    return found
