"""Rules for what can be called over HTTP, and for what every web request and every bench command loads."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

from .app import NAME, App, dotted_name, parse, rule

READERS = ("get_", "search_", "list_", "export_", "status", "metrics")
GUESTS = {"status"}
HEAVY = ("litellm", "openai", "httpx", "aiohttp", "redis", "starlette", "uvicorn", "sqlalchemy", "socketio", "rich")
STAND_IN = """
    # what an app's commands.py may import of frappe.commands
    def pass_context(function):
        return function
    def get_site(context, raise_err=True):
        raise NotImplementedError
"""


def endpoints(app: App) -> Iterator[tuple[str, ast.Module, ast.FunctionDef, dict[str, ast.expr]]]:
    """Every function with the decorator of an endpoint or of Frappe, with the decorator's arguments."""
    for name, path in app.sources("api/**/*.py", "site/**/*.py", f"{NAME}/**/*.py", "*.py"):
        tree = parse(path)
        for node in ast.walk(tree):
            if not isinstance(node, ast.FunctionDef):
                continue
            for decorator in node.decorator_list:
                if dotted_name(decorator) in ("endpoint", "frappe.whitelist"):
                    keywords = decorator.keywords if isinstance(decorator, ast.Call) else []
                    yield name, tree, node, {word.arg or "": word.value for word in keywords}


def annotated(function: ast.FunctionDef) -> Iterator[tuple[str, str]]:
    """Its arguments with their annotations as text, but `self`."""
    for argument in [*function.args.args, *function.args.kwonlyargs]:
        if argument.arg != "self":
            yield argument.arg, ast.unparse(argument.annotation) if argument.annotation else ""


@rule
def arguments_of_endpoints_are_annotated(app: App) -> Iterator[str]:
    """utils/typing_validations.py: v15 checks arguments that have annotations, develop refuses those without. Forms
    carry JSON as text."""
    for file, tree, function, _ in endpoints(app):
        for name, annotation in annotated(function):
            if not annotation:
                yield f"{file}: {function.name}: {name} has no annotation"
            words = {word.strip() for word in annotation.split("|")}
            if any(word.partition("[")[0] in ("dict", "list") for word in words) and "str" not in words:
                yield f"{file}: {function.name}: {name} refuses the text of a form; add str"
        for node in tree.body:
            if isinstance(node, ast.ImportFrom) and node.module == "__future__":
                yield f"{file}: annotations from __future__ are strings, by which Frappe checks nothing"


@rule
def writers_are_post_only(app: App) -> Iterator[str]:
    """A GET carries no CSRF token: what changes something takes POST and nothing else."""
    for file, _, function, words in endpoints(app):
        methods = ast.literal_eval(words["methods"]) if "methods" in words else ()
        if not methods:
            yield f"{file}: {function.name}: names no methods, so that every method calls it"
        elif not function.name.startswith(READERS) and list(methods) != ["POST"]:
            yield f"{file}: {function.name}: changes something and takes {', '.join(methods)}"


@rule
def guests_are_allowed_nothing(app: App) -> Iterator[str]:
    """But the status."""
    for file, _, function, words in endpoints(app):
        allowed = words.get("allow_guest")
        if allowed is not None and ast.literal_eval(allowed) and function.name not in GUESTS:
            yield f"{file}: {function.name}: is open to guests"


@rule
def commands_are_exported(app: App) -> Iterator[str]:
    """bench looks for the list `commands` in <app>/commands.py (utils/bench_helper.py get_app_commands)."""
    path = app.path("commands.py")
    if not path.exists():
        yield "commands.py is missing"
    elif not any(
        isinstance(node, ast.Assign | ast.AnnAssign) and "commands" in ast.unparse(node).partition("=")[0]
        for node in parse(path).body
    ):
        yield "commands.py: exports no list `commands`"


@rule
def what_everybody_loads_is_light(app: App) -> Iterator[str]:
    """Imports hooks, commands and the endpoints in a fresh Python and looks at what came with them."""
    modules = [name for name in ("hooks", "commands", "api") if list(app.package.glob(f"{name}*"))]
    with tempfile.TemporaryDirectory() as folder:
        commands = Path(folder, "frappe", "commands")
        commands.mkdir(parents=True)
        commands.with_name("__init__.py").touch()
        commands.joinpath("__init__.py").write_text(textwrap.dedent(STAND_IN))
        for module in modules:
            loaded = imported(f"{NAME}.{module}", [app.root, Path(folder)])
            yield from (f"{module}: loads {heavy}" for heavy in (*HEAVY, f"{NAME}.host") if heavy in loaded)


def imported(module: str, folders: list[Path]) -> set[str]:
    """The modules that an import brings, as `-X importtime` lists them."""
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", f"import {module}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))},
        cwd=folders[0],
    )
    if run.returncode:
        raise AssertionError(f"{module} cannot be imported:\n{run.stderr[-2000:]}")
    return {line.rpartition("|")[2].strip() for line in run.stderr.splitlines()}
