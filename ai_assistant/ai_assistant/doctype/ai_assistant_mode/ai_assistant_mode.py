"""A row of AI Assistant Settings: what a mode of a request brings with it."""

from frappe.model.document import Document


class AIAssistantMode(Document):
    """Checked by its parent."""
