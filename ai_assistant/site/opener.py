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
AWAY = frozenset({1040, 1053, 1927, 2002, 2003, 2006, 2013})
"""MariaDB's codes for a server that takes no connection, or has closed it (its manual, "MariaDB Error Codes")."""


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
        ServiceUnavailableError for one in maintenance, or whose database is away."""
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
        except Exception as error:
            if is_away(error):
                raise ServiceUnavailableError(
                    f"site: the database of {site} cannot be reached; try again soon"
                ) from error
            roll_back()
            raise
        except BaseException:
            roll_back()
            raise
        finally:
            frappe.destroy()


def is_away(error: Exception) -> bool:
    """Whether the database's server is not there, whichever driver says so (PyMySQL in v15, mysqlclient in v16)."""
    return type(error).__name__ == "OperationalError" and error.args[:1] != () and error.args[0] in AWAY


def roll_back() -> None:
    """Undoes what the unit wrote, where it came to have a connection."""
    if frappe.db and frappe.db._conn:
        frappe.db.rollback()
