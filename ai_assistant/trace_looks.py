"""Looks at traces that do not go through the endpoints: by the Desk's forms and Frappe's REST API."""

import frappe


def note_look(trace):
    """Records that the user looks at this trace, where it is somebody else's, as `core.trace_access.note_look` does."""
    from ai_assistant.core.session import User
    from ai_assistant.site.traces import SiteTraces

    user = frappe.session.user
    owner = frappe.db.get_value("AI Trace", trace, "user") if trace else None
    if owner and owner != user:
        SiteTraces().note_view(trace, owner, User(name=user))
