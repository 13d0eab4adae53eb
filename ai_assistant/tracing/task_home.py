"""Where a program's tasks are kept: the Redis of the tasks, the scope and the site.

In this order: what the call says, the environment (`AI_ASSISTANT_TASKS_REDIS_URL`, `AI_ASSISTANT_TASKS_SCOPE`,
`AI_ASSISTANT_SITE`), the Frappe site that is open, what `tracing.init` was told.
"""

from __future__ import annotations

import functools
import importlib
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

import msgspec

from ai_assistant.tracing import state
from ai_assistant.tracing.forks import register_ends
from ai_assistant.tracing.task_events import Channel

PREFIX: Final = "AI_ASSISTANT_TASKS_"
ON_A_SITE: Final = "ai_assistant.site.server_tasks"
"""Imported by name, and only in a process where Frappe has a site open: the SDK stands without it."""
MISSING: Final = (
    "redis_url: a task needs the Redis of the host's tasks and the name of its site. Give redis_url= and site=, call "
    "tracing.init(redis_url=..., site=...) first, or set AI_ASSISTANT_TRACING_REDIS_URL and AI_ASSISTANT_SITE"
)

MakeChannel = Callable[..., Channel]


class Home(msgspec.Struct, frozen=True, kw_only=True):
    """Where a task is kept, and what its host adds."""

    site: str
    channel: MakeChannel
    """Gives the way out for a task's events: see `ProgramTask`."""
    user: str | None = None
    """Who the task is for where the program does not say: who is logged in."""
    around: Callable[[], AbstractContextManager[Any]] = nullcontext
    """What a thread of its own runs its work in: on a site, the site, opened for it."""


_override: Home | None = None


def swap_home(home: Home | None) -> Home | None:
    """Makes all tasks begin in `home`, and gives what was said before: for tests."""
    global _override
    before, _override = _override, home
    return before


def find_home(redis_url: str | None, site: str | None, scope: str | None) -> Home:
    """The home of a new task. Raises ValueError where nothing names one."""
    if _override is not None:
        return _override
    url = redis_url or os.environ.get(PREFIX + "REDIS_URL")
    if not url:
        found = open_site_home()
        if found is not None and site in (None, found.site):
            return found
    settings = told()
    url = url or settings.redis_url
    site = site or os.environ.get("AI_ASSISTANT_SITE") or name_of(settings.site)
    if not url or not site:
        raise ValueError(MISSING)
    return redis_home(url, site, scope or os.environ.get(PREFIX + "SCOPE") or site)


def redis_home(url: str, site: str, scope: str, **fields: Any) -> Home:
    """Tasks in that Redis. `scope`: the site for an embedded host, the bench's id on a bench."""
    if not url.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("redis_url: must begin with redis://, rediss:// or unix://")

    def channel(producer: Any, on_open: Callable[[int | None], None]) -> Channel:
        from ai_assistant.streams.program_task import ProgramTask
        from ai_assistant.streams.programs import program_of

        _mind_forks()
        return ProgramTask(program_of(url, scope), producer, on_open)

    return Home(site=site, channel=channel, **fields)


@functools.lru_cache(maxsize=1)
def _mind_forks() -> None:
    """Children of multiprocessing and Celery end their tasks too: see `forks`."""
    from ai_assistant.streams.programs import end_all

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=lambda: register_ends(end_all))


def open_site_home() -> Home | None:
    """The home of the Frappe site that this thread has open, if any."""
    frappe = sys.modules.get("frappe")
    if frappe is None or not getattr(getattr(frappe, "local", None), "site", None):
        return None
    return importlib.import_module(ON_A_SITE).home()


def told() -> Any:
    """The settings of the program's tracing; the defaults before `init`."""
    from ai_assistant.tracing.settings import Settings

    state.active()  # reads the environment where nobody has called `init`
    client = state.client()
    return client.settings if client is not None else Settings()


def name_of(site: Any) -> Any:
    """A site as `init` was told it: a name, or a function that gives it."""
    return str(site()) if callable(site) else site
