"""The app as its files say: what every rule reads. Works on any copy of the package."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[3]
NAME = "ai_assistant"


class App:
    """A checkout of the app."""

    def __init__(self, root: Path):
        """`root`: the folder that holds pyproject.toml and the package."""
        self.root = root
        self.package = root / NAME
        self.module_folder = self.package / NAME

    def path(self, *parts: str) -> Path:
        """A file or folder of the package."""
        return self.package.joinpath(*parts)

    def documents(self, kind: str) -> dict[Path, dict[str, Any]]:
        """The JSON of every doctype, page or workspace by its folder."""
        found = {}
        for folder in sorted((self.module_folder / kind).glob("*/")):
            if folder.name != "__pycache__":
                path = folder / f"{folder.name}.json"
                found[folder] = json.loads(path.read_text("utf-8")) if path.exists() else {}
        return found

    @cached_property
    def doctypes(self) -> dict[Path, dict[str, Any]]:
        """Every DocType by its folder."""
        return self.documents("doctype")

    @cached_property
    def by_name(self) -> dict[str, dict[str, Any]]:
        """Every DocType by its name."""
        return {doctype.get("name", ""): doctype for doctype in self.doctypes.values()}

    @cached_property
    def hooks(self) -> dict[str, Any]:
        """The values of hooks.py, which are all literals."""
        return assignments(parse(self.path("hooks.py")))

    @cached_property
    def roles(self) -> set[str]:
        """The roles that the installation makes."""
        return set(assignments(parse(self.path("install.py")), only={"ROLES"})["ROLES"])

    @cached_property
    def modules(self) -> list[str]:
        """The lines of modules.txt."""
        return [line for line in self.path("modules.txt").read_text("utf-8").splitlines() if line.strip()]

    def sources(self, *globs: str) -> Iterator[tuple[str, Path]]:
        """Files of the package that fit one of the patterns, with their path as it is shown."""
        for pattern in globs:
            for path in sorted(self.package.glob(pattern)):
                yield str(path.relative_to(self.package)), path

    def function(self, dotted: str) -> ast.FunctionDef | None:
        """The function that a dotted path names, without importing it."""
        module, _, name = dotted.rpartition(".")
        base = self.root.joinpath(*module.split("."))
        for path in (base.with_suffix(".py"), base / "__init__.py"):
            if path.exists():
                return next((node for node in functions(parse(path)) if node.name == name), None)
        return None


def scrub(name: str) -> str:
    """As `frappe.scrub`: the folder and module of a name."""
    return name.replace(" ", "_").replace("-", "_").lower()


def parse(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text("utf-8"))


def functions(module: ast.Module) -> Iterator[ast.FunctionDef]:
    """The functions on a module's top level."""
    return (node for node in module.body if isinstance(node, ast.FunctionDef))


def assignments(module: ast.Module, only: set[str] | None = None) -> dict[str, Any]:
    """Module-level names with literal values. Raises ValueError for another value, unless `only` leaves it out."""
    return {
        target.id: ast.literal_eval(node.value)
        for node in module.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and (only is None or target.id in only)
    }


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Every call with the dotted name of what is called, such as `frappe.db.sql`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield dotted_name(node.func), node


def dotted_name(node: ast.AST) -> str:
    """`frappe.db.sql` of a chain of attributes; of a call in between its own name; '' for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted_name(node.value)}.{node.attr}"
    if isinstance(node, ast.Call):
        return dotted_name(node.func)
    return ""


Rule = Callable[[App], Iterator[str]]
RULES: list[Rule] = []


def rule(function: Rule) -> Rule:
    """Adds a rule to those that the app is held to."""
    RULES.append(function)
    return function
