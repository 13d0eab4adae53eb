"""The look after unfinished messages at a worker's start, over several sites of which one fails."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ai_assistant.core.errors import ServiceUnavailableError
from ai_assistant.streams.tasks import Tasks
from ai_assistant.worker import recovery
from ai_assistant.worker.site_thread import SiteThreads
from tests.kit import MemoryStore, Site


class Sites:
    """Sites of which one is in maintenance for its first visits."""

    def __init__(self, failures: int):
        self.visits: list[str] = []
        self.failures = failures

    @contextmanager
    def open(self, site: str) -> Iterator[Any]:
        """A unit of work."""
        self.visits.append(site)
        if site == "closed" and self.visits.count(site) <= self.failures:
            raise ServiceUnavailableError("site: closed is in maintenance")
        yield Site({}, conversations=MemoryStore())


async def test_a_site_that_fails_keeps_no_other_from_it_and_is_visited_again(
    tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "PAUSES_S", (0.01, 0.01, 0.01))
    sites = Sites(failures=2)
    await recovery.recover_all(SiteThreads(sites), ["closed", "a", "b"], tasks)
    assert sites.visits == ["closed", "a", "b", "closed", "closed"]


async def test_a_site_that_stays_away_is_given_up(tasks: Tasks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "PAUSES_S", (0.01, 0.01))
    sites = Sites(failures=100)
    await recovery.recover_all(SiteThreads(sites), ["closed"], tasks)
    assert len(sites.visits) == 3


async def test_a_function_that_knows_the_sites_is_called_off_the_event_loop() -> None:
    def names() -> list[str]:
        assert threading.current_thread() is not threading.main_thread()
        return ["a"]

    assert await recovery.site_names(names) == ["a"]
    assert await recovery.site_names(("b",)) == ["b"]
