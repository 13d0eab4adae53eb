"""What the tests of the integrations share: aimock, the scripted provider, and traces in memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ai_assistant.tracing import testing
from tests.aimock.server import AiMock
from tests.servers import Upstream


@pytest.fixture(scope="session")
def _aimock() -> Iterator[AiMock]:
    with AiMock(chunk_size=4) as mock:
        yield mock


@pytest.fixture
def aimock(_aimock: AiMock) -> AiMock:
    """A fresh aimock that writes four characters at a time."""
    _aimock.reset()
    return _aimock


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    """A provider in OpenAI's form that plays scripts."""
    with Upstream() as server:
        yield server


@pytest.fixture
def traces() -> Iterator[testing.MemoryExporter]:
    """What is traced during the test."""
    with testing.recorded() as exporter:
        yield exporter
