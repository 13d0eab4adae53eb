"""Who sees which trace on a site: users theirs, AI Trace Reviewers all. Each rule twice, for lists and for documents.

As with conversations (`permissions.py`, which says what Frappe does with these), the DocTypes' own permissions come
first, and these only take away: no role of an organisation's own opens other people's traces, and neither a System
Manager nor an AI Manager is a reviewer. Observations and tags follow their trace, through roles and User Permissions.
Nobody can share a trace.
"""

import frappe
from frappe.model.db_query import DatabaseQuery

from ai_assistant.core.session import ADMINISTRATOR, OPERATOR_ROLE, REVIEWER_ROLE
from ai_assistant.permissions import NONE, quoted, without_percent

TRACE = "AI Trace"
OBSERVATION = "AI Observation"
TAG = "AI Trace Tag"


def trace_query(user=None, doctype=None):
    """The condition that lists of AI Trace get."""
    user = user or frappe.session.user
    if is_reviewer(user):
        return ""
    return without_percent(f"`tabAI Trace`.`user` = {quoted(user)}")


def observation_query(user=None, doctype=None):
    """The condition that lists of AI Observation get."""
    return of_visible_traces("`tabAI Observation`.`trace`", user)


def tag_query(user=None, doctype=None):
    """The condition that lists of AI Trace Tag get."""
    return of_visible_traces("`tabAI Trace Tag`.`parent`", user)


def of_visible_traces(column, user):
    """All that decides about the traces which `column` names."""
    user = user or frappe.session.user
    if user == ADMINISTRATOR:
        return ""
    if not frappe.has_permission(TRACE, "read", user=user):
        return NONE
    query = DatabaseQuery(TRACE, user=user)
    conditions = [query.build_match_conditions(), *query.conditions]
    where = " and ".join(f"({condition})" for condition in conditions if condition)
    if not where:
        return ""
    return without_percent(f"{column} in (select `tabAI Trace`.`name` from `tabAI Trace` where {where})")


def has_trace_permission(doc, ptype=None, user=None):
    """Whether `user` may touch this AI Trace."""
    user = user or frappe.session.user
    # a document may come from the browser, and name anybody: what is stored counts
    stored = frappe.db.get_value(TRACE, doc.name, "user") if doc.name else None
    # as the endpoint has it (`core.trace_service.may_delete`): reviewing is reading
    return stored == user or (is_operator(user) if ptype == "delete" else is_reviewer(user))


def has_observation_permission(doc, ptype=None, user=None):
    """Whether `user` may touch this AI Observation: whether they may read its trace."""
    return may_read_trace(frappe.db.get_value(OBSERVATION, doc.name, "trace") if doc.name else None, user)


def has_tag_permission(doc, ptype=None, user=None):
    """Whether `user` may touch this AI Trace Tag: whether they may read its trace."""
    return may_read_trace(frappe.db.get_value(TAG, doc.name, "parent") if doc.name else None, user)


def may_read_trace(trace, user):
    """Whether `user` may read the trace of this name; one that is gone only reviewers may."""
    user = user or frappe.session.user
    if not trace or not frappe.db.exists(TRACE, trace):
        return is_reviewer(user)
    return bool(frappe.has_permission(TRACE, "read", doc=trace, user=user))


def is_reviewer(user):
    """Whether `user` sees everybody's traces."""
    return user == ADMINISTRATOR or REVIEWER_ROLE in frappe.get_roles(user)


def is_operator(user):
    """Whether `user` runs the site: may delete what they may not read."""
    return user == ADMINISTRATOR or OPERATOR_ROLE in frappe.get_roles(user)
