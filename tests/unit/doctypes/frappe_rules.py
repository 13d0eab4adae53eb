"""What Frappe v15 accepts in a DocType file, for checks that run without Frappe.

From frappe v15.55.1: model/__init__.py, model/base_document.py, core/doctype/docfield/docfield.json,
core/doctype/doctype/doctype.{json,py}, core/doctype/docperm/docperm.json.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parents[3] / "ai_assistant"
DOCTYPES = PACKAGE / "ai_assistant" / "doctype"


def _words(text: str, separator: str | None = None) -> set[str]:
    return {word.strip() for word in text.split(separator)}


# in both v15's and v16's list of the fieldtype field
FIELDTYPES = _words(
    """
    Autocomplete|Attach|Attach Image|Barcode|Button|Check|Code|Color|Column Break|Currency|Data|Date|Datetime|
    Duration|Dynamic Link|Float|Fold|Geolocation|Heading|HTML|HTML Editor|Icon|Image|Int|JSON|Link|Long Text|
    Markdown Editor|Password|Percent|Phone|Read Only|Rating|Section Break|Select|Signature|Small Text|Tab Break|
    Table|Table MultiSelect|Text|Text Editor|Time
    """,
    "|",
)
LAYOUT = {"Section Break", "Column Break", "Tab Break", "Fold", "Heading"}
NO_VALUE = LAYOUT | {"HTML", "Table", "Table MultiSelect", "Button", "Image"}
TABLES = {"Table", "Table MultiSelect"}
NOT_INDEXED = {"Text", "Long Text", "Small Text", "Code", "Text Editor", "JSON", "Password"}

FIELD_KEYS = _words(
    """
    label fieldtype fieldname reqd precision length search_index in_list_view in_standard_filter in_global_search
    in_preview allow_in_quick_entry bold translatable collapsible collapsible_depends_on options default fetch_from
    fetch_if_empty depends_on hidden read_only unique set_only_once allow_bulk_edit permlevel
    ignore_user_permissions allow_on_submit report_hide remember_last_selected_value ignore_xss_filter no_copy
    print_hide print_hide_if_no_value print_width width columns description mandatory_depends_on
    read_only_depends_on hide_border non_negative max_height link_filters placeholder
    """
)
DOCTYPE_KEYS = _words(
    """
    actions allow_import allow_rename autoname creation doctype document_type editable_grid engine field_order
    fields in_create index_web_pages_for_search issingle istable links modified modified_by module name naming_rule
    owner permissions search_fields show_title_field_in_link sort_field sort_order states title_field track_changes
    """
)
PERMISSIONS = _words(
    """
    role permlevel if_owner select read write create delete submit cancel amend report export import share print
    email
    """
)
NAMING_RULES = {
    "Set by user",
    "Autoincrement",
    "By fieldname",
    'By "Naming Series" field',
    "Expression",
    "Expression (old style)",
    "Random",
    "By script",
}

# columns that every table has, and names that Document and BaseDocument use themselves
RESERVED = _words(
    """
    doctype name owner creation modified modified_by docstatus idx parent parentfield parenttype _user_tags
    _comments _assign _liked_by _seen file_list flags meta parent_doc permitted_fieldnames dont_update_if_missing
    add_comment add_seen add_tag add_viewed append as_dict as_json cancel cast clear_cache copy db_get db_insert
    db_set db_update delete delete_key extend get get_title get_url get_value getone has_permission insert is_new
    load_from_db lock log_error notify_update precision queue_action reload remove remove_tag rename run_method save
    save_version set set_new_name set_onload submit unlock update update_if_missing update_modified validate_value
    """
)
# DocTypes of Frappe itself that ours may link to
FRAPPES_OWN = {"User", "Role", "DocType"}


def read(folder: Path) -> dict[str, Any]:
    return json.loads((folder / f"{folder.name}.json").read_text("utf-8"))


def load_all() -> dict[str, dict[str, Any]]:
    """Every DocType of the app by its folder's name."""
    return {path.name: read(path) for path in sorted(DOCTYPES.iterdir()) if (path / f"{path.name}.json").exists()}


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def functions(module: ast.Module) -> dict[str, ast.FunctionDef]:
    return {node.name: node for node in module.body if isinstance(node, ast.FunctionDef)}


def assignments(module: ast.Module) -> dict[str, Any]:
    """Module-level names with literal values."""
    return {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in module.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
