"""AI Observation: one step of a trace, such as a call of a model or of a tool."""

import frappe
from frappe.model.document import Document

from ai_assistant.trace_looks import note_look


class AIObservation(Document):
    """Read only for people, and deleted with its trace only. See AI Trace for how its texts are kept from the Desk's
    views of HTML."""

    def apply_fieldlevel_read_permissions(self):
        """A look at its trace, as there."""
        super().apply_fieldlevel_read_permissions()
        note_look(self.trace)


def on_doctype_update():
    """The observations of a trace, in order, come from one index; those that still run from the other."""
    frappe.db.add_index("AI Observation", ["trace", "started_at"])
    frappe.db.add_index("AI Observation", ["status", "started_at"])
