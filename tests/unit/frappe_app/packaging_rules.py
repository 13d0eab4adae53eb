"""Rules for what bench and pip read: modules.txt, patches.txt, pyproject.toml, setup.py, the place of tests."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from typing import Any

from .app import NAME, App, assignments, parse, rule, scrub

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SECTIONS = ["[pre_model_sync]", "[post_model_sync]"]
DEVELOPS_OWN = ("realtime",)
"""Folders of an app that develop's realtime server loads."""


def project(app: App) -> dict[str, Any]:
    """pyproject.toml."""
    return tomllib.loads((app.root / "pyproject.toml").read_text("utf-8"))


@rule
def modules_have_folders(app: App) -> Iterator[str]:
    """modules/utils.py: the folder of a module is its scrubbed name, a package."""
    for module in app.modules:
        if not app.path(scrub(module), "__init__.py").exists():
            yield f"modules.txt: {module!r} has no package {scrub(module)}"
    if len(app.modules) != len(set(app.modules)) or not app.modules:
        yield "modules.txt: every module once"


@rule
def patches_are_sorted_and_there(app: App) -> Iterator[str]:
    """modules/patch_handler.py: both sections, and modules with execute()."""
    lines = [line.strip() for line in app.path("patches.txt").read_text("utf-8").splitlines()]
    if [line for line in lines if line.startswith("[")] != SECTIONS or not lines or lines[0] != SECTIONS[0]:
        yield f"patches.txt: must have the sections {' and '.join(SECTIONS)}"
    for line in lines:
        dotted = line.split()[0] if line and not line.startswith(("[", "#", "execute:")) else ""
        if dotted and app.function(f"{dotted}.execute") is None:
            yield f"patches.txt: {dotted} has no execute()"


@rule
def project_is_what_bench_reads(app: App) -> Iterator[str]:
    """bench installs by pyproject.toml, finds the version in the package and checks frappe-dependencies."""
    told = project(app)
    if told["project"]["name"] != NAME:  # bench get-app renames the folder to it, and looks for the package there
        yield f"pyproject.toml: the name must be that of the package, {NAME}, letter by letter"
    if "version" not in told["project"].get("dynamic", []):
        yield "pyproject.toml: the version must be dynamic: bench reads __version__"
    version = assignments(parse(app.path("__init__.py")), only={"__version__"}).get("__version__", "")
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        yield "__init__.py: __version__ must be a literal such as 1.2.3"
    if "frappe" not in told.get("tool", {}).get("bench", {}).get("frappe-dependencies", {}):
        yield "pyproject.toml: [tool.bench.frappe-dependencies] does not name frappe"
    if "flit_core" not in told["build-system"]["build-backend"]:
        yield "pyproject.toml: bench v15 builds apps with flit_core"


@rule
def nothing_called_frappe_is_installed(app: App) -> Iterator[str]:
    """`frappe` on PyPI is an empty placeholder; bench provides the real one."""
    for requirement in project(app)["project"]["dependencies"]:
        if re.match(r"frappe\b", requirement):
            yield f"pyproject.toml: requires {requirement!r}, a placeholder"


@rule
def setup_is_a_stub(app: App) -> Iterator[str]:
    """Older bench versions take a folder without setup.py for no app; all it says is in pyproject.toml."""
    path = app.root / "setup.py"
    if not path.exists():
        yield "setup.py is missing"
        return
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Call) and (node.args or node.keywords):
            yield "setup.py: says more than pyproject.toml"


@rule
def tests_lie_where_frappe_runs_them(app: App) -> Iterator[str]:
    """test_runner.py: files in the package's root are skipped without a word; one without a class runs nothing."""
    for name, path in app.sources("test_*.py", "tests/test_*.py"):
        if "/" not in name:
            yield f"{name}: is skipped there; move it to tests/"
        elif not [node for node in parse(path).body if isinstance(node, ast.ClassDef)]:
            yield f"{name}: has no class of tests"
    for name in DEVELOPS_OWN:
        if app.path(name).exists() or app.path(f"{name}.py").exists():
            yield f"{name}: develop loads what is called so"
