# ruff: noqa: E501  # a mistake is a line of the table
"""Each rule finds the mistake it is for: a copy of the app gets it, and the rule must name it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from . import desk_rules as desk
from . import doctype_rules as doctypes
from . import endpoint_rules as endpoints
from . import hook_rules as hooks
from . import packaging_rules as packaging
from . import source_rules as sources
from .app import NAME, REPOSITORY, RULES, App

MODULE = f"{NAME}/{NAME}"
CONVERSATION = f"{MODULE}/doctype/ai_conversation/ai_conversation"
MODEL = f"{MODULE}/doctype/ai_model/ai_model"
SITE_FILE = f"{NAME}/site/mistake.py"
WORKSPACE = f"{MODULE}/workspace/ai_assistant/ai_assistant.json"

Mutation = Callable[[Path], Any]


def text(path: str, old: str, new: str) -> Mutation:
    """Another text in a file."""

    def mutate(root: Path) -> None:
        content = (root / path).read_text("utf-8")
        assert old in content, f"{path} has not {old!r}"
        (root / path).write_text(content.replace(old, new, 1), "utf-8")

    return mutate


def data(path: str, change: Callable[[dict[str, Any]], Any]) -> Mutation:
    """A change of a JSON file."""

    def mutate(root: Path) -> None:
        content = json.loads((root / path).read_text("utf-8"))
        change(content)
        (root / path).write_text(json.dumps(content), "utf-8")

    return mutate


def field(name: str, **values: Any) -> Mutation:
    """A field of AI Conversation with other properties."""
    return data(
        f"{CONVERSATION}.json", lambda doc: next(f for f in doc["fields"] if f["fieldname"] == name).update(values)
    )


def added(path: str, content: str) -> Mutation:
    """One more file."""

    def mutate(root: Path) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content, "utf-8")

    return mutate


def hook(line: str) -> Mutation:
    """One more line in hooks.py."""
    return lambda root: (root / NAME / "hooks.py").open("a").write(f"\n{line}\n")


def removed(path: str) -> Mutation:
    """A file less."""
    return lambda root: (root / path).unlink()


def in_site(code: str) -> Mutation:
    """A file of the adapter with this code."""
    return added(SITE_FILE, f"import frappe\nfrom frappe import _\n{code}\n")


def endpoint(line: str, decorator: str = '@endpoint(methods=("POST",))') -> Mutation:
    """One more endpoint."""
    return lambda root: (root / NAME / "api/__init__.py").open("a").write(f"\n{decorator}\n{line}\n    ...\n")


def card(block: dict[str, Any]) -> Mutation:
    """One more block in the workspace."""
    return data(WORKSPACE, lambda doc: doc.update(content=json.dumps([*json.loads(doc["content"]), block])))


PAGE = (
    '{"doctype": "Page", "name": "x-y", "page_name": "x-y", "module": "AI Assistant", "standard": "Yes", "roles": []}'
)
CARD = '{"doctype": "Number Card", "name": "X", "module": "AI Assistant", "document_type": "Nothing"}'

# fmt: off
MISTAKES: list[tuple[Any, Mutation, str]] = [
    (doctypes.doctype_lies_where_frappe_looks, data(f"{MODEL}.json", lambda d: d.update(name="AI Modell")), "ai_model"),
    (doctypes.doctype_lies_where_frappe_looks, data(f"{MODEL}.json", lambda d: d.update(module="X")), "modules.txt"),
    (doctypes.doctype_lies_where_frappe_looks, removed(f"{MODULE}/doctype/ai_model/__init__.py"), "__init__"),
    (doctypes.controller_has_the_class_that_frappe_derives, text(f"{MODEL}.py", "class AIModel(", "class AiModel("), "no class AIModel"),
    (doctypes.controller_has_the_class_that_frappe_derives, text(f"{MODEL}.py", "AIModel(Document)", "AIModel(dict)"), "no Document"),
    (doctypes.controller_has_the_class_that_frappe_derives, removed(f"{MODEL}.py"), "missing"),
    (doctypes.field_names_are_unique_ordered_and_free, data(f"{MODEL}.json", lambda d: d["field_order"].reverse()), "field_order"),
    (doctypes.field_names_are_unique_ordered_and_free, data(f"{MODEL}.json", lambda d: d["fields"].append(d["fields"][0])), "twice"),
    (doctypes.field_names_are_unique_ordered_and_free, field("title", fieldname="name"), "Frappe's own"),
    (doctypes.field_names_are_unique_ordered_and_free, field("title", fieldname="Title"), "lower case"),
    (doctypes.fieldtypes_are_known, field("title", fieldtype="Text Line"), "no fieldtype"),
    (doctypes.links_lead_somewhere, field("user", options="Users"), "Users"),
    (doctypes.links_lead_somewhere, field("title", fieldtype="Table", options="User"), "child table"),
    (doctypes.links_lead_somewhere, field("title", fieldtype="Dynamic Link", options="nothing"), "no field"),
    (doctypes.links_lead_somewhere, field("title", fetch_from="usr.full_name"), "usr"),
    (doctypes.links_lead_somewhere, data(f"{CONVERSATION}.json", lambda d: d["links"][0].update(link_fieldname="x")), "dashboard"),
    (doctypes.selects_have_options, field("title", fieldtype="Select", options="a"), "two or more"),
    (doctypes.selects_have_options, field("title", fieldtype="Select", options="a\nb", default="c"), "no option"),
    (doctypes.conditions_name_fields, field("title", depends_on="eval:doc.colour == 1"), "colour"),
    (doctypes.conditions_name_fields, field("title", mandatory_depends_on="colour"), "colour"),
    (doctypes.doctype_refers_to_its_fields, data(f"{CONVERSATION}.json", lambda d: d.update(title_field="x")), "'x'"),
    (doctypes.doctype_refers_to_its_fields, data(f"{CONVERSATION}.json", lambda d: d.update(search_fields="title,y")), "'y'"),
    (doctypes.doctype_refers_to_its_fields, data(f"{CONVERSATION}.json", lambda d: d.update(sort_field="z")), "'z'"),
    (doctypes.permissions_name_roles, data(f"{MODEL}.json", lambda d: d["permissions"][0].update(role="AI Boss")), "AI Boss"),
    (doctypes.permissions_name_roles, data(f"{MODEL}.json", lambda d: d.update(permissions=[])), "have some"),
    (doctypes.child_tables_are_used, data(f"{MODEL}.json", lambda d: d.update(istable=1)), "no table field"),
    (doctypes.private_doctypes_stay_out_of_global_search, field("user", in_global_search=1), "user"),
    (doctypes.form_scripts_are_where_frappe_looks, added(f"{MODULE}/doctype/ai_model/form.js", ""), "no file of this name"),
    (doctypes.form_scripts_are_where_frappe_looks, added(f"{MODEL}.js", 'frappe.ui.form.on("AI Modell", {})'), "AI Modell"),
    (doctypes.form_scripts_are_where_frappe_looks, added(f"{MODEL}.js", 'frm.set_query("colour", f)'), "colour"),
    (desk.desk_documents_lie_where_frappe_looks, added(f"{MODULE}/page/x_z/x_z.json", PAGE), "x_z"),
    (desk.desk_documents_lie_where_frappe_looks, added(f"{MODULE}/page/x_y/x_y.json", PAGE.replace("AI Assistant", "B")), "modules.txt"),
    (desk.desk_documents_lie_where_frappe_looks, added(f"{MODULE}/page/x_y/x_y.json", PAGE.replace("[]", '[{"role": "R"}]')), "'R'"),
    (desk.pages_have_their_script, added(f"{MODULE}/page/x_y/x_y.json", PAGE), "does not define"),
    (desk.pages_have_their_script, added(f"{MODULE}/page/x_y/x_y.json", PAGE), "without roles"),
    (desk.workspace_links_lead_somewhere, data(WORKSPACE, lambda d: d["links"].append({"type": "Link", "link_type": "DocType", "label": "L", "link_to": "Nothing"})), "Nothing"),
    (desk.workspace_links_lead_somewhere, data(WORKSPACE, lambda d: d["shortcuts"].append({"type": "Page", "label": "L", "link_to": "nowhere"})), "nowhere"),
    (desk.workspace_links_lead_somewhere, data(WORKSPACE, lambda d: d.setdefault("number_cards", []).append({"number_card_name": "C"})), "'C'"),
    (desk.workspace_content_names_its_rows, card({"type": "shortcut", "data": {"shortcut_name": "S"}}), "without a row"),
    (desk.workspace_content_names_its_rows, card({"type": "marquee", "data": {}}), "no block"),
    (desk.workspace_content_names_its_rows, data(WORKSPACE, lambda d: d.update(content="[")), "no JSON"),
    (desk.cards_and_charts_count_what_is_there, added(f"{MODULE}/number_card/x/x.json", CARD), "Nothing"),
    (hooks.hooks_are_known_and_import_nothing, hook("scheduler_event = {}"), "scheduler_event"),
    (hooks.hooks_are_known_and_import_nothing, hook("import frappe"), "imports"),
    (hooks.targets_of_hooks_are_there, text(f"{NAME}/install.py", "def after_install(", "def afterinstall("), "after_install"),
    (hooks.targets_of_hooks_are_there, text(f"{NAME}/install.py", "def after_install()", "def after_install(site)"), "does not take"),
    (hooks.targets_of_hooks_are_there, text(f"{NAME}/permissions.py", "conversation_query(user=None", "conversation_query(*, user=None"), "does not take"),
    (hooks.events_are_known, hook('scheduler_events = {"minutely": []}'), "minutely"),
    (hooks.events_are_known, hook('scheduler_events = {"cron": {"* * * *": []}}'), "cron"),
    (hooks.events_are_known, hook('doc_events = {"AI Chat": {}}'), "AI Chat"),
    (hooks.events_are_known, hook('doc_events = {"AI Model": {"on_save": "x"}}'), "on_save"),
    (hooks.scheduled_jobs_have_names_of_their_own, hook(f'scheduler_events = {{"all": ["{NAME}.install.make_roles"]}}'), "make_roles"),
    (hooks.scheduled_jobs_have_names_of_their_own, hook(f'scheduler_events = {{"all": ["{NAME}.a.ai_b", "{NAME}.x.a.ai_b"]}}'), "twice"),
    (hooks.permissions_come_in_pairs, hook(f'has_permission = {{"AI Model": "{NAME}.x.y"}}'), "only one"),
    (hooks.permissions_come_in_pairs, hook("permission_query_conditions = has_permission = {}"), "its owner's"),
    (hooks.permissions_come_in_pairs, hook('permission_query_conditions = has_permission = {"AI Chat": "x"}'), "no DocType"),
    (hooks.personal_data_is_there, hook('user_data_fields = [{"doctype": "AI Message", "redact_fields": ["text"]}]'), "text"),
    (hooks.logs_can_be_cleared, text(f"{CONVERSATION}.py", "    @staticmethod\n", ""), "not static"),
    (hooks.logs_can_be_cleared, text(f"{CONVERSATION}.py", "clear_old_logs(days=", "clear_old_logs(age="), "days"),
    (hooks.logs_can_be_cleared, hook('default_log_clearing_doctypes = {"AI Model": 30}'), "no clear_old_logs"),
    (hooks.bundles_are_there, hook('app_include_js = "nothing.bundle.js"'), "nothing.bundle.js"),
    (endpoints.arguments_of_endpoints_are_annotated, endpoint("def make(x, y: str):"), "x has no annotation"),
    (endpoints.arguments_of_endpoints_are_annotated, endpoint("def make(x: dict | None = None):"), "add str"),
    (endpoints.arguments_of_endpoints_are_annotated, endpoint("def make(x: list[str]):"), "add str"),
    (endpoints.arguments_of_endpoints_are_annotated, text(f"{NAME}/api/__init__.py", "from typing import Any", "from __future__ import annotations\nfrom typing import Any"), "__future__"),
    (endpoints.writers_are_post_only, endpoint("def make():", '@endpoint(methods=("GET", "POST"))'), "make"),
    (endpoints.writers_are_post_only, endpoint("def make():", "@frappe.whitelist()"), "no methods"),
    (endpoints.guests_are_allowed_nothing, endpoint("def get_x():", '@endpoint(methods=("GET",), allow_guest=True)'), "guests"),
    (endpoints.commands_are_exported, added(f"{NAME}/commands.py", "command = []"), "no list"),
    (endpoints.what_everybody_loads_is_light, hook("import redis"), "loads redis"),
    (endpoints.what_everybody_loads_is_light, added(f"{NAME}/commands.py", "import httpx\nimport frappe.commands"), "loads httpx"),
    (sources.realtime_names_its_room, in_site('def f():\n    frappe.publish_realtime("x", {})'), "nobody"),
    (sources.realtime_names_its_room, in_site('def f():\n    frappe.publish_realtime("x", {}, user="a", task_id="b")'), "nobody"),
    (sources.nothing_of_a_site_is_read_at_import, in_site('X = frappe.db.get_value("User", "a", "b")'), "frappe.db"),
    (sources.nothing_of_a_site_is_read_at_import, in_site("def f(x=frappe.conf.y): ..."), "frappe.conf"),
    (sources.nothing_of_a_site_is_read_at_import, in_site("class A:\n    x = frappe.local.site"), "frappe.local"),
    (sources.cache_keys_carry_the_site, in_site('def f():\n    frappe.cache.set("x", 1)'), "no site"),
    (sources.cache_keys_carry_the_site, in_site('def f():\n    frappe.cache().get("x")'), "no site"),
    (sources.nothing_is_evaluated_or_printed, in_site("def f(x):\n    print(x)"), "print"),
    (sources.nothing_is_evaluated_or_printed, in_site("def f(x):\n    return eval(x)"), "eval"),
    (sources.commits_are_explained, in_site("def f():\n    frappe.db.commit()"), "without its reason"),
    (sources.sql_is_not_put_together, in_site('def f(x):\n    frappe.db.sql(f"select {x}")'), "put together"),
    (sources.the_embedded_host_is_left_alone, in_site("from ai_assistant.host.app import make"), "ai_assistant.host"),
    (sources.the_embedded_host_is_left_alone, in_site("def f():\n    import sqlalchemy.orm"), "sqlalchemy"),
    (sources.texts_can_be_translated, in_site('def f(x):\n    return _(f"no {x}")'), "literal"),
    (sources.texts_can_be_translated, in_site('def f(x):\n    return _("no {0}".format(x))'), "literal"),
    (sources.texts_can_be_translated, in_site('def f(x):\n    frappe.throw(f"there is no {x}")'), "cannot be translated"),
    (sources.texts_can_be_translated, in_site('def f(x):\n    frappe.msgprint("Done")'), "cannot be translated"),
    (sources.scripts_can_be_translated, added(f"{MODEL}.js", "frappe.msgprint('Done')"), "without __()"),
    (sources.scripts_can_be_translated, added(f"{MODEL}.js", 'x = { label: "Model" }'), "without __()"),
    (sources.scripts_can_be_translated, added(f"{MODEL}.js", "__(`no ${x}`)"), "put together"),
    (packaging.modules_have_folders, added(f"{NAME}/modules.txt", "AI Assistant\nAI Traces\n"), "AI Traces"),
    (packaging.modules_have_folders, added(f"{NAME}/modules.txt", ""), "every module once"),
    (packaging.patches_are_sorted_and_there, added(f"{NAME}/patches.txt", "[post_model_sync]\n"), "sections"),
    (packaging.patches_are_sorted_and_there, text(f"{NAME}/patches.txt", "[post_model_sync]", f"[post_model_sync]\n{NAME}.patches.x"), "execute()"),
    (packaging.project_is_what_bench_reads, text("pyproject.toml", 'dynamic = ["version"]', 'version = "1"'), "dynamic"),
    (packaging.project_is_what_bench_reads, text("pyproject.toml", 'name = "ai_assistant"', 'name = "ai-assistant"'), "the name"),
    (packaging.project_is_what_bench_reads, text("pyproject.toml", "[tool.bench.frappe-dependencies]", "[tool.bench.apps]"), "frappe-dependencies"),
    (packaging.project_is_what_bench_reads, text("pyproject.toml", '"flit_core.buildapi"', '"setuptools.build_meta"'), "flit_core"),
    (packaging.project_is_what_bench_reads, added(f"{NAME}/__init__.py", '__version__ = "next"'), "__version__"),
    (packaging.nothing_called_frappe_is_installed, text("pyproject.toml", '"msgspec', '"frappe>=15",\n    "msgspec'), "frappe>=15"),
    (packaging.setup_is_a_stub, removed("setup.py"), "missing"),
    (packaging.setup_is_a_stub, text("setup.py", "setup()", 'setup(name="x")'), "more than"),
    (packaging.tests_lie_where_frappe_runs_them, added(f"{NAME}/test_x.py", "class A: ..."), "move it"),
    (packaging.tests_lie_where_frappe_runs_them, added(f"{NAME}/tests/test_x.py", "def test_x(): ..."), "no class"),
    (packaging.tests_lie_where_frappe_runs_them, added(f"{NAME}/realtime/handlers.js", ""), "realtime"),
]
# fmt: on


@pytest.fixture
def copy(tmp_path):
    """The app without its built page, to be changed."""
    shutil.copytree(
        REPOSITORY / NAME, tmp_path / NAME, ignore=shutil.ignore_patterns("__pycache__", "page.*", "dist", "images")
    )
    for name in ("pyproject.toml", "setup.py"):
        shutil.copy(REPOSITORY / name, tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("rule", "mistake", "named"), MISTAKES, ids=[f"{i}-{m[0].__name__}" for i, m in enumerate(MISTAKES)]
)
def test_the_mistake_is_found(rule, mistake, named, copy):
    before = list(rule(App(copy)))
    mistake(copy)
    found = [problem for problem in rule(App(copy)) if problem not in before]
    assert found, f"{rule.__name__} did not find it"
    assert any(named in problem for problem in found), found


def test_every_rule_is_shown_to_find_something():
    assert {rule for rule, _, _ in MISTAKES} == set(RULES)
