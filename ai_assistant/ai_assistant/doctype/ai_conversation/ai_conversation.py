"""AI Conversation: a chat of one user. Its rows are written by the worker; here it is only tended."""

import frappe
from frappe import _
from frappe.model.document import Document
from frappe.utils import add_days, now_datetime

MAX_TITLE = 140
BATCH = 200
"""Old conversations that are looked for at a time."""

LINKED = (
    ("DocShare", "share_doctype", "share_name"),
    ("Comment", "reference_doctype", "reference_name"),
    ("Tag Link", "document_type", "document_name"),
)
"""What the Desk hangs on to a document: DocType, and its fields for the document's DocType and name."""


class AIConversation(Document):
    """A title, a user, and the messages that link to it."""

    no_feed_on_delete = True
    """People clear their chats away; that is no activity for others to read about (v15 `model/delete_doc.py`)."""

    def before_insert(self):
        """One that Administrator makes by hand belongs to its user, and is empty."""
        self.owner = self.user
        self.message_count = 0
        self.last_message_at = now_datetime()

    def validate(self):
        """A title says something; what the worker counts is not for a form, or for the REST API, to set."""
        if not isinstance(self.title or "", str):
            frappe.throw(_("Title: must be a text"))
        # no HTML: Frappe lets an image through, and its report view and print load it for whoever looks
        self.title = (self.title or "").strip().replace("<", "&lt;").replace(">", "&gt;")
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
        delete_messages(self.name)

    def after_delete(self):
        """The copy among the Deleted Documents, which a System Manager reads, does not tell what the chat was about."""
        self.title = _("Deleted")

    def notify_update(self):
        """Tells open forms of this document, as Frappe does (v15 `model/document.py`), and no lists: that event goes to
        everybody with the list open, with the names of the document and of who changed it."""
        message = {"modified": self.modified, "doctype": self.doctype, "name": self.name}
        frappe.publish_realtime("doc_update", message, doctype=self.doctype, docname=self.name, after_commit=True)

    @staticmethod
    def clear_old_logs(days=365):
        """Deletes conversations that nothing was written to for `days` days, with all that belongs to them. Called for
        those who add this DocType to Log Settings; days are counted in the site's time zone, as its rows are."""
        limit = add_days(now_datetime(), -days)
        while names := old_conversations(limit):
            for name in names:
                delete_if_old(name, limit)
                frappe.db.commit()  # nosemgrep: one at a time, so that nobody's chat waits for the whole clearance


def old_conversations(limit):
    """Names of at most `BATCH` conversations whose last message is older than `limit`."""
    return frappe.get_all(
        "AI Conversation", {"last_message_at": ("<", limit)}, pluck="name", limit=BATCH, order_by="last_message_at"
    )


def delete_if_old(name, limit):
    """Removes a conversation without documents' events, as Frappe clears its own logs; first it is locked, as a worker
    locks one that it writes to."""
    last = frappe.db.get_value("AI Conversation", name, "last_message_at", for_update=True)
    if not last or last >= limit:
        return
    delete_messages(name)
    for doctype, kind, document in LINKED:
        for linked in frappe.get_all(doctype, {kind: "AI Conversation", document: name}, pluck="name"):
            frappe.db.delete(doctype, {"name": linked})
    frappe.db.delete("AI Conversation", {"name": name})


def delete_messages(conversation):
    """Removes the messages of a conversation that is locked. By the index on it: a small table MariaDB would rather
    scan as a whole, with locks on everybody's messages, which ends in deadlocks with workers that write some."""
    if frappe.db.db_type != "mariadb":
        frappe.db.delete("AI Message", {"conversation": conversation})
        return
    frappe.db.sql(  # nosemgrep: the query builder knows no index hints for DELETE
        """delete message from `tabAI Message` message force index (conversation_sequence_index)
        where message.conversation = %s""",
        (conversation,),
    )


def on_doctype_update():
    """The list of a user's conversations, newest first, comes from one index; it also keeps two of them from having
    the same time, by which the API pages."""
    frappe.db.add_unique("AI Conversation", ["user", "last_message_at"])
