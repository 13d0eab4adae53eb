"""AI Message: one message of a conversation, as the worker wrote it."""

import frappe
from frappe.model.document import Document


class AIMessage(Document):
    """Read only for people; `host/message_rows.py` says what each field holds."""


def on_doctype_update():
    """The messages of a conversation, in order, come from one index."""
    frappe.db.add_index("AI Message", ["conversation", "sequence"])
