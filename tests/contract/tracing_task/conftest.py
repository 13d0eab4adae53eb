"""Fixtures of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ai_assistant import tracing
from ai_assistant.streams.program import Program
from ai_assistant.streams.program_task import ProgramTask
from ai_assistant.tracing.task_handle import Task
from ai_assistant.tracing.task_home import Home, swap_home
from tests.kit import SCOPE, SITE, USER
from tests.redis_fixtures import client, proxy, redis_server, redis_url, tasks  # noqa: F401

Open = Callable[..., Task]


@pytest.fixture
def open_task(redis_url: str) -> Open:  # noqa: F811  # the fixture
    """Makes tasks of the tests' site and user."""

    def make(name: str = "label-receipt", *, url: str = redis_url, **given: Any) -> Task:
        return tracing.task(name, **{"user": USER, "redis_url": url, "site": SITE, "scope": SCOPE, **given})

    return make


@pytest.fixture
def impatient(proxy: Any) -> Iterator[Program]:  # noqa: F811  # the fixture
    """All tasks go through the proxy, and events wait half a second for Redis."""
    program = Program(proxy.url, SCOPE, beat_s=0.1, outage_s=0.5)
    home = Home(site=SITE, channel=lambda producer, opened: ProgramTask(program, producer, opened), user=USER)
    before = swap_home(home)
    yield program
    swap_home(before)
