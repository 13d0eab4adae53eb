"""AI Trace Tag: a word that a program has put on a trace."""

from frappe.model.document import Document


class AITraceTag(Document):
    """A row of a trace's table of tags."""
