"""What a fault must not leave behind in the bench's Redis."""

from __future__ import annotations

from typing import Any

import redis

PREFIX = "ai_assistant:"
SHARED = ("queue", "workers", "worker_info", "open", "unsaved")
"""Keys of a bench that live for ever; `found` sees to it that they hold nothing."""


class Leftovers:
    """Looks through a Redis, and is told nothing by the app."""

    def __init__(self, url: str):
        self._redis: Any = redis.Redis.from_url(url, decode_responses=True, socket_timeout=5)

    def found(self) -> list[str]:
        """What is left of tasks, workers and jobs, in words."""
        names = list(self._redis.scan_iter(match=PREFIX + "*", count=1000))
        shared = [name for name in names if name.rpartition(":")[2] in SHARED and name.count(":") == 2]
        left = [f"{name} has no TTL" for name in names if name not in shared and self._redis.ttl(name) == -1]
        left += [f"{name} is valid" for name in names if name.endswith(":lease") and self._is_valid(name)]
        left += [f"{name}: a request waits" for name in names if ":waiting:" in name and self._slots(name)]
        left += [f"{name} is not empty" for name in shared if not self._is_empty(name)]
        return left + self._jobs()

    def _slots(self, name: str) -> int:
        return self._redis.zcount(name, self._now_ms(), "+inf")

    def _is_valid(self, lease: str) -> bool:
        """One that has run out is free for the next job: so ends what was promised by a process that died."""
        return int(self._redis.hget(lease, "until") or 0) > self._now_ms()

    def _now_ms(self) -> int:
        seconds, micros = self._redis.time()
        return seconds * 1000 + micros // 1000

    def _is_empty(self, name: str) -> bool:
        if name.endswith((":open", ":unsaved")):
            return not self._redis.zcard(name)
        if name.endswith(":queue"):
            return not self._redis.xlen(name) and not self._pending(name)
        return True  # the list of workers: a dead one is taken off it after a minute by the next one's beat

    def _pending(self, name: str) -> int:
        return sum(group["pending"] for group in self._redis.xinfo_groups(name))

    def _jobs(self) -> list[str]:
        """Jobs of ours that wait in RQ, or that RQ takes for running."""
        left = []
        for name in self._redis.scan_iter(match="rq:queue:*"):
            left += [f"{name} holds {job}" for job in self._redis.lrange(name, 0, -1) if "ai_assistant_worker_" in job]
        for name in self._redis.scan_iter(match="rq:wip:*"):
            left += [f"{name} holds {job}" for job in self._redis.zrange(name, 0, -1) if "ai_assistant_worker_" in job]
        return left

    def keys(self, site: str) -> list[str]:
        """The keys of a site."""
        return sorted(self._redis.scan_iter(match=f"{PREFIX}{site}:*", count=1000))

    def statuses(self, site: str) -> list[str]:
        """Those of a site's tasks."""
        tasks = self._redis.scan_iter(match=f"{PREFIX}{site}:task:*", count=1000)
        return [self._redis.hget(name, "status") for name in tasks]

    def lease(self) -> dict[str, str]:
        """Who holds the lease of the bench's job; empty when nobody does."""
        for name in self._redis.scan_iter(match=PREFIX + "*:lease"):
            return self._redis.hgetall(name)
        return {}
