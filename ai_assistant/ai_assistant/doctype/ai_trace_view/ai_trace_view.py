"""AI Trace View: that somebody looked at another user's trace."""

from frappe.model.document import Document


class AITraceView(Document):
    """Written by the endpoints, read by System Managers, and deleted with its trace."""
