"""What is installed: versions, the pins of Frappe and of this app, and nothing malicious."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import ai_assistant
from ai_assistant.site.doctor.finding import Finding, Subject, failure, note, ok, warning

SHOWN = ("redis", "hiredis", "rq", "pydantic", "litellm", "httpx", "python-socketio", "aiohttp", "msgspec")
MALICIOUS = {"litellm": ("1.82.7", "1.82.8")}
"""Uploads to PyPI that stole credentials."""
HELD = ("ai-assistant", "frappe")
"""Distributions whose requirements must be met."""
PIP = "./env/bin/pip"


def check(subject: Subject) -> Iterator[Finding]:
    """Versions of everything, then what does not fit."""
    yield installed(subject)
    yield from malicious()
    yield from requirements()
    yield node(subject)


def version_of(name: str) -> str | None:
    """The installed version of a distribution."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def installed(subject: Subject) -> Finding:
    """One line of versions."""
    import frappe

    found = {
        "python": platform.python_version(),
        "frappe": frappe.__version__,
        "ai_assistant": ai_assistant.__version__,
    }
    found |= {name: version_of(name) for name in SHOWN}
    text = ", ".join(f"{name} {version or '(missing)'}" for name, version in found.items())
    missing = [name for name, version in found.items() if version is None]
    if missing:
        return failure("versions.installed", f"{text}", reinstall(subject), missing=missing, **found)
    return ok("versions.installed", text, **found)


def reinstall(subject: Subject) -> str:
    """Installs the app's requirements again, within Frappe's."""
    return f"cd {subject.bench_path} && bench setup requirements --python && {PIP} check"


def malicious() -> Iterator[Finding]:
    """Versions that must never run."""
    for name, versions in MALICIOUS.items():
        if version_of(name) in versions:
            yield failure(
                "versions.malicious",
                f"{name} {version_of(name)} is a malicious upload that steals credentials. Take this machine's keys "
                "for stolen: change every key and password that was on it.",
                f"{PIP} uninstall -y {name}   (at once, and stop the bench)",
                f"{PIP} install '{name}==1.83.0'",
                version=version_of(name),
            )


def requirements() -> Iterator[Finding]:
    """Every requirement of Frappe and of this app, as `pip check` would."""
    problems = [problem for name in HELD for problem in problems_of(name)]
    for problem in problems:
        yield failure("versions.pins", problem, f"{PIP} check", "bench setup requirements --python", problem=problem)
    if not problems:
        yield ok("versions.pins", f"All requirements of {' and '.join(HELD)} are met")


def problems_of(name: str) -> Iterator[str]:
    """Requirements of a distribution that are not met, in words."""
    from packaging.requirements import Requirement

    try:
        needed = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        yield f"{name} is not installed as a package"
        return
    for line in needed:
        requirement = Requirement(line)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        version = version_of(requirement.name)
        if version is None:
            yield f"{name} needs {requirement.name}{requirement.specifier}, which is not installed"
        elif not requirement.specifier.contains(version, prereleases=True):
            yield f"{name} needs {requirement.name}{requirement.specifier}; installed is {version}"


def node(subject: Subject) -> Finding:
    """Node and its Socket.IO, which the realtime server is made of."""
    program = shutil.which("node")
    package = Path(subject.bench_path) / "apps/frappe/node_modules/socket.io/package.json"
    try:
        library = json.loads(package.read_text()).get("version")
    except (OSError, ValueError):
        library = None
    if library is None:
        text = "Node's socket.io is not installed in apps/frappe; right only where the realtime server runs elsewhere."
        return warning("versions.node", text, "bench setup requirements --node")
    if program is None:
        return note("versions.node", f"socket.io {library}; no `node` on the PATH of this shell", socket_io=library)
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=5, check=False)
    return ok("versions.node", f"Node {answer.stdout.strip()}, socket.io {library}", node=answer.stdout.strip())
