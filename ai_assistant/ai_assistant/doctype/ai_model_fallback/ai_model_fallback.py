"""A row of AI Model: a model that answers when another one fails."""

from frappe.model.document import Document


class AIModelFallback(Document):
    """Checked by its parent."""
