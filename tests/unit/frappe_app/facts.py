"""Facts of Frappe v15.55.1 that the rules stand on. Each names the file that it was read from."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType


def _field_facts() -> ModuleType:
    """The lists that the tests of the DocType files have already."""
    path = Path(__file__).parents[1] / "doctypes" / "frappe_rules.py"
    spec = importlib.util.spec_from_file_location("frappe_rules", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_FACTS = _field_facts()
FIELDTYPES: set[str] = _FACTS.FIELDTYPES
NO_VALUE: set[str] = _FACTS.NO_VALUE
RESERVED: set[str] = _FACTS.RESERVED
TABLES: set[str] = _FACTS.TABLES

# model/__init__.py: default_fields; every table has these columns
STANDARD_FIELDS = {"name", "owner", "creation", "modified", "modified_by", "docstatus", "idx"}

# core/doctype: those that this app names
CORE_DOCTYPES = {
    "DocType",
    "Error Log",
    "File",
    "Log Settings",
    "Page",
    "Personal Data Deletion Request",
    "RQ Job",
    "RQ Worker",
    "Role",
    "Scheduled Job Type",
    "User",
}

# permissions.py and core/doctype/role/role.py: roles that every site has
CORE_ROLES = {"Administrator", "System Manager", "Script Manager", "All", "Guest", "Desk User"}

# utils/boilerplate.py (the template of hooks.py) and every `get_hooks("…")` of the sources; the last line is v16's
HOOKS = _words(
    """
    app_name app_title app_publisher app_description app_email app_license app_version app_logo_url app_home
    required_apps add_to_apps_screen app_include_css app_include_js app_include_icons web_include_css
    web_include_js website_theme_scss webform_include_js webform_include_css page_js doctype_js doctype_list_js
    doctype_tree_js doctype_calendar_js home_page role_home_page website_generators website_route_rules
    website_redirects jinja before_install after_install after_sync before_uninstall after_uninstall
    before_app_install after_app_install before_app_uninstall after_app_uninstall before_migrate after_migrate
    before_tests notification_config permission_query_conditions has_permission has_website_permission
    override_doctype_class override_whitelisted_methods override_doctype_dashboards doc_events scheduler_events
    auto_cancel_exempted_doctypes ignore_links_on_delete before_request after_request before_job after_job
    auth_hooks user_data_fields extend_bootinfo boot_session default_log_clearing_doctypes
    export_python_type_annotations fixtures clear_cache standard_queries global_search_doctypes calendars
    treeviews leaderboards get_site_info require_type_annotated_api_methods
    """
)

# core/doctype/scheduled_job_type/scheduled_job_type.json, the options of `frequency`, as hooks.py writes them
SCHEDULER_EVENTS = _words(
    """
    all hourly hourly_long daily daily_long weekly weekly_long monthly monthly_long yearly annual cron
    """
)

# model/document.py: what `run_method` is called with
DOC_EVENTS = _words(
    """
    before_insert after_insert before_naming autoname before_validate validate before_save on_update
    before_submit on_submit before_cancel on_cancel on_trash after_delete on_change before_rename after_rename
    before_update_after_submit on_update_after_submit before_print onload
    """
)

# How Frappe calls the functions of a hook: positional arguments, then names it passes by keyword.
# installer.py, migrate.py, scheduled_job_type.py, model/db_query.py, permissions.py, app.py, model/document.py, boot.py
CALLS: dict[str, tuple[int, tuple[str, ...]]] = {
    "before_install": (0, ()),
    "after_install": (0, ()),
    "before_uninstall": (0, ()),
    "after_uninstall": (0, ()),
    "before_migrate": (0, ()),
    "after_migrate": (0, ()),
    "before_tests": (0, ()),
    "scheduler_events": (0, ()),
    "permission_query_conditions": (1, ("doctype",)),
    "has_permission": (0, ("doc", "ptype", "user")),
    "before_request": (0, ()),
    "after_request": (0, ("response", "request")),
    "doc_events": (2, ()),
    "extend_bootinfo": (0, ("bootinfo",)),
    "auth_hooks": (0, ()),
    "get_site_info": (1, ()),
}

# public/js/frappe/views/workspace/blocks: what a workspace's content may hold, and the key that names its row
WORKSPACE_BLOCKS = {
    "header": None,
    "paragraph": None,
    "spacer": None,
    "card": "card_name",
    "shortcut": "shortcut_name",
    "chart": "chart_name",
    "number_card": "number_card_name",
    "quick_list": "quick_list_name",
    "onboarding": "onboarding_name",
    "custom_block": "custom_block_name",
}
