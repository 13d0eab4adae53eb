"""Looks for anomalies of a site's models, and tells those who run it.

The scheduler's event calls it: one look at Redis where the site has no traces or was checked a moment ago.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import frappe
from frappe.desk.doctype.notification_settings.notification_settings import is_notifications_enabled
from frappe.utils import escape_html
from redis.exceptions import RedisError

from ai_assistant.core.errors import ServiceUnavailableError
from ai_assistant.core.session import ADMINISTRATOR, MANAGER_ROLE
from ai_assistant.core.trace_keys import SITES
from ai_assistant.site import bench
from ai_assistant.traces.anomalies import Change
from ai_assistant.traces.anomaly_check import AnomalyCheck

ROLES = ("System Manager", MANAGER_ROLE)
MAX_TOLD = 50
"""Users who are told; on a site with more managers the first ones."""
TITLE_CHARS = 140


def look_for_anomalies() -> None:
    """The check of the open site; where Redis is away, the next one will do."""
    from ai_assistant.site.access import SiteStores
    from ai_assistant.site.tracing import trace_client

    client, site = trace_client(), frappe.local.site
    try:
        if not client.sismember(SITES, site):
            return
        changes = AnomalyCheck(client, site).run(SiteStores(with_keys=False).traces)
    except (RedisError, OSError, ServiceUnavailableError) as error:
        frappe.logger(bench.APP).warning("anomalies of %s are not looked for: %s", site, error)
        return
    tell(change for change in changes or () if not change.ended)


def tell(changes: Iterable[Change]) -> None:
    """A Notification Log entry for each anomaly and each user who runs the site or manages its assistant."""
    found = list(changes)
    users = told() if found else []
    for change in found:
        for user in users:
            notify(user, change)


def told() -> Sequence[str]:
    """Enabled users of the Desk with one of the roles, and Administrator, who has every role; but those who have
    switched notifications off."""
    names = frappe.get_all("Has Role", {"role": ("in", ROLES), "parenttype": "User"}, pluck="parent", distinct=True)
    wanted = {"name": ("in", [*names, ADMINISTRATOR]), "enabled": 1, "user_type": "System User"}
    users = frappe.get_all("User", wanted, pluck="name", order_by="creation", limit=MAX_TOLD)
    return [user for user in users if is_notifications_enabled(user)]


def notify(user: str, change: Change) -> None:
    """One entry. The name of a model comes from whoever sent the trace: it is shown as text."""
    anomaly = change.anomaly
    text = escape_html(anomaly.text()[:TITLE_CHARS])
    frappe.get_doc(
        {
            "doctype": "Notification Log",
            "for_user": user,
            "type": "Alert",
            "subject": f"AI Assistant: {text}",
            "email_content": f"{text} ({anomaly.calls} calls of the last quarter of an hour).",
            "link": "/app/ai-trace",
        }
    ).insert(ignore_permissions=True)
