"""Fixtures of this folder: a real Redis, a site in SQLite, and a collector."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from sink import Sink

from ai_assistant.core.otel import OtelConfig
from tests.redis_fixtures import client, redis_server, redis_url  # noqa: F401
from tests.trace_kit import Maker, TraceSites


@pytest.fixture
def sink() -> Iterator[Sink]:
    """A collector."""
    with Sink().listening() as found:
        yield found


@pytest.fixture
def sites(tmp_path: Path, sink: Sink) -> Iterator[TraceSites]:
    """One site whose spans go to the collector."""
    found = TraceSites(tmp_path)
    found.otel = OtelConfig(traces_url=f"{sink.url}/v1/traces", metrics_url=f"{sink.url}/v1/metrics")
    yield found
    found.close()


@pytest.fixture
def maker(client: redis.Redis) -> Maker:  # noqa: F811
    """A producer of that site."""
    return Maker(client)
