"""Keeps a site's traces within the size that its settings allow. Their age is Log Settings' business
(`AITrace.clear_old_logs`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import frappe

from ai_assistant.core.errors import DoesNotExistError
from ai_assistant.site.access import SETTINGS, SiteStores
from ai_assistant.traces.retention import Policy, enforce

MAX_MB = "trace_max_mb"
"""Field of the settings; 0: without a bound."""
PIECE = 50
"""Traces of one transaction: no consumer waits long for it."""
LIMIT_S = 1200.0
"""A job of the queue `long` may take 1500 s; the next day's goes on."""


def limit_ai_traces() -> int:
    """The scheduler's event `daily_long`; gives the number of traces that went."""
    megabytes = frappe.get_cached_doc(SETTINGS).get(MAX_MB) or 0
    policy = Policy(days=0, max_bytes=int(megabytes) * 1024 * 1024)
    return enforce(OpenSite(), frappe.local.site, policy, piece=PIECE, limit_s=LIMIT_S)


class OpenSite:
    """`core.ports.SiteOpener` within a job of Frappe's, which has opened its one site already."""

    @contextmanager
    def open(self, site: str) -> Iterator[SiteStores]:
        """A transaction of its own on the open site. Raises DoesNotExistError for another."""
        if site != frappe.local.site:
            raise DoesNotExistError(f"site: {frappe.local.site} is open, not {site}")
        try:
            yield SiteStores(with_keys=False)
        except BaseException:
            frappe.db.rollback()
            raise
        frappe.db.commit()  # nosemgrep: a few at a time, so that no consumer waits for all of it
