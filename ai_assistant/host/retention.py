"""Deletes old traces while the host runs."""

from __future__ import annotations

import asyncio

from ai_assistant.core.ports import SiteOpener
from ai_assistant.traces.retention import CHECK_S, Policy, enforce

FIRST_S = 20.0
"""After the start: what is more urgent comes first."""


class Retention:
    """Looks every few minutes. Each piece of its work is a thread's and a short transaction's."""

    def __init__(self, opener: SiteOpener, site: str, policy: Policy):
        self._opener = opener
        self._site = site
        self._policy = policy

    async def run(self) -> None:
        """Until it is cancelled."""
        pause = FIRST_S
        while True:
            await asyncio.sleep(pause)
            await asyncio.to_thread(enforce, self._opener, self._site, self._policy)
            pause = CHECK_S
