"""hooks.py and what it names, read without importing Frappe."""

from __future__ import annotations

import ast

import pytest
from frappe_rules import DOCTYPES, PACKAGE, assignments, functions, load_all, parse

HOOKS = assignments(parse(PACKAGE / "hooks.py"))
BY_NAME = {doctype["name"]: doctype for doctype in load_all().values()}
PAIRS = ("permission_query_conditions", "has_permission")


def targets():
    """Every dotted path that hooks.py names."""
    found = [HOOKS["after_install"]]
    for name in PAIRS:
        found += HOOKS[name].values()
    return found


def test_hooks_imports_nothing():
    module = parse(PACKAGE / "hooks.py")
    assert not [node for node in ast.walk(module) if isinstance(node, (ast.Import, ast.ImportFrom))]


def test_what_frappe_asks_of_every_app():
    assert HOOKS["app_name"] == PACKAGE.name
    assert HOOKS["app_title"] == "AI Assistant"
    assert HOOKS["require_type_annotated_api_methods"] is True
    assert (PACKAGE / "modules.txt").read_text() == "AI Assistant\n"
    sections = [line for line in (PACKAGE / "patches.txt").read_text().splitlines() if line.startswith("[")]
    assert sections == ["[pre_model_sync]", "[post_model_sync]"]


@pytest.mark.parametrize("dotted", targets())
def test_hooks_name_functions_that_exist(dotted):
    module, _, function = dotted.rpartition(".")
    path = PACKAGE.parent / (module.replace(".", "/") + ".py")
    assert function in functions(parse(path))


def test_permissions_come_in_pairs_for_what_users_own():
    owned = {name for name, doctype in BY_NAME.items() if any(row.get("if_owner") for row in doctype["permissions"])}
    # a message is its conversation's owner's, and open to those with whom that is shared; traces are nobody's to share
    traces = {"AI Trace", "AI Observation", "AI Trace Tag"}
    assert HOOKS[PAIRS[0]].keys() == HOOKS[PAIRS[1]].keys() == owned | {"AI Message"} | traces


def test_permission_functions_take_what_frappe_passes():
    module = functions(parse(PACKAGE / "permissions.py")) | functions(parse(PACKAGE / "trace_permissions.py"))
    for dotted in HOOKS["permission_query_conditions"].values():
        assert [a.arg for a in module[dotted.rpartition(".")[2]].args.args] == ["user", "doctype"]
    for dotted in HOOKS["has_permission"].values():
        assert [a.arg for a in module[dotted.rpartition(".")[2]].args.args] == ["doc", "ptype", "user"]


def test_query_conditions_escape_the_user():
    for name in ("permissions.py", "trace_permissions.py"):
        source = (PACKAGE / name).read_text()
        assert source.count("{quoted(user)}") == 1
        assert "{user}" not in source
    assert "return frappe.db.escape(text, percent=False)" in (PACKAGE / "permissions.py").read_text()


def test_personal_data_fields_exist():
    for row in HOOKS["user_data_fields"]:
        fields = {field["fieldname"] for field in BY_NAME[row["doctype"]]["fields"]}
        assert set(row["redact_fields"]) <= fields


def test_roles_of_the_permissions_are_those_that_the_installation_makes():
    roles = {row["role"] for doctype in BY_NAME.values() for row in doctype["permissions"]}
    assert roles - {"System Manager"} == set(assignments_of_install()["ROLES"])


def assignments_of_install():
    module = parse(PACKAGE / "install.py")
    return assignments(ast.Module(body=[n for n in module.body if isinstance(n, ast.Assign)], type_ignores=[]))


def test_composite_indexes_are_those_of_the_embedded_host():
    from ai_assistant.host.schema import COMPOSITE_INDEXES

    found = {}
    for folder, doctype in load_all().items():
        update = functions(parse(DOCTYPES / folder / f"{folder}.py")).get("on_doctype_update")
        calls = [node for node in ast.walk(update) if isinstance(node, ast.Call)] if update else []
        for call in calls:
            if isinstance(call.func, ast.Name):  # an index of another kind, by a function of the controller's own
                continue
            target, columns = (ast.literal_eval(argument) for argument in call.args)
            assert target == doctype["name"]
            found.setdefault(target, []).append(tuple(columns))
    assert {name: tuple(rows) for name, rows in found.items()} == COMPOSITE_INDEXES
