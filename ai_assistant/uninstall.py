"""What `bench uninstall-app` leaves behind and this app takes away: API keys, roles, shares, log settings, Redis keys.

Frappe v15 (`frappe/installer.py`, `remove_app`) drops the DocTypes, their tables, and what belongs to the module. It
leaves the rows of its own tables that name them, among them the encrypted API keys in `__Auth` and what people wrote
into comments. It calls the hooks in a dry run too and does not tell them; all the work is therefore done afterwards,
and only where the DocTypes are gone.
"""

import json
from pathlib import Path

import click
import frappe

from ai_assistant.install import MADE_ROLES, made_roles

APP = "ai_assistant"
MODULE = "AI Assistant"
GLOB = {ord(sign): f"\\{sign}" for sign in "*?[]\\"}
"""What Redis would take for a pattern in a name."""
FOLDER = Path(__file__).parent / "ai_assistant"

# Tables without a DocType: passwords and API keys, search index, list settings, values of single DocTypes.
PLAIN_TABLES = ("__Auth", "__global_search", "__UserSettings", "Singles")

# Rows that say nothing without what they refer to, deleted at once: DocType, the fields that name a DocType.
# From frappe v15.55.1: its fields of type Link to DocType.
ROWS = {
    "Comment": ("reference_doctype",),
    "Custom DocPerm": ("parent",),
    "Deleted Document": ("deleted_doctype",),
    "Discussion Topic": ("reference_doctype",),
    "DocShare": ("share_doctype",),
    "DocType Link": ("link_doctype",),
    "Document Follow": ("ref_doctype",),
    "Document Share Key": ("reference_doctype",),
    "Email Unsubscribe": ("reference_doctype",),
    "Energy Point Log": ("reference_doctype",),
    "Global Search DocType": ("document_type",),
    "List Filter": ("reference_doctype",),
    "Logs To Clear": ("ref_doctype",),
    "Milestone": ("reference_type",),
    "Notification Log": ("document_type",),
    "Notification Subscribed Document": ("document",),
    "Portal Menu Item": ("reference_doctype",),
    "Property Setter": ("doc_type",),
    "Reminder": ("reminder_doctype",),
    "Session Default": ("ref_doctype",),
    "Submission Queue": ("ref_doctype",),
    "Success Action": ("ref_doctype",),
    "Tag Link": ("document_type",),
    "ToDo": ("reference_type",),
    "User Document Type": ("document_type",),
    "User Permission": ("allow", "applicable_for"),
    "User Select Document Type": ("document_type",),
    "Version": ("ref_doctype",),
    "View Log": ("reference_doctype",),
    "Workflow Action": ("reference_doctype",),
    "Workspace Link": ("link_to", "report_ref_doctype"),
    "Workspace Quick List": ("document_type",),
    "Workspace Shortcut": ("link_to",),
}

# Documents with rows or files of their own, deleted one by one: what people set up for the DocTypes.
DOCUMENTS = {
    "Assignment Rule": "document_type",
    "Auto Repeat": "reference_doctype",
    "Calendar View": "reference_doctype",
    "Client Script": "dt",
    "Custom Field": "dt",
    "Dashboard Chart": "document_type",
    "Data Import": "reference_doctype",
    "DocType Layout": "document_type",
    "Document Naming Rule": "document_type",
    "Energy Point Rule": "reference_doctype",
    "File": "attached_to_doctype",
    "Form Tour": "reference_doctype",
    "Kanban Board": "reference_doctype",
    "List View Settings": "name",
    "Milestone Tracker": "document_type",
    "Notification": "document_type",
    "Number Card": "document_type",
    "Onboarding Step": "reference_document",
    "Print Format": "doc_type",
    "Print Format Field Template": "document_type",
    "Report": "ref_doctype",
    "Server Script": "reference_doctype",
    "Web Form": "doc_type",
    "Webhook": "webhook_doctype",
    "Workflow": "document_type",
}


def after_uninstall():
    """Run by `bench uninstall-app`, in a dry run too: there it does nothing."""
    doctypes = names("doctype")
    if frappe.db.exists("DocType", {"name": ("in", doctypes)}):
        return
    remove_documents(doctypes)
    remove_rows(doctypes)
    remove_pages()
    remove_jobs()
    remove_roles(made_roles())
    remove_defaults(doctypes)
    frappe.db.commit()  # nosemgrep: Frappe has committed before this hook, and does not again
    frappe.clear_cache()
    remove_redis_keys()


def names(kind):
    """The names of the module's documents of a kind, `doctype`, `page` or `workspace`, from the app's files."""
    files = (FOLDER / kind).glob("*/*.json")
    return sorted(json.loads(path.read_text("utf-8"))["name"] for path in files if path.stem == path.parent.name)


def remove_documents(doctypes):
    """Deletes what people set up for the DocTypes: scripts, reports, notifications, attached files."""
    # a file looks up what it is attached to, and a webhook's log holds what was sent
    frappe.db.set_value("File", {"attached_to_doctype": ("in", doctypes)}, "attached_to_name", None)
    webhooks = frappe.get_all("Webhook", filters={"webhook_doctype": ("in", doctypes)}, pluck="name")
    frappe.db.delete("Webhook Request Log", {"webhook": ("in", webhooks)})
    for doctype, field in DOCUMENTS.items():
        if frappe.db.table_exists(doctype):
            delete_documents(doctype, {field: ("in", doctypes)})
    # a link to a DocType that is not there breaks the form that it is in
    delete_documents("Custom Field", {"fieldtype": ("in", ("Link", "Table")), "options": ("in", doctypes)})


def delete_documents(doctype, filters):
    """Deletes documents with their rows, for good."""
    for name in frappe.get_all(doctype, filters=filters, pluck="name"):
        frappe.delete_doc(doctype, name, force=True, ignore_on_trash=doctype != "File", delete_permanently=True)


def remove_rows(doctypes):
    """Deletes the rows of Frappe's tables that name the DocTypes or the module."""
    for table in PLAIN_TABLES:
        frappe.db.delete(table, {"doctype": ("in", doctypes)})
    for doctype, fields in ROWS.items():
        for field in fields:
            if frappe.db.table_exists(doctype):
                frappe.db.delete(doctype, {field: ("in", doctypes)})
    frappe.db.delete("Block Module", {"module": MODULE})
    frappe.db.delete("User Type Module", {"module": MODULE})


def remove_pages():
    """Takes what points to the pages and workspaces, which are gone."""
    pages, workspaces = names("page"), names("workspace")
    if pages:
        delete_documents("Custom Role", {"page": ("in", pages)})
        for doctype in ("Workspace Link", "Workspace Shortcut"):
            frappe.db.delete(doctype, {"link_to": ("in", pages)})
    if workspaces:
        users = frappe.get_all("User", filters={"default_workspace": ("in", workspaces)}, pluck="name")
        for user in users:
            frappe.db.set_value("User", user, "default_workspace", None)


def remove_jobs():
    """Deletes the scheduled jobs with their log, which else stay until the next migration, and the patch log."""
    ours = ("like", f"{APP}.%")
    for name in frappe.get_all("Scheduled Job Type", filters={"method": ours}, pluck="name"):
        frappe.db.delete("Scheduled Job Log", {"scheduled_job_type": name})
        frappe.db.delete("Scheduled Job Type", {"name": name})
    for patches in (ours, ("like", f"execute:from {APP}.%")):
        frappe.db.delete("Patch Log", {"patch": patches})


def remove_roles(roles):
    """Deletes roles, from users and permissions too."""
    for role in roles:
        frappe.db.delete("Has Role", {"role": role})
        frappe.db.delete("Custom DocPerm", {"role": role})
        if frappe.db.exists("Role", role):
            frappe.delete_doc("Role", role, force=True, delete_permanently=True)


def remove_defaults(doctypes):
    """Deletes default values for the DocTypes and those of the app."""
    frappe.db.delete("DefaultValue", {"defkey": ("in", [*doctypes, *map(frappe.scrub, doctypes), MADE_ROLES])})


def remove_redis_keys():
    """Deletes the site's tasks and limits, and traces on their way. A worker that runs one of the tasks notices within
    a second and stops it.

    What workers share, the queue of the bench, belongs to no site and stays.
    """
    from redis.exceptions import RedisError

    from ai_assistant.site import bench
    from ai_assistant.site.tracing import trace_client

    try:
        forget_tasks(bench.tasks(), frappe.local.site)
        forget_keys(trace_client(), frappe.local.site)
    except (RedisError, OSError) as error:
        click.secho(f"Redis cannot be reached; the tasks of this site expire there by themselves: {error}", fg="yellow")


def forget_tasks(tasks, site):
    """Takes the tasks of `site` out of what the bench shares, and deletes its keys."""
    from ai_assistant.streams.keys import decode_ref

    client, shared = tasks.client, tasks.keys
    for entry, fields in client.xrange(shared.queue):
        if decode_ref(fields[b"task"]).site == site:
            client.xdel(shared.queue, entry)
    for members in (shared.open, shared.unsaved):
        gone = [member for member in client.zrange(members, 0, -1) if decode_ref(member).site == site]
        if gone:
            client.zrem(members, *gone)
    forget_keys(client, site)


def forget_keys(client, site):
    """Deletes the keys of `site` on one Redis; its traces may have one of their own."""
    from ai_assistant.core.trace_keys import SITES
    from ai_assistant.streams.keys import PREFIX

    client.srem(SITES, site)
    pattern = f"{PREFIX}:{site}:".translate(GLOB) + "*"
    for key in client.scan_iter(pattern, count=1000):
        client.unlink(key)
