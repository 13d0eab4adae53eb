"""What an installation on a site needs besides the DocTypes: roles, and settings that can be edited at once."""

import frappe

from ai_assistant.core.settings import Settings

ROLES = ("AI User", "AI Manager")


def after_install():
    """Run by `bench install-app`; a second run changes nothing."""
    make_roles()
    fill_settings()


def make_roles():
    """AI User reads the models and their own conversations; AI Manager configures, and reads everybody's."""
    for role in ROLES:
        if not frappe.db.exists("Role", role):
            frappe.get_doc({"doctype": "Role", "role_name": role, "desk_access": 1}).insert(ignore_permissions=True)


def fill_settings():
    """Writes the built-in system prompts into the settings, where an admin finds and changes them."""
    settings = frappe.get_single("AI Assistant Settings")
    if settings.modes:
        return
    for name, mode in Settings().modes.items():
        settings.append("modes", {"mode": name, "system_prompt": mode.system_prompt})
    settings.save(ignore_permissions=True)
