"""AI Trace Tag: a word that a program has put on a trace."""

import frappe
from frappe.model.document import Document


class AITraceTag(Document):
    """A row of a trace's table of tags."""


def on_doctype_update():
    """Which traces have a tag is told by the index alone; a tag may be on all of them."""
    frappe.db.add_index("AI Trace Tag", ["tag", "parent"])
