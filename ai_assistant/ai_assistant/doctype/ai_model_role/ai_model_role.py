"""A row of AI Model: a role that may use a model."""

from frappe.model.document import Document


class AIModelRole(Document):
    """Checked by its parent."""
