"""Looks for anomalies of models while the host runs. Whoever is to be told reads the log, the figures or `status`."""

from __future__ import annotations

import asyncio
import logging

import redis
from redis.exceptions import RedisError

from ai_assistant.core.errors import ServiceUnavailableError
from ai_assistant.core.ports import SiteOpener
from ai_assistant.traces.anomaly_check import EVERY_S, AnomalyCheck

log = logging.getLogger(__name__)

FIRST_S = 30.0
"""After the start: what is more urgent comes first."""


class AnomalyWatch:
    """A check every few minutes, each in a thread and a unit of work of its own."""

    def __init__(self, client: redis.Redis, opener: SiteOpener, site: str):
        self._check = AnomalyCheck(client, site)
        self._opener = opener
        self._site = site

    async def run(self) -> None:
        """Until it is cancelled."""
        pause = FIRST_S
        while True:
            await asyncio.sleep(pause)
            await asyncio.to_thread(self.look)
            pause = EVERY_S

    def look(self) -> None:
        """One check; where Redis or the database is away, the next one will do."""
        try:
            with self._opener.open(self._site) as access:
                self._check.run(access.traces)
        except (RedisError, OSError, ServiceUnavailableError) as error:
            log.warning("the check for anomalies has to wait: %s", error)
