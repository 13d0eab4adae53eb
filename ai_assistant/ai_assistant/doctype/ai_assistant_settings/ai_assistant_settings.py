"""AI Assistant Settings: `core.settings.Settings` as a form."""

import frappe
from frappe import _
from frappe.model.document import Document

from ai_assistant.ai_assistant.doctype.ai_model.ai_model import parameters_problem

MORE_THAN_NOTHING = (
    "max_messages",
    "max_request_bytes",
    "wait_timeout_s",
    "max_backlog",
    "no_worker_after_s",
    "task_ttl_s",
    "max_log_bytes",
)


class AIAssistantSettings(Document):
    """One of each mode, models that can answer, limits that let something through."""

    def validate(self):
        """Raises ValidationError with the field and what to do."""
        for field in MORE_THAN_NOTHING:
            if not self.get(field) or self.get(field) <= 0:
                frappe.throw(_("{0}: must be more than 0").format(_(self.meta.get_label(field))))
        require_enabled(self.default_model, _("Default Model"))
        self.validate_modes()

    def validate_modes(self):
        """Each mode once, with an enabled model and with parameters that can be sent."""
        seen = set()
        for row in self.modes:
            where = _("Modes, row {0}").format(row.idx)
            if row.mode in seen:
                frappe.throw(_("{0}: {1} is there twice; take one out").format(where, row.mode))
            seen.add(row.mode)
            require_enabled(row.model, where)
            if problem := parameters_problem(row.parameters):
                frappe.throw(f"{where}, {_('Parameters')}: {problem}")


def require_enabled(model, where):
    """Throws for a model that is disabled."""
    if model and not frappe.db.get_value("AI Model", model, "enabled"):
        frappe.throw(_("{0}: {1} is disabled; enable it or choose another model").format(where, model))
