"""The one thread that belongs to a site: everything that touches the host's stores runs there, in units of work."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ai_assistant.core.errors import ServiceUnavailableError
from ai_assistant.core.ports import SiteAccess, SiteOpener

log = logging.getLogger("ai_assistant.worker")

Result = TypeVar("Result")
STUCK_S = 60.0
"""A unit of work that takes longer waits for what may never come, a database whose machine is gone: drivers set no
limit to an answer. The site gets another thread then."""


class SiteThreads:
    """A thread per site, made on first use."""

    def __init__(self, opener: SiteOpener, *, stuck_s: float = STUCK_S):
        self._opener = opener
        self._stuck_s = stuck_s
        self._threads: dict[str, SiteThread] = {}

    async def run(self, site: str, work: Callable[[SiteAccess], Result]) -> Result:
        """The result of `work`, committed. Raises what it raises, rolled back; ServiceUnavailableError when it never
        began, since a unit before it did not come to an end."""
        thread = self._threads.get(site)
        if thread is None or thread.is_stuck(self._stuck_s):
            if thread:
                thread.give_up()
            thread = self._threads[site] = SiteThread(site)
        return await thread.run(lambda: self._unit(site, work))

    def _unit(self, site: str, work: Callable[[SiteAccess], Result]) -> Result:
        with self._opener.open(site) as access:
            return work(access)

    def close(self) -> None:
        """Lets the threads end after their current unit."""
        for thread in self._threads.values():
            thread.close()


class SiteThread:
    """One thread, and since when it has been at its unit of work."""

    def __init__(self, site: str):
        self._site = site
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=f"site-{site}")
        self._began: float | None = None
        self._given_up = False

    async def run(self, unit: Callable[[], Result]) -> Result:
        """The unit's result, behind the units before it."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, self._timed, unit)
        except asyncio.CancelledError:
            if self._given_up:
                raise ServiceUnavailableError(f"site: the database of {self._site} does not answer") from None
            raise

    def _timed(self, unit: Callable[[], Result]) -> Result:
        self._began = time.monotonic()
        try:
            return unit()
        finally:
            self._began = None

    def is_stuck(self, after_s: float) -> bool:
        """Whether its unit of work has taken longer than that."""
        began = self._began
        return began is not None and time.monotonic() - began > after_s

    def give_up(self) -> None:
        """Leaves the thread to itself: it ends when its unit does; units behind that one are not begun."""
        log.error("a unit of work on %s does not come to an end; the site gets another thread", self._site)
        self._given_up = True
        self.close()

    def close(self) -> None:
        """Ends it after its current unit."""
        self._executor.shutdown(wait=False, cancel_futures=True)
