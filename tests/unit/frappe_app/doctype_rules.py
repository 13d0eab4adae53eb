"""Rules for DocTypes: their files, fields, references, permissions and controllers."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

from . import facts
from .app import App, parse, rule, scrub

CONDITIONS = ("depends_on", "mandatory_depends_on", "read_only_depends_on", "collapsible_depends_on")
FORM_SCRIPTS = ("", "_list", "_tree", "_calendar")
FIELD_METHODS = r"set_query|set_df_property|toggle_display|toggle_enable|toggle_reqd|set_value|get_field"


def fields_of(app: App) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Every field with its DocType."""
    for doctype in app.doctypes.values():
        for field in doctype.get("fields", ()):
            yield doctype, field


@rule
def doctype_lies_where_frappe_looks(app: App) -> Iterator[str]:
    """modules/utils.py get_module_name: <module>/doctype/<scrubbed name>/<scrubbed name>.{json,py}."""
    for folder, doctype in app.doctypes.items():
        if scrub(doctype.get("name", "")) != folder.name:
            yield f"{folder.name}: its JSON is missing, or is named {doctype.get('name')!r}"
        if doctype.get("module") not in app.modules:
            yield f"{folder.name}: the module {doctype.get('module')!r} is not in modules.txt"
        if doctype.get("doctype") != "DocType":
            yield f"{folder.name}: doctype must be DocType"
        if not (folder / "__init__.py").exists():
            yield f"{folder.name}: __init__.py is missing"


@rule
def controller_has_the_class_that_frappe_derives(app: App) -> Iterator[str]:
    """model/base_document.py import_controller: the name without spaces and hyphens, a subclass of BaseDocument."""
    for folder, doctype in app.doctypes.items():
        path = folder / f"{folder.name}.py"
        wanted = doctype.get("name", "").replace(" ", "").replace("-", "")
        if not path.exists():
            yield f"{folder.name}: {path.name} is missing"
            continue
        classes = {node.name: node for node in parse(path).body if isinstance(node, ast.ClassDef)}
        if wanted not in classes:
            yield f"{path.name}: has no class {wanted}"
        elif "Document" not in [getattr(base, "id", "") for base in classes[wanted].bases]:
            yield f"{path.name}: {wanted} is no Document"


@rule
def field_names_are_unique_ordered_and_free(app: App) -> Iterator[str]:
    """core/doctype/doctype/doctype.py: validate_fields; model/base_document.py: names that documents use."""
    for doctype in app.doctypes.values():
        names = [field.get("fieldname") for field in doctype.get("fields", ())]
        if doctype.get("field_order") != names:
            yield f"{doctype.get('name')}: field_order is not the order of the fields"
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield f"{doctype.get('name')}.{name}: is there twice"
    for doctype, field in fields_of(app):
        if field["fieldname"] in facts.RESERVED | facts.STANDARD_FIELDS:
            yield f"{doctype['name']}.{field['fieldname']}: this name is Frappe's own"
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", field["fieldname"]):
            yield f"{doctype['name']}.{field['fieldname']}: must be lower case, at most 64 signs"


@rule
def fieldtypes_are_known(app: App) -> Iterator[str]:
    """core/doctype/docfield/docfield.json."""
    for doctype, field in fields_of(app):
        if field.get("fieldtype") not in facts.FIELDTYPES:
            yield f"{doctype['name']}.{field['fieldname']}: {field.get('fieldtype')!r} is no fieldtype"


@rule
def links_lead_somewhere(app: App) -> Iterator[str]:
    """Link, tables, Dynamic Link, fetch_from."""
    for doctype, field in fields_of(app):
        where, options = f"{doctype['name']}.{field['fieldname']}", field.get("options")
        names = {other["fieldname"] for other in doctype["fields"]}
        if field["fieldtype"] == "Link" and options not in app.by_name.keys() | facts.CORE_DOCTYPES:
            yield f"{where}: links to {options!r}, which is not there"
        if field["fieldtype"] in facts.TABLES and not app.by_name.get(options or "", {}).get("istable"):
            yield f"{where}: {options!r} is no child table"
        if field["fieldtype"] == "Dynamic Link" and options not in names:
            yield f"{where}: {options!r} is no field"
        if (source := (field.get("fetch_from") or "").partition(".")[0]) and source not in names:
            yield f"{where}: fetches from {source!r}, which is no field"
    for doctype in app.doctypes.values():
        for link in doctype.get("links", ()):
            target = app.by_name.get(link["link_doctype"], {})
            if link["link_fieldname"] not in [field["fieldname"] for field in target.get("fields", ())]:
                yield f"{doctype['name']}: its dashboard names {link['link_doctype']}.{link['link_fieldname']}"


@rule
def selects_have_options(app: App) -> Iterator[str]:
    """core/doctype/doctype/doctype.py: check_illegal_default; a default that is no option cannot be saved."""
    for doctype, field in fields_of(app):
        if field["fieldtype"] != "Select":
            continue
        where, options = f"{doctype['name']}.{field['fieldname']}", (field.get("options") or "").split("\n")
        if len(options) < 2 or len(options) != len(set(options)) or any(o != o.strip() for o in options):
            yield f"{where}: the options must be two or more, each once, without spaces around"
        if field.get("default") and field["default"] not in options:
            yield f"{where}: the default {field['default']!r} is no option"


@rule
def conditions_name_fields(app: App) -> Iterator[str]:
    """public/js/frappe/form/layout.js evaluate_depends_on_value: a field's name, or eval: with doc."""
    for doctype, field in fields_of(app):
        names = {other["fieldname"] for other in doctype["fields"]} | facts.STANDARD_FIELDS
        for key in CONDITIONS:
            condition = field.get(key) or ""
            used = re.findall(r"doc\.(\w+)", condition) if condition.startswith("eval:") else [condition]
            for name in used:
                if name and not name.startswith("__") and name not in names:
                    yield f"{doctype['name']}.{field['fieldname']}: {key} names {name!r}, which is no field"


@rule
def doctype_refers_to_its_fields(app: App) -> Iterator[str]:
    """title_field, search_fields, sort_field, image_field, autoname."""
    for doctype in app.doctypes.values():
        names = {f["fieldname"] for f in doctype.get("fields", ()) if f["fieldtype"] not in facts.NO_VALUE}
        used = [doctype.get("title_field", ""), doctype.get("sort_field", ""), doctype.get("image_field", "")]
        used += doctype.get("search_fields", "").split(",")
        if (autoname := doctype.get("autoname", "")).startswith("field:"):
            used.append(autoname.removeprefix("field:"))
        for name in used:
            if name.strip() and name.strip() not in names | facts.STANDARD_FIELDS:
                yield f"{doctype['name']}: names {name.strip()!r}, which is no field"


@rule
def permissions_name_roles(app: App) -> Iterator[str]:
    """A role that nobody makes is made by Frappe on the way, and stays after an uninstallation."""
    for doctype in app.doctypes.values():
        rows = doctype.get("permissions", ())
        if bool(rows) == bool(doctype.get("istable")):
            yield f"{doctype['name']}: child tables have no permissions, all others have some"
        for row in rows:
            if row["role"] not in app.roles | facts.CORE_ROLES:
                yield f"{doctype['name']}: nobody makes the role {row['role']!r}"


@rule
def child_tables_are_used(app: App) -> Iterator[str]:
    """A child table that no table field names cannot be reached."""
    used = {field.get("options") for _, field in fields_of(app) if field["fieldtype"] in facts.TABLES}
    for doctype in app.doctypes.values():
        if doctype.get("istable") and doctype["name"] not in used:
            yield f"{doctype['name']}: no table field uses it"


@rule
def private_doctypes_stay_out_of_global_search(app: App) -> Iterator[str]:
    """utils/global_search.py search(): it asks who may read the DocType, never who may read the document."""
    for doctype, field in fields_of(app):
        if doctype["name"] in app.hooks["permission_query_conditions"] and field.get("in_global_search"):
            yield f"{doctype['name']}.{field['fieldname']}: in_global_search shows it to everybody with the role"


@rule
def form_scripts_are_where_frappe_looks(app: App) -> Iterator[str]:
    """desk/form/meta.py add_code: <name>.js, <name>_list.js, …; each names its own DocType and existing fields."""
    for folder, doctype in app.doctypes.items():
        tables = [f["options"] for f in doctype.get("fields", ()) if f["fieldtype"] in facts.TABLES]
        names = {f["fieldname"] for name in [doctype.get("name"), *tables] for f in app.by_name[name]["fields"]}
        for path in sorted(folder.glob("*.js")):
            if path.stem not in [folder.name + suffix for suffix in FORM_SCRIPTS]:
                yield f"{path.name}: Frappe loads no file of this name"
            text = path.read_text("utf-8")
            for named in re.findall(r"(?:form\.on\(|listview_settings\[)\s*[\"']([^\"']+)", text):
                if named not in (doctype.get("name"), *tables):
                    yield f"{path.name}: is for {named!r}"
            for field in re.findall(rf"frm\.(?:{FIELD_METHODS})\(\s*[\"'](\w+)[\"']", text):
                if field not in names | facts.STANDARD_FIELDS:
                    yield f"{path.name}: names {field!r}, which is no field"
