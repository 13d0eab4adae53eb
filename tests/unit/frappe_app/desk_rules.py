"""Rules for what the Desk shows besides forms: workspaces, pages, number cards, charts, reports."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from . import facts
from .app import App, rule, scrub

KINDS = {"workspace": "Workspace", "page": "Page", "number_card": "Number Card", "dashboard_chart": "Dashboard Chart"}


def documents(app: App) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Kind, folder and content of every document of the Desk."""
    for kind in KINDS:
        for folder, document in app.documents(kind).items():
            yield kind, folder.name, document


def names(app: App, kind: str) -> set[str]:
    """The names of the documents of a kind."""
    return {document.get("name", "") for document in app.documents(kind).values()}


@rule
def desk_documents_lie_where_frappe_looks(app: App) -> Iterator[str]:
    """model/sync.py get_doc_files: <module>/<kind>/<scrubbed name>/<scrubbed name>.json."""
    for kind, folder, document in documents(app):
        if scrub(document.get("name", "")) != folder or document.get("doctype") != KINDS[kind]:
            yield f"{kind}/{folder}: its JSON is missing, or is a {document.get('doctype')} {document.get('name')!r}"
        if document.get("module") not in app.modules:
            yield f"{kind}/{folder}: the module {document.get('module')!r} is not in modules.txt"
        for row in document.get("roles", ()):
            if row["role"] not in app.roles | facts.CORE_ROLES:
                yield f"{kind}/{folder}: nobody makes the role {row['role']!r}"


@rule
def pages_have_their_script(app: App) -> Iterator[str]:
    """core/doctype/page/page.py load_assets; the Desk looks the page up as frappe.pages[name]."""
    for folder, page in app.documents("page").items():
        script = folder / f"{folder.name}.js"
        text = script.read_text("utf-8") if script.exists() else ""
        if f'frappe.pages["{page.get("name")}"]' not in text.replace("'", '"'):
            yield f"page/{folder.name}: {script.name} does not define frappe.pages[{page.get('name')!r}]"
        if page.get("page_name") != page.get("name") or page.get("standard") != "Yes":
            yield f"page/{folder.name}: page_name must be its name, and standard Yes"
        if not page.get("roles"):
            yield f"page/{folder.name}: without roles everybody with a login sees it"


@rule
def workspace_links_lead_somewhere(app: App) -> Iterator[str]:
    """desk/doctype/workspace: links, shortcuts, quick lists, charts and cards that are there."""
    targets = {
        "DocType": app.by_name.keys() | facts.CORE_DOCTYPES,
        "Page": names(app, "page"),
        "Report": names(app, "report"),
    }
    for folder, workspace in app.documents("workspace").items():
        rows = [(row.get("link_type"), row) for row in workspace.get("links", ()) if row.get("type") == "Link"]
        rows += [(row.get("type"), row) for row in workspace.get("shortcuts", ())]
        for kind, row in rows:
            if kind in targets and row.get("link_to") not in targets[kind]:
                yield f"workspace/{folder.name}: {row.get('label')!r} leads to {row.get('link_to')!r}"
        for row in workspace.get("quick_lists", ()):
            if row.get("document_type") not in targets["DocType"]:
                yield f"workspace/{folder.name}: a quick list of {row.get('document_type')!r}"
        for row in workspace.get("number_cards", ()):
            if row.get("number_card_name") not in names(app, "number_card"):
                yield f"workspace/{folder.name}: the number card {row.get('number_card_name')!r} is not there"
        for row in workspace.get("charts", ()):
            if row.get("chart_name") not in names(app, "dashboard_chart"):
                yield f"workspace/{folder.name}: the chart {row.get('chart_name')!r} is not there"


@rule
def workspace_content_names_its_rows(app: App) -> Iterator[str]:
    """public/js/frappe/views/workspace: a block whose row is missing is left out without a word."""
    for folder, workspace in app.documents("workspace").items():
        rows = {
            "card": {r.get("label") for r in workspace.get("links", ()) if r.get("type") == "Card Break"},
            "shortcut": {r.get("label") for r in workspace.get("shortcuts", ())},
            "chart": {r.get("label") for r in workspace.get("charts", ())},
            "number_card": {r.get("label") for r in workspace.get("number_cards", ())},
            "quick_list": {r.get("label") for r in workspace.get("quick_lists", ())},
        }
        try:
            blocks = json.loads(workspace.get("content") or "[]")
        except ValueError as error:
            yield f"workspace/{folder.name}: content is no JSON: {error}"
            continue
        for block in blocks:
            kind = block.get("type")
            if kind not in facts.WORKSPACE_BLOCKS:
                yield f"workspace/{folder.name}: {kind!r} is no block"
            elif kind in rows and block["data"].get(facts.WORKSPACE_BLOCKS[kind]) not in rows[kind]:
                yield f"workspace/{folder.name}: its content has a {kind} without a row: {block['data']}"


@rule
def cards_and_charts_count_what_is_there(app: App) -> Iterator[str]:
    """Number cards and charts name a DocType."""
    for kind, folder, document in documents(app):
        target = document.get("document_type")
        if kind in ("number_card", "dashboard_chart") and target not in app.by_name.keys() | facts.CORE_DOCTYPES:
            yield f"{kind}/{folder}: counts {target!r}, which is not there"
