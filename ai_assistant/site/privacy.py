"""Deletion of personal data: Frappe blanks what hooks.py names, this takes whole conversations and traces away.

Blanking is not enough: tool calls and attached parts are JSON, into which Frappe (v15.55.1,
`website/doctype/personal_data_deletion_request`) cannot write its placeholder.
"""

from __future__ import annotations

from typing import Any

import frappe


def forget_person(doc: Any, method: str | None = None) -> None:
    """Event `on_change` of a Personal Data Deletion Request, which ends with the status Deleted. By then the user, and
    the links to it, have the request's name."""
    if doc.status != "Deleted":
        return
    for doctype in ("AI Conversation", "AI Trace"):
        for name in frappe.get_all(doctype, filters={"user": ("in", [doc.name, doc.email])}, pluck="name"):
            frappe.delete_doc(doctype, name, force=True, ignore_permissions=True, delete_permanently=True)
