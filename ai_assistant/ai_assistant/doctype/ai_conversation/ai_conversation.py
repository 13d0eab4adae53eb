"""AI Conversation: a chat of one user. Its rows are written by the worker; here it is only tended."""

import frappe
from frappe import _
from frappe.model.document import Document
from frappe.utils import add_days, now_datetime

MAX_TITLE = 140
BATCH = 200
"""Conversations that are deleted in one transaction: their users wait for it."""

LINKED = (
    ("DocShare", "share_doctype", "share_name"),
    ("Comment", "reference_doctype", "reference_name"),
    ("Tag Link", "document_type", "document_name"),
)
"""What the Desk hangs on to a document: DocType, and its fields for the document's DocType and name."""


class AIConversation(Document):
    """A title, a user, and the messages that link to it."""

    def before_insert(self):
        """One that Administrator makes by hand belongs to its user, and is empty."""
        self.owner = self.user
        self.message_count = 0
        self.last_message_at = now_datetime()

    def validate(self):
        """A title says something; what the worker counts is not for a form, or for the REST API, to set."""
        self.title = (self.title or "").strip()
        if not self.title:
            frappe.throw(_("Title: is empty; give the conversation a title"))
        # < and > are stored as entities, of four characters each
        length = len(self.title.replace("&lt;", "<").replace("&gt;", ">"))
        if length > MAX_TITLE:
            frappe.throw(_("Title: has {0} characters; at most {1} are allowed").format(length, MAX_TITLE))
        if before := self.get_doc_before_save():
            self.message_count, self.last_message_at = before.message_count, before.last_message_at

    def on_trash(self):
        """The messages go with it: none is left without a conversation."""
        frappe.db.delete("AI Message", {"conversation": self.name})

    @staticmethod
    def clear_old_logs(days=365):
        """Deletes conversations that nothing was written to for `days` days, with all that belongs to them. Called for
        those who add this DocType to Log Settings; days are counted in the site's time zone, as its rows are."""
        limit = add_days(now_datetime(), -days)
        while names := old_conversations(limit):
            delete_all(names)
            frappe.db.commit()  # nosemgrep: a batch at a time, so that chats do not wait for the whole clearance


def old_conversations(limit):
    """Names of at most `BATCH` conversations whose last message is older than `limit`, locked as a worker locks one
    that it writes to: first of all."""
    table = frappe.qb.DocType("AI Conversation")
    query = frappe.qb.from_(table).select(table.name).where(table.last_message_at < limit)
    found = query.limit(BATCH).run(pluck=True)
    if not found:
        return []
    still = frappe.qb.from_(table).select(table.name).where(table.name.isin(found) & (table.last_message_at < limit))
    return still.for_update().run(pluck=True)


def delete_all(names):
    """Removes conversations without documents' events, as Frappe clears its own logs."""
    frappe.db.delete("AI Message", {"conversation": ("in", names)})
    for doctype, kind, name in LINKED:
        frappe.db.delete(doctype, {kind: "AI Conversation", name: ("in", names)})
    frappe.db.delete("AI Conversation", {"name": ("in", names)})


def on_doctype_update():
    """The list of a user's conversations, newest first, comes from one index; it also keeps two of them from having
    the same time, by which the API pages."""
    frappe.db.add_unique("AI Conversation", ["user", "last_message_at"])
