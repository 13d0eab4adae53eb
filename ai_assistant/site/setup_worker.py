"""`bench ai-assistant setup-worker`: makes the worker a process of the bench, and shows what it changed."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Callable
from pathlib import Path

import click
import msgspec

from ai_assistant.core.errors import AssistantError, ConfigError
from ai_assistant.site import procfile, supervisor_conf

PROCFILE = "Procfile"
SUPERVISOR = "config/supervisor.conf"


class Change(msgspec.Struct, frozen=True):
    """What becomes of a file."""

    path: Path
    before: str
    after: str

    def diff(self) -> str:
        """The difference as a unified diff; empty where there is none."""
        name = str(self.path)
        lines = difflib.unified_diff(self.before.splitlines(), self.after.splitlines(), name, name, lineterm="")
        return "\n".join(lines)


def plan(bench: Path, *, count: int | None = None, remove: bool = False) -> list[Change]:
    """The changes that are needed in a bench's folder, for the process managers that it has files for.

    Raises ConfigError when it has none, or when a file is not as bench writes it.
    """
    found = [path for path in (bench / PROCFILE, bench / SUPERVISOR) if path.is_file()]
    if not found:
        raise ConfigError(
            "bench",
            f"{bench} has neither a {PROCFILE} nor a {SUPERVISOR}; make them with `bench setup procfile` and "
            "`bench setup supervisor`, or run `bench ai-worker` by other means",
        )
    changes = []
    for path in found:
        before = read(path)
        after = edit_of(path, remove)(before, count)
        if before.splitlines() != after.splitlines():
            changes.append(Change(path, before, after))
    return changes


def edit_of(path: Path, remove: bool) -> Callable[[str, int | None], str]:
    """The function that makes the new text of a file."""
    module = procfile if path.name == PROCFILE else supervisor_conf
    return (lambda text, _count: module.without_workers(text)) if remove else module.with_workers


def read(path: Path) -> str:
    """The text of a file. Raises ConfigError."""
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(path.name, f"{path} cannot be read: {error}") from error


def write(changes: list[Change]) -> None:
    """Writes all of them; none when one cannot be written. Raises ConfigError."""
    for change in changes:
        if not os.access(change.path, os.W_OK):
            raise ConfigError(
                change.path.name, f"{change.path} may not be written by this user; run this as the file's owner"
            )
    for change in changes:
        try:
            change.path.write_text(change.after)
        except OSError as error:
            raise ConfigError(change.path.name, f"{change.path} could not be written: {error}") from error


def what_next(changes: list[Change]) -> list[str]:
    """What the admin has to type for the changes to take effect."""
    hints = []
    for change in changes:
        if change.path.name == PROCFILE:
            hints.append("Procfile: takes effect with the next `bench start`.")
        else:
            hints.append("supervisor.conf: takes effect with `sudo supervisorctl reread && sudo supervisorctl update`.")
    if changes:
        hints.append("`bench setup procfile` and `bench setup supervisor` write their files anew: run this again then.")
    return hints


@click.command("setup-worker")
@click.option("--count", type=click.IntRange(1, 64), help="How many workers.  [default: as many as there are, or 1]")
@click.option("--remove", is_flag=True, help="Take the worker out again.")
@click.option("--dry-run", is_flag=True, help="Show the difference only.")
def command(count: int | None, remove: bool, dry_run: bool) -> None:
    """Make the worker a process of this bench: in its Procfile and its supervisor configuration."""
    from frappe.utils import get_bench_path

    try:
        changes = plan(Path(get_bench_path()), count=count, remove=remove)
        if not dry_run:
            write(changes)
    except AssistantError as error:
        click.echo(f"setup-worker: {error}", err=True)
        sys.exit(2)
    for change in changes:
        click.echo(change.diff())
    if not changes:
        click.echo("Nothing to change.")
    elif dry_run:
        click.echo("\nNothing was written (--dry-run).")
    else:
        click.echo("\n" + "\n".join(what_next(changes)))
