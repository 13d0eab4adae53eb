"""AI Conversation: a chat of one user. Its rows are written by the worker; here it is only tended."""

import frappe
from frappe import _
from frappe.model.document import Document
from frappe.query_builder import Interval
from frappe.query_builder.functions import Now


class AIConversation(Document):
    """A title, a user, and the messages that link to it."""

    def validate(self):
        """A title says something."""
        self.title = (self.title or "").strip()
        if not self.title:
            frappe.throw(_("Title: is empty; give the conversation a title"))

    def on_trash(self):
        """The messages go with it: none is left without a conversation."""
        frappe.db.delete("AI Message", {"conversation": self.name})

    @staticmethod
    def clear_old_logs(days=365):
        """Deletes conversations that nothing was written to for `days` days. Called for those who add this DocType
        to Log Settings."""
        conversation = frappe.qb.DocType("AI Conversation")
        message = frappe.qb.DocType("AI Message")
        is_old = conversation.last_message_at < (Now() - Interval(days=days))
        old = frappe.qb.from_(conversation).select(conversation.name).where(is_old)
        frappe.qb.from_(message).delete().where(message.conversation.isin(old)).run()
        frappe.qb.from_(conversation).delete().where(is_old).run()


def on_doctype_update():
    """The list of a user's conversations, newest first, comes from one index."""
    frappe.db.add_index("AI Conversation", ["user", "last_message_at"])
