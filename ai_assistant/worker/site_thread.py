"""The one thread that belongs to a site: everything that touches the host's stores runs there, in units of work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ai_assistant.core.ports import SiteAccess, SiteOpener

Result = TypeVar("Result")


class SiteThreads:
    """A thread per site, made on first use."""

    def __init__(self, opener: SiteOpener):
        self._opener = opener
        self._threads: dict[str, ThreadPoolExecutor] = {}

    async def run(self, site: str, work: Callable[[SiteAccess], Result]) -> Result:
        """The result of `work`, committed. Raises what it raises, rolled back."""
        thread = self._threads.get(site)
        if thread is None:
            thread = self._threads[site] = ThreadPoolExecutor(1, thread_name_prefix=f"site-{site}")
        return await asyncio.get_running_loop().run_in_executor(thread, self._unit, site, work)

    def _unit(self, site: str, work: Callable[[SiteAccess], Result]) -> Result:
        with self._opener.open(site) as access:
            return work(access)

    def close(self) -> None:
        """Lets the threads end after their current unit."""
        for thread in self._threads.values():
            thread.shutdown(wait=False, cancel_futures=True)
