"""What `import ai_assistant.core, ai_assistant.streams` leaves in memory."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from pathlib import Path

FORBIDDEN = ("litellm", "openai", "frappe", "sqlalchemy")
PACKAGES = ("ai_assistant.core", "ai_assistant.streams")
ROOT = Path(__file__).resolve().parents[2]


def modules_of(packages: tuple[str, ...] = PACKAGES) -> list[str]:
    """The packages and every module in them: what holds for the package must hold for all of it."""
    names = list(packages)
    for package in packages:
        folder = ROOT.joinpath(*package.split("."))
        names += [f"{package}.{module.name}" for module in pkgutil.iter_modules([str(folder)])]
    return names


def forbidden_after_import(names: list[str] | None = None) -> list[str]:
    """Which of FORBIDDEN are in `sys.modules` of a fresh interpreter that imported them. Raises CalledProcessError."""
    program = f"import sys, {', '.join(names or modules_of())}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120, cwd=ROOT
    )
    loaded = {name.partition(".")[0].lower() for name in done.stdout.split()}
    return [name for name in FORBIDDEN if name in loaded]
