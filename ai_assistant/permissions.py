"""Who sees which conversation on a site: owners theirs, AI Managers all. Each rule twice, for lists and for documents.

The DocTypes' own permissions come first; these only take away. A System Manager is no AI Manager: running a site does
not mean reading what people ask. (Whoever runs it can make themselves one, or read the database: but then it shows.)
No role of an organisation's own opens other people's conversations, however it is set in the role permission manager:
AI Manager and sharing do.

What Frappe does with these (v15 `permissions.py`, `model/db_query.py`): a document is open where the hook does not deny
it and roles and User Permissions allow it, or where it is shared with that right; a list is
`(roles and User Permissions and hook) or shared`, but `shared and hook` for those who have no role, and without
`or shared` for roles that are not bound to owners. So the hook for lists has to let shared ones through itself.
"""

import re

import frappe
from frappe.model.db_query import DatabaseQuery
from frappe.share import get_shared

from ai_assistant.core.session import ADMINISTRATOR, MANAGER_ROLE

CONVERSATION = "AI Conversation"
NONE = "1 = 0"
LITERAL = re.compile(r"'(?:[^'\\]|\\.)*'", re.DOTALL)
"""A string as `frappe.db.escape` quotes it."""


def conversation_query(user=None, doctype=None):
    """The condition that lists of AI Conversation get."""
    user = user or frappe.session.user
    if is_manager(user):
        return ""
    condition = f"`tabAI Conversation`.`user` = {quoted(user)}"
    if shared := get_shared(CONVERSATION, user):
        names = ", ".join(quoted(name) for name in shared)
        condition = f"({condition} or `tabAI Conversation`.`name` in ({names}))"
    return without_percent(condition)


def message_query(user=None, doctype=None):
    """The condition that lists of AI Message get: all that decides about their conversations, so that the messages
    follow those through roles, User Permissions and shares."""
    user = user or frappe.session.user
    if user == ADMINISTRATOR:
        return ""
    if not frappe.has_permission(CONVERSATION, "read", user=user):
        return NONE
    query = DatabaseQuery(CONVERSATION, user=user)
    # a user without a role gets the condition on shares apart from the others
    conditions = [query.build_match_conditions(), *query.conditions]
    where = " and ".join(f"({condition})" for condition in conditions if condition)
    if not where:
        return ""
    visible = f"select `tabAI Conversation`.`name` from `tabAI Conversation` where {where}"
    return without_percent(f"`tabAI Message`.`conversation` in ({visible})")


def has_conversation_permission(doc, ptype=None, user=None):
    """Whether `user` may touch this AI Conversation. A shared one is denied here, and Frappe then looks for the share
    and its rights: so what is shared to read stays closed to writing."""
    user = user or frappe.session.user
    if is_manager(user):
        return True
    # a document that is being saved came from the browser, and may name anybody: what is stored counts
    stored = frappe.db.get_value(CONVERSATION, doc.name, ["user", "owner"]) if doc.name else None
    return all(name == user for name in stored or (doc.user, doc.owner))


def has_message_permission(doc, ptype=None, user=None):
    """Whether `user` may touch this AI Message: whether they may read its conversation."""
    user = user or frappe.session.user
    if not doc.conversation or not frappe.db.exists(CONVERSATION, doc.conversation):
        return is_manager(user)
    return bool(frappe.has_permission(CONVERSATION, "read", doc=doc.conversation, user=user))


def is_manager(user):
    """Whether `user` sees everybody's conversations."""
    return user == ADMINISTRATOR or MANAGER_ROLE in frappe.get_roles(user)


def quoted(text):
    """The text as a literal of SQL."""
    return frappe.db.escape(text, percent=False)


def without_percent(condition):
    """The condition with no % in its strings: v15 runs it as it is, v16 within a query that has parameters, where a
    % would have to be doubled. Users' names may hold one."""
    return LITERAL.sub(_without_percent, condition)


def _without_percent(literal):
    text = literal[0]
    return "concat(" + text.replace("%", "', char(37 using utf8mb4), '") + ")" if "%" in text else text
