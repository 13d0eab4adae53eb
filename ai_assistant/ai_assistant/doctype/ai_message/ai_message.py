"""AI Message: one message of a conversation, as the worker wrote it."""

import frappe
from frappe.model.document import Document


class AIMessage(Document):
    """Read only for people; `core/message_rows.py` says what each field holds.

    Texts and JSON are Code fields: the Desk shows those as text everywhere, while its report view and its print take
    Long Text, Data and JSON for HTML (v15 `formatters.js`, `standard_macros.html`), and these are written by users and
    by models. MariaDB also refuses JSON that is nested deeper than 31 in a JSON column.
    """


def on_doctype_update():
    """The messages of a conversation, in order, come from one index."""
    frappe.db.add_index("AI Message", ["conversation", "sequence"])
