"""Users that tests on a site make and take away again."""

from __future__ import annotations

import frappe

DOMAIN = "stores.example"


def make_user(name: str, *roles: str, **values: object) -> str:
    """A user that can log in, with these roles; gives the name. One of that name is made anew."""
    remove_user(name)
    user = frappe.new_doc("User")
    user.update({"email": name, "first_name": name.split("@")[0], "send_welcome_email": 0, "enabled": 1, **values})
    user.update({"roles": [{"role": role} for role in roles]})
    user.flags.no_welcome_mail = True
    user.insert(ignore_permissions=True)
    return user.name


def remove_user(name: str) -> None:
    """Away with the user, and with what Frappe and these tests make for one."""
    for conversation in frappe.get_all("AI Conversation", {"user": name}, pluck="name"):
        frappe.delete_doc("AI Conversation", conversation, force=True, delete_permanently=True)
    for doctype, field in (("User Permission", "user"), ("DocShare", "user"), ("Contact", "user")):
        for document in frappe.get_all(doctype, {field: name}, pluck="name"):
            frappe.delete_doc(doctype, document, force=True, delete_permanently=True)
    frappe.delete_doc("User", name, force=True, delete_permanently=True)


def remove_traces(start: object) -> None:
    """Removes what Frappe wrote since `start` about documents that were deleted."""
    doctypes = ("AI Conversation", "User", "Contact", "User Permission", "DocShare", "Role", "Notification Settings")
    since = {"creation": (">=", start)}
    frappe.db.delete("Comment", {"comment_type": "Deleted", "reference_doctype": ("in", doctypes), **since})
    frappe.db.delete("Deleted Document", {"deleted_doctype": ("in", doctypes), **since})
