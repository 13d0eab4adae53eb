"""Who sees which conversation on a site: owners theirs, AI Managers all. Each rule twice, for lists and for documents.

The DocType's own permissions come first; these only take away. A System Manager is no AI Manager: running a site does
not mean reading what people ask.
"""

import frappe

from ai_assistant.core.session import ADMINISTRATOR, MANAGER_ROLE


def conversation_query(user=None, doctype=None):
    """The condition that lists of AI Conversation get."""
    user = user or frappe.session.user
    return "" if is_manager(user) else f"`tabAI Conversation`.`user` = {frappe.db.escape(user)}"


def message_query(user=None, doctype=None):
    """The condition that lists of AI Message get: that of their conversation."""
    user = user or frappe.session.user
    if is_manager(user):
        return ""
    own = f"select `name` from `tabAI Conversation` where `user` = {frappe.db.escape(user)}"
    return f"`tabAI Message`.`conversation` in ({own})"


def has_conversation_permission(doc, ptype=None, user=None):
    """Whether `user` may touch this AI Conversation."""
    user = user or frappe.session.user
    return is_manager(user) or doc.user == user


def has_message_permission(doc, ptype=None, user=None):
    """Whether `user` may touch this AI Message: whether they may touch its conversation."""
    user = user or frappe.session.user
    return is_manager(user) or frappe.db.get_value("AI Conversation", doc.conversation, "user") == user


def is_manager(user):
    """Whether `user` sees everybody's conversations."""
    return user == ADMINISTRATOR or MANAGER_ROLE in frappe.get_roles(user)
