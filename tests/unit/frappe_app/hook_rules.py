"""Rules for hooks.py: names that Frappe knows, functions that are there and can be called as Frappe does."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from . import facts
from .app import NAME, App, parse, rule

PAIR = ("permission_query_conditions", "has_permission")


def targets(app: App) -> Iterator[tuple[str, str]]:
    """Every dotted path into this app with the hook that holds it."""

    def walk(value: Any) -> Iterator[str]:
        if isinstance(value, str) and value.startswith(f"{NAME}."):
            yield value
        elif isinstance(value, dict):
            for item in value.values():
                yield from walk(item)
        elif isinstance(value, list | tuple):
            for item in value:
                yield from walk(item)

    for hook, value in app.hooks.items():
        if hook.endswith(("_js", "_css")):  # bundles are files, not functions
            continue
        for dotted in walk(value):
            yield hook, dotted


def accepts(function: ast.FunctionDef, positional: int, keywords: tuple[str, ...]) -> bool:
    """Whether a call as `frappe.call` makes it succeeds: it leaves out keywords that the function does not take."""
    arguments = function.args
    own = [argument.arg for argument in [*arguments.posonlyargs, *arguments.args]]
    required = set(own[: len(own) - len(arguments.defaults)])
    required |= {a.arg for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if d is None}
    given = set(own[:positional]) | set(keywords)
    return required <= given and (len(own) >= positional or arguments.vararg is not None)


@rule
def hooks_are_known_and_import_nothing(app: App) -> Iterator[str]:
    """A hook with a typing error is ignored without a word; what hooks.py imports every bench command loads."""
    for name in app.hooks:
        if name not in facts.HOOKS:
            yield f"hooks.py: Frappe knows no hook {name!r}"
    for node in ast.walk(parse(app.path("hooks.py"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield f"hooks.py: line {node.lineno} imports"


@rule
def targets_of_hooks_are_there(app: App) -> Iterator[str]:
    """Frappe imports them when the event comes: nobody notices before."""
    for hook, dotted in targets(app):
        function = app.function(dotted)
        if function is None:
            yield f"hooks.py: {hook}: {dotted} is no function"
        elif hook in facts.CALLS and not accepts(function, *facts.CALLS[hook]):
            yield f"hooks.py: {hook}: {dotted} does not take what Frappe passes, {facts.CALLS[hook]}"


@rule
def events_are_known(app: App) -> Iterator[str]:
    """Keys of scheduler_events and doc_events; cron expressions with five parts."""
    for event, value in app.hooks.get("scheduler_events", {}).items():
        if event not in facts.SCHEDULER_EVENTS:
            yield f"hooks.py: {event!r} is no scheduler event"
        for expression in value if event == "cron" else ():
            if len(expression.split()) != 5:
                yield f"hooks.py: {expression!r} is no cron expression"
    for doctype, events in app.hooks.get("doc_events", {}).items():
        if doctype != "*" and doctype not in app.by_name.keys() | facts.CORE_DOCTYPES:
            yield f"hooks.py: doc_events: there is no DocType {doctype!r}"
        for event in events:
            if event not in facts.DOC_EVENTS:
                yield f"hooks.py: {event!r} is no event of a document"


@rule
def scheduled_jobs_have_names_of_their_own(app: App) -> Iterator[str]:
    """scheduled_job_type.py autoname: the last two parts of the path, on a site with the jobs of all apps; a second
    one of a name takes the first one's place."""
    seen = set()
    for hook, dotted in targets(app):
        name = ".".join(dotted.split(".")[-2:])
        if hook != "scheduler_events":
            continue
        if "ai_" not in name:
            yield f"hooks.py: the job {name} is not told from another app's"
        if name in seen:
            yield f"hooks.py: the job {name} is there twice"
        seen.add(name)


@rule
def permissions_come_in_pairs(app: App) -> Iterator[str]:
    """Lists are filtered by the one, documents checked by the other."""
    queries, checks = (app.hooks.get(name, {}) for name in PAIR)
    for doctype in queries.keys() ^ checks.keys():
        yield f"hooks.py: {doctype} has only one of {' and '.join(PAIR)}"
    for doctype in queries.keys() | checks.keys():
        if doctype not in app.by_name:
            yield f"hooks.py: permissions of {doctype!r}, which is no DocType"
    for name in app.by_name:
        has_owner = any(row.get("if_owner") for row in app.by_name[name].get("permissions", ()))
        if has_owner and name not in queries:
            yield f"hooks.py: {name} is its owner's, but has no {PAIR[0]}"


@rule
def personal_data_is_there(app: App) -> Iterator[str]:
    """website/doctype/personal_data_deletion_request."""
    for row in app.hooks.get("user_data_fields", ()):
        fields = {field["fieldname"] for field in app.by_name.get(row["doctype"], {}).get("fields", ())}
        for field in [row.get("filter_by", "owner"), *row.get("redact_fields", ())]:
            if field not in fields | facts.STANDARD_FIELDS:
                yield f"hooks.py: user_data_fields: {row['doctype']} has no field {field!r}"


@rule
def logs_can_be_cleared(app: App) -> Iterator[str]:
    """core/doctype/log_settings: a static clear_old_logs(days), called with days by name."""
    clearing = set()
    for folder, doctype in app.doctypes.items():
        for node in ast.walk(parse(folder / f"{folder.name}.py")):
            if isinstance(node, ast.FunctionDef) and node.name == "clear_old_logs":
                clearing.add(doctype.get("name"))
                if "staticmethod" not in [getattr(item, "id", "") for item in node.decorator_list]:
                    yield f"{folder.name}: clear_old_logs is not static"
                if not accepts(node, 0, ("days",)) or "days" not in [a.arg for a in node.args.args]:
                    yield f"{folder.name}: clear_old_logs does not take days"
    for doctype in app.hooks.get("default_log_clearing_doctypes", {}):
        if doctype not in clearing:
            yield f"hooks.py: {doctype} is to be cleared, but has no clear_old_logs"


@rule
def bundles_are_there(app: App) -> Iterator[str]:
    """utils/jinja_globals.py bundled_asset; esbuild takes public/**/*.bundle.*."""
    for hook in ("app_include_js", "app_include_css", "web_include_js", "web_include_css"):
        value = app.hooks.get(hook, [])
        for name in [value] if isinstance(value, str) else value:
            stem = name.rpartition(".")[0]
            if ".bundle." in name and not list(app.path("public").rglob(f"{stem}.*")):
                yield f"hooks.py: {hook}: there is no {name}"
