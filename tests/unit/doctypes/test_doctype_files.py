"""Every DocType file is one that Frappe v15 and v16 take, and fits its folder, its controller and its neighbours."""

from __future__ import annotations

import ast
import re
from datetime import datetime

import pytest
from frappe_rules import (
    DOCTYPE_KEYS,
    DOCTYPES,
    FIELD_KEYS,
    FIELDTYPES,
    FRAPPES_OWN,
    LAYOUT,
    NAMING_RULES,
    NO_VALUE,
    NOT_INDEXED,
    PACKAGE,
    PERMISSIONS,
    RESERVED,
    TABLES,
    load_all,
    parse,
)

from ai_assistant.core.trace import PAYLOADS, PRIVATE
from ai_assistant.host.schema import COMPOSITE_INDEXES

ALL = load_all()
OF_TRACES = ("AI Trace", "AI Observation", "AI Trace Producer", "AI Trace View")
BY_NAME = {doctype["name"]: doctype for doctype in ALL.values()}
FIELDS = [
    pytest.param(folder, field, id=f"{folder}.{field['fieldname']}")
    for folder, doctype in ALL.items()
    for field in doctype["fields"]
]


@pytest.fixture(params=ALL)
def folder(request):
    return request.param


@pytest.fixture
def doctype(folder):
    return ALL[folder]


def test_there_are_the_doctypes_that_the_app_stands_on():
    assert {"AI Model", "AI Assistant Settings", "AI Conversation", "AI Message"} <= BY_NAME.keys()


def test_every_folder_is_a_doctype():
    folders = {path.name for path in DOCTYPES.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == ALL.keys()


def test_name_folder_and_module_agree(folder, doctype):
    assert doctype["name"].lower().replace(" ", "_") == folder
    assert doctype["module"] in (PACKAGE / "modules.txt").read_text().splitlines()
    assert doctype["doctype"] == "DocType"
    assert len(doctype["name"]) <= 61
    assert (DOCTYPES / folder / "__init__.py").exists()


def test_controller_has_the_class_that_frappe_looks_for(folder, doctype):
    module = parse(DOCTYPES / folder / f"{folder}.py")
    classes = [node for node in module.body if isinstance(node, ast.ClassDef)]
    assert [node.name for node in classes] == [doctype["name"].replace(" ", "")]
    assert [base.id for base in classes[0].bases] == ["Document"]


def test_keys_are_known(doctype):
    assert set(doctype) <= DOCTYPE_KEYS
    for row in doctype["permissions"]:
        assert set(row) <= PERMISSIONS


def test_field_order_names_every_field_once(doctype):
    assert doctype["field_order"] == [field["fieldname"] for field in doctype["fields"]]
    assert len(set(doctype["field_order"])) == len(doctype["field_order"])


def test_stamps_are_times(doctype):
    for key in ("creation", "modified"):
        assert datetime.strptime(doctype[key], "%Y-%m-%d %H:%M:%S.%f")
    assert doctype["modified"] >= doctype["creation"]


def test_naming(doctype):
    if doctype.get("istable") or doctype.get("issingle"):
        assert "autoname" not in doctype
        return
    assert doctype["naming_rule"] in NAMING_RULES
    names = {field["fieldname"]: field for field in doctype["fields"]}
    if doctype["naming_rule"] == "By fieldname":
        assert names[doctype["autoname"].removeprefix("field:")]["reqd"] == 1
    else:
        assert doctype["autoname"] == "hash"


def test_fields_that_the_doctype_refers_to_exist(doctype):
    values = {field["fieldname"] for field in doctype["fields"] if field["fieldtype"] not in NO_VALUE}
    for key in ("title_field", "search_fields"):
        for name in doctype.get(key, "").split(",") if doctype.get(key) else ():
            assert name.strip() in values
    assert doctype["sort_field"] in values | {"creation", "modified", "name"}
    assert doctype["sort_order"] in ("ASC", "DESC")


def test_links_of_the_dashboard_exist(doctype):
    for link in doctype["links"]:
        fields = {field["fieldname"]: field for field in BY_NAME[link["link_doctype"]]["fields"]}
        field = fields[link["link_fieldname"]]
        assert (field["fieldtype"], field["options"]) == ("Link", doctype["name"])
        first = [columns[0] for columns in COMPOSITE_INDEXES.get(link["link_doctype"], ())]
        assert field.get("search_index") == 1 or link["link_fieldname"] in first


def test_permissions(doctype):
    if doctype.get("istable"):
        assert doctype["permissions"] == []
        return
    roles = {row["role"]: row for row in doctype["permissions"] if not row.get("permlevel")}
    if doctype["name"] in OF_TRACES:
        assert roles.keys() <= {"System Manager", "AI Manager", "AI User", "AI Trace Reviewer"}
        assert not {"write", "create", "share", "import"} & {right for row in roles.values() for right in row}
        return
    assert {"System Manager", "AI Manager"} <= roles.keys() <= {"System Manager", "AI Manager", "AI User"}
    assert all(row["read"] for row in roles.values())
    if doctype["name"] == "AI Conversation":
        assert [role for role, row in roles.items() if not row.get("if_owner")] == ["AI Manager"]
    if doctype["name"] == "AI Message":
        assert not {"write", "create", "delete", "share"} & {right for row in roles.values() for right in row}
    for role in roles.values():
        if doctype.get("issingle"):
            assert not {"report", "export", "import", "delete"} & role.keys()


@pytest.mark.parametrize("name", ["AI Trace", "AI Observation"])
def test_payloads_of_traces_are_private_and_kept_from_views_of_html(name):
    fields = {field["fieldname"]: field for field in BY_NAME[name]["fields"]}
    private = {name for name, field in fields.items() if field.get("permlevel")}
    assert private == set(PRIVATE) & fields.keys() >= set(PAYLOADS)
    for field in private:
        assert fields[field]["fieldtype"] == "Long Text"
        assert all(fields[field].get(key) == 1 for key in ("permlevel", "hidden", "print_hide", "report_hide"))
    levels = {row["role"]: row for row in BY_NAME[name]["permissions"] if row.get("permlevel") == 1}
    assert levels.keys() == {row["role"] for row in BY_NAME[name]["permissions"]}
    assert all(row["read"] == 1 and not row.get("write") for row in levels.values())


@pytest.mark.parametrize(("folder", "field"), FIELDS)
def test_field(folder, field):
    kind = field["fieldtype"]
    assert kind in FIELDTYPES
    assert set(field) <= FIELD_KEYS
    assert re.fullmatch(r"[a-z][a-z0-9_]{0,63}", field["fieldname"])
    assert field["fieldname"] not in RESERVED
    assert field.get("label") or kind in LAYOUT
    if kind in NO_VALUE and kind not in TABLES:
        assert not any(
            field.get(key) for key in ("reqd", "unique", "search_index", "in_list_view", "in_standard_filter")
        )
    if kind in NOT_INDEXED:
        assert not field.get("search_index")
    if kind in TABLES:
        assert not field.get("in_list_view")
        assert not field.get("in_global_search")
    if field.get("unique"):
        assert kind in ("Data", "Link", "Read Only", "Int")
    assert not (field.get("hidden") and field.get("reqd") and not field.get("default"))


@pytest.mark.parametrize(("folder", "field"), FIELDS)
def test_options_and_default_of_a_field(folder, field):
    kind, options, default = field["fieldtype"], field.get("options"), field.get("default")
    if kind == "Link":
        assert options in BY_NAME.keys() | FRAPPES_OWN
        assert not BY_NAME.get(options, {}).get("istable")
    if kind in TABLES:
        assert BY_NAME[options]["istable"] == 1
    if kind == "Select":
        choices = options.split("\n")
        assert len(choices) == len(set(choices)) > 1
        assert all(choice == choice.strip() for choice in choices)
        assert default is None or default in choices
    if kind == "Check":
        assert default in ("0", "1")
    if kind in ("Int", "Float") and default is not None:
        assert float(default) >= 0
    if kind == "Data":
        assert options in (None, "Email", "Name", "Phone", "URL", "Barcode")
        assert 0 < field.get("length", 140) <= 1000
    if "precision" in field:
        assert kind in ("Float", "Currency", "Percent")
        assert 1 <= int(field["precision"]) <= 6


@pytest.mark.parametrize(("folder", "field"), FIELDS)
def test_conditions_of_a_field_name_fields_and_only_compare(folder, field):
    names = set(ALL[folder]["field_order"])
    for key in ("depends_on", "collapsible_depends_on", "mandatory_depends_on", "read_only_depends_on"):
        condition = field.get(key)
        if not condition:
            continue
        if not condition.startswith("eval:"):
            assert condition in names
            continue
        assert set(re.findall(r"doc\.(\w+)", condition)) <= names
        assert not re.search(r"[^=!<>]=[^=]", condition)


@pytest.mark.parametrize("name", [name for name, doctype in BY_NAME.items() if not doctype.get("istable")])
def test_a_form_begins_a_section_with_a_section_and_splits_it_with_columns(name):
    fields = BY_NAME[name]["fields"]
    for here, after in zip(fields, [*fields[1:], {"fieldtype": "Section Break"}], strict=True):
        if here["fieldtype"] in LAYOUT:
            assert after["fieldtype"] not in ("Section Break", "Column Break"), f"{here['fieldname']} is empty"


def test_lists_have_columns():
    for doctype in BY_NAME.values():
        if not doctype.get("issingle"):
            assert 1 <= sum(1 for field in doctype["fields"] if field.get("in_list_view")) <= 6


def test_every_child_table_is_used():
    used = {f["options"] for doctype in BY_NAME.values() for f in doctype["fields"] if f["fieldtype"] in TABLES}
    assert used == {name for name, doctype in BY_NAME.items() if doctype.get("istable")}
