"""The worker's lines in a bench's Procfile, which `bench start` runs (honcho)."""

from __future__ import annotations

import re

NAME = "ai_worker"
# honcho kills five seconds after it asked (honcho 1.1, manager.py), so the worker's own grace must be shorter
COMMAND = "bench ai-worker --grace 2 1>> logs/worker.log 2>> logs/worker.error.log"
LINE = re.compile(rf"^{NAME}(?:_\d+)?:")


def with_workers(text: str, count: int | None) -> str:
    """The Procfile with `count` workers; `None`: as many as it has, and at least one. Lines that are there already
    stay as they are, for an admin may have changed them."""
    lines = text.splitlines()
    ours = [line for line in lines if LINE.match(line)]
    wanted = count or max(1, len(ours))
    kept = ours[:wanted]
    added = [f"{name}: {COMMAND}" for name in names(wanted) if not any(line.startswith(f"{name}:") for line in kept)]
    surplus = set(ours[wanted:])
    rest = [line for line in lines if line not in surplus]
    return "\n".join([*rest, *added[: wanted - len(kept)]]) + "\n"


def without_workers(text: str) -> str:
    """The Procfile without the worker."""
    return "".join(line for line in text.splitlines(keepends=True) if not LINE.match(line))


def names(count: int) -> list[str]:
    """`ai_worker`, `ai_worker_2`, …"""
    return [NAME if number == 1 else f"{NAME}_{number}" for number in range(1, count + 1)]
