"""Tasks that the site's own code opens: `ai_assistant.tracing.task` in a web request, a background job, a console.

Found by `tracing.task_home` where a site is open.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import frappe

import ai_assistant
from ai_assistant.core.session import GUEST
from ai_assistant.site import bench
from ai_assistant.site.access import SiteStores
from ai_assistant.site.opener import BenchOpener
from ai_assistant.site.tracing import traces_redis_url
from ai_assistant.tracing import state
from ai_assistant.tracing.task_home import Home, redis_home

SERVICE = "frappe"
_beginning = threading.Lock()
"""Of two threads of a web server that open their first task at once, one begins to trace."""


def home() -> Home:
    """The open site's: its bench's Redis and queue, and who is logged in."""
    begin_tracing()
    user = frappe.session.user if frappe.session else None
    site, path = frappe.local.site, frappe.local.sites_path
    around = functools.partial(opened, site, path, user or GUEST)
    return redis_home(bench.redis_url(), site, bench.scope(), user=user, around=around)


def begin_tracing() -> None:
    """Traces this process from its first task on, unless it does so already, was told not to, or the site wants none
    (AI Assistant Settings). Each trace goes to the site that is open then."""
    state.active()  # the environment may say something
    with _beginning:
        if state.client() is None:
            _begin_tracing()


def _begin_tracing() -> None:
    settings = SiteStores(with_keys=False).settings()
    if not settings.trace_chats:
        return
    state.init(
        redis_url=traces_redis_url(),
        site=open_site,
        service=SERVICE,
        release=ai_assistant.__version__,
        capture_input=bool(settings.trace_content),
        capture_output=bool(settings.trace_content),
        capture_reasoning=bool(settings.trace_content),
        verify=False,
    )


def open_site() -> str:
    """The site that this thread has open."""
    return str(frappe.local.site)


@contextmanager
def opened(site: str, sites_path: str, user: str) -> Iterator[Any]:
    """The site, opened for a thread of its own: as the user, committed at the end, rolled back where it fails."""
    with BenchOpener(sites_path).open(site) as access:
        frappe.set_user(user)
        yield access
