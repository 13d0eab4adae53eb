"""Units of work on the sites of a bench: `core.ports.SiteOpener`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import frappe

from ai_assistant.core.check import shown
from ai_assistant.core.errors import DoesNotExistError, ServiceUnavailableError
from ai_assistant.site.access import SiteStores

APP = "ai_assistant"


class BenchOpener:
    """Initialises Frappe for a site, connects, commits and takes it all down again.

    Each unit sees the configuration and the rows as they are then: a connection that is kept would be bound to an old
    snapshot (REPEATABLE READ), and settings to an old `frappe.local`.
    """

    def __init__(self, sites_path: str = "."):
        """`sites_path`: the bench's folder `sites`; Frappe's processes run in it."""
        self._sites_path = os.path.abspath(sites_path)

    @contextmanager
    def open(self, site: str) -> Iterator[SiteStores]:
        """A unit of work as Administrator. Raises DoesNotExistError for a site that is not there or has not the app,
        ServiceUnavailableError for one in maintenance."""
        if not os.path.isfile(os.path.join(self._sites_path, site, "site_config.json")):
            raise DoesNotExistError(f"site: this bench has no site {shown(site)}")
        frappe.init(site=site, sites_path=self._sites_path, force=True)
        try:
            if frappe.conf.maintenance_mode:
                raise ServiceUnavailableError(f"site: {site} is in maintenance; try again later", retry_after=30)
            frappe.connect()
            if APP not in frappe.get_installed_apps():
                raise DoesNotExistError(f"site: {site} has not the app {APP}; bench --site {site} install-app {APP}")
            yield SiteStores(with_keys=True)
            frappe.db.commit()  # nosemgrep: the unit of work ends here, there is no request around it
        except BaseException:
            if frappe.db:
                frappe.db.rollback()
            raise
        finally:
            frappe.destroy()
