"""AI Trace: what one run of a program did, as its events told. Its rows are written by the consumer of traces."""

import frappe
from frappe import _
from frappe.model.document import Document
from frappe.utils import add_days, now_datetime

from ai_assistant.trace_looks import note_look

BATCH = 50
"""Old traces that are deleted in one transaction."""
KEPT_OF_DELETED = ("status", "user", "started_at", "ended_at", "duration_ms", "observation_count", "error_count")


class AITrace(Document):
    """Read only for people; `core/trace.py` says what each field holds.

    Prompts, responses and reasoning are Long Text at permission level 1. The Desk's report view and its print take
    such a field for HTML (v15 `formatters.js`, `standard_macros.html`), and these are written by users and models: so
    they are kept out of both (`report_hide`: v15 `report_view.js` makes no column of such a field; `print_hide`) and
    hidden in the form, where its script shows them as text. Names and errors, which lists do show, are stored with `<`
    and `>` as entities.
    """

    no_feed_on_delete = True
    """That a trace was deleted is no activity for others to read about (v15 `model/delete_doc.py`)."""

    def apply_fieldlevel_read_permissions(self):
        """Called where the document is about to be given to somebody, by the form and over REST (v15
        `desk/form/load.py`, `api/v1.py`, `client.py`): a look, that is recorded where it is somebody else's."""
        super().apply_fieldlevel_read_permissions()
        note_look(self.name)

    def on_trash(self):
        """Everything of the trace goes with it."""
        from ai_assistant.site.traces import SiteTraces

        SiteTraces().delete_parts([self.name])

    def after_delete(self):
        """The copy among the Deleted Documents, which a System Manager reads, does not tell what the trace held."""
        for field in self.meta.get_fieldnames_with_value():
            if field not in KEPT_OF_DELETED:
                self.set(field, None)
        self.set("tags", [])
        self.title = _("Deleted")

    @staticmethod
    def clear_old_logs(days=90):
        """Deletes traces that began more than `days` days ago, with everything of them. Called through Log Settings;
        days are counted in the site's time zone, as its rows are."""
        from ai_assistant.site.clock import to_utc
        from ai_assistant.site.traces import SiteTraces, microseconds

        before = microseconds(to_utc(add_days(now_datetime(), -days)))
        while names := SiteTraces().expired(before=before, max_bytes=None, limit=BATCH):
            SiteTraces().delete(names)
            frappe.db.commit()  # nosemgrep: a few at a time, so that no consumer waits for the whole clearance


def on_doctype_update():
    """Lists come from one index each; names and errors are searched by their words."""
    frappe.db.add_index("AI Trace", ["user", "started_at"])
    frappe.db.add_index("AI Trace", ["model", "started_at"])
    frappe.db.add_index("AI Trace", ["status", "started_at"])
    frappe.db.add_index("AI Trace", ["reference_doctype", "reference_name", "started_at"])
    add_rare_indexes()
    add_search_index()


def add_rare_indexes():
    """For filters that find little, where the embedded host's SQLite goes through one wide index (`host/schema.py`),
    which InnoDB could not hold."""
    for field in ("is_complete", "environment", "service", "source"):
        frappe.db.add_index("AI Trace", [field, "started_at"])


def add_search_index():
    """The full-text index, which Frappe's layer knows for its global search only."""
    if frappe.db.db_type == "mariadb" and not frappe.db.has_index("tabAI Trace", "search_text_words"):
        # a statement that changes a table commits what is open
        frappe.db.commit()  # nosemgrep: as Frappe's add_index does
        frappe.db.sql_ddl("alter table `tabAI Trace` add fulltext index `search_text_words` (`search_text`)")
