"""AI Trace Producer: a process that sends traces, and which of its events arrived."""

import frappe
from frappe.model.document import Document
from frappe.utils import add_days, now_datetime


class AITraceProducer(Document):
    """Read only for people. Its numbers are what proves that nothing was lost, or says how much was."""

    @staticmethod
    def clear_old_logs(days=90):
        """Deletes what is known of producers that were not heard for `days` days."""
        frappe.db.delete("AI Trace Producer", {"heard_at": ("<", add_days(now_datetime(), -days))})
