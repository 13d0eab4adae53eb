"""The browser's part of the app: built, and known to the Desk."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import ai_assistant
from ai_assistant.site.doctor.finding import Finding, Subject, failure, ok, warning

BUILD = "bench build --app ai_assistant; bench clear-cache"


def check(subject: Subject) -> Iterator[Finding]:
    """The link to the app's files, and each bundle in the manifest with its file."""
    public = Path(ai_assistant.__file__).parent / "public"
    yield from linked(subject, public)
    bundles = sorted(bundle_of(path) for path in sources(public))
    problems = [problem for bundle in bundles for problem in problems_of(subject, bundle)]
    for problem in problems:
        yield failure("assets.built", problem, BUILD)
    if not problems:
        yield ok("assets.built", f"Built: {', '.join(bundles) or 'no bundles in this version'}", bundles=bundles)
    yield from outdated(subject, public, bundles)


def sources(public: Path) -> list[Path]:
    """What esbuild makes bundles of (frappe v15.55.1, `esbuild/esbuild.js`)."""
    kinds = ("js", "ts", "css", "scss")
    return [
        path
        for kind in kinds
        for path in public.rglob(f"*.bundle.{kind}")
        if "dist" not in path.parts and "node_modules" not in path.parts
    ]


def bundle_of(source: Path) -> str:
    """The name that the manifest has for a source."""
    stem, _, kind = source.name.rpartition(".")
    return f"{stem}.{ {'ts': 'js', 'scss': 'css'}.get(kind, kind) }"


def linked(subject: Subject, public: Path) -> Iterator[Finding]:
    """`sites/assets/ai_assistant` leads to the app's public folder, or is a copy of it."""
    link = subject.sites_path / "assets" / "ai_assistant"
    if not link.exists():
        yield failure("assets.linked", f"{link} is missing: the Desk cannot load the app's files.", BUILD)
    elif link.is_symlink() and link.resolve() != public.resolve():
        yield failure("assets.linked", f"{link} leads to {link.resolve()}, not to {public}.", BUILD)


def manifest(subject: Subject) -> dict[str, str]:
    """Bundle and where it was built to. Empty without a manifest."""
    try:
        found = json.loads((subject.sites_path / "assets" / "assets.json").read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def built_file(subject: Subject, bundle: str) -> Path | None:
    """The file of a bundle."""
    where = manifest(subject).get(bundle)
    return subject.sites_path / where.lstrip("/") if where else None


def problems_of(subject: Subject, bundle: str) -> Iterator[str]:
    """What is wrong with a bundle."""
    path = built_file(subject, bundle)
    if path is None:
        yield f"{bundle} is not in sites/assets/assets.json: it was never built."
    elif not path.is_file():
        yield f"{bundle} is in the manifest, but {path} is missing."


def outdated(subject: Subject, public: Path, bundles: list[str]) -> Iterator[Finding]:
    """Bundles that are older than their sources."""
    for source in sources(public):
        path = built_file(subject, bundle_of(source))
        if path and path.is_file() and path.stat().st_mtime < source.stat().st_mtime:
            yield warning("assets.outdated", f"{bundle_of(source)} is older than its source.", BUILD)
