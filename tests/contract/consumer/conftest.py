"""Fixtures of this folder: a real Redis, and sites whose traces are in SQLite files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.redis_fixtures import client, proxy, redis_server, redis_url, tasks  # noqa: F401
from tests.trace_kit import Maker, TraceSites


@pytest.fixture
def sites(tmp_path: Path) -> Iterator[TraceSites]:
    """One site."""
    found = TraceSites(tmp_path)
    yield found
    found.close()


@pytest.fixture
def maker(client: redis.Redis) -> Maker:  # noqa: F811
    """A producer of that site."""
    return Maker(client)
