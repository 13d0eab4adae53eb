"""What an installation on a site needs besides the DocTypes: roles, and settings that can be edited at once."""

import json

import frappe

from ai_assistant.core.settings import Settings

ROLES = ("AI User", "AI Manager", "AI Trace Reviewer")
SETTINGS = "AI Assistant Settings"
MADE_ROLES = "ai_assistant_made_roles"
"""The site-wide default that says which of the roles this app made: `uninstall.py` takes away no others."""


def before_install():
    """Makes the roles before the DocTypes come: Frappe would make them on the way, and nobody could tell which of them
    the site had already."""
    make_roles()


def after_install():
    """Run by `bench install-app`; a second run changes nothing."""
    fill_settings()


def make_roles():
    """AI User chats, and reads their own conversations and traces; AI Manager configures, and reads everybody's
    conversations; AI Trace Reviewer reads everybody's traces."""
    made = made_roles()
    for role in ROLES:
        if not frappe.db.exists("Role", role):
            frappe.get_doc({"doctype": "Role", "role_name": role, "desk_access": 1}).insert(ignore_permissions=True)
            made.append(role)
    if made != made_roles():
        frappe.db.set_global(MADE_ROLES, json.dumps(made))


def made_roles():
    """The roles that this app made on this site."""
    return json.loads(frappe.db.get_global(MADE_ROLES) or "[]")


def trace_by_default():
    """Gives settings that were stored before there were traces the defaults of the new checks, as a patch. Frappe reads
    a check that a single DocType has not stored as off, and the next save of the form would make it so."""
    stored = frappe.db.get_singles_dict(SETTINGS)
    if not stored:  # none was ever saved: then all the defaults hold
        return
    for name in ("trace_chats", "trace_content"):
        if name not in stored:
            frappe.db.set_single_value(SETTINGS, name, 1)


def fill_settings():
    """Writes the built-in system prompts into the settings, where an admin finds and changes them."""
    settings = frappe.get_single(SETTINGS)
    if settings.modes:
        return
    for name, mode in Settings().modes.items():
        settings.append("modes", {"mode": name, "system_prompt": mode.system_prompt})
    settings.save(ignore_permissions=True)
