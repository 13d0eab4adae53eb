"""`bench --site SITE ai-assistant doctor`."""

from __future__ import annotations

import importlib
import json
import logging
import sys
from pathlib import Path
from typing import Any

import click

CHECKS = {
    # name: module of this package, its function, title, time limit in seconds
    "site": ("database", "check", "Site", 20),
    "versions": ("versions", "check", "Versions", 20),
    "redis": ("redis_server", "check", "Redis", 30),
    "workers": ("workers", "check", "Workers", 30),
    "traces": ("traces", "check", "Traces", 20),
    "realtime": ("realtime", "check", "Realtime", 60),
    "port": ("port", "check", "Realtime port", 60),
    "models": ("models", "check", "Models", 30),
    "permissions": ("permissions", "check", "Permissions", 20),
    "web": ("web", "check", "Web server", 20),
    "assets": ("assets", "check", "Assets", 20),
}
ASK = ("models", "ask", "Models, asked", 600)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object per site, for monitoring.")
@click.option("--check", "names", multiple=True, type=click.Choice(list(CHECKS)), help="Only this check; repeatable.")
@click.option("--ask", is_flag=True, help="Ask each model a short line; costs a few tokens.")
@click.option("--url", help="The address at which browsers reach the site; default: Frappe's own idea of it.")
@click.option("--user", default="Administrator", show_default=True, help="Whose socket tries the realtime server.")
@click.option("--api-key", envvar="AI_ASSISTANT_API_KEY", help="key:secret for that socket, instead of a session.")
@click.option("--port-is-closed", is_flag=True, help="You tried from outside: the realtime port is closed there.")
@click.pass_context
def doctor(ctx: click.Context, as_json: bool, names: tuple[str, ...], **options: Any) -> None:
    """Check Redis, workers, realtime, models, permissions and versions, and say what to type where one fails."""
    sites = (ctx.obj or {}).get("sites") or []
    if not sites:
        raise click.UsageError("Name a site: bench --site SITE ai-assistant doctor")
    healthy = [examined(site, names, as_json, options) for site in sites]
    sys.exit(0 if all(healthy) else 1)


command = doctor
"""The name under which `ai_assistant.commands` looks for it."""


def examined(site: str, names: tuple[str, ...], as_json: bool, options: dict[str, Any]) -> bool:
    """Runs the checks on one site and shows them; whether nothing failed."""
    from ai_assistant.site.doctor import report, run

    subject = subject_of(site, options)
    found = []
    if not as_json:
        click.echo(report.heading(site))
    for result in run.results(chosen(names, subject.ask), subject):
        found.append(result)
        if not as_json:
            click.echo("\n".join(report.lines(result)))
    click.echo(json.dumps(report.document(site, found), ensure_ascii=False) if as_json else report.closing(found))
    return report.healthy(found)


def chosen(names: tuple[str, ...], ask: bool) -> list[Any]:
    """The checks to run. One whose module cannot even be imported fails when it is run, not here."""
    from ai_assistant.site.doctor.finding import Check

    rows = [(name, *row) for name, row in CHECKS.items() if not names or name in names]
    rows += [("asked", *ASK)] if ask else []
    return [Check(name, title, lazily(module, function), limit) for name, module, function, title, limit in rows]


def lazily(module: str, function: str) -> Any:
    """A check that is imported when it runs: what is broken may be an import."""

    def run(subject: Any) -> Any:
        yield from getattr(importlib.import_module(f"ai_assistant.site.doctor.{module}"), function)(subject)

    return run


def subject_of(site: str, options: dict[str, Any]) -> Any:
    """What is examined. Needs the site's configuration, not its database. Raises ClickException."""
    import frappe

    from ai_assistant.core.errors import AssistantError
    from ai_assistant.site import bench
    from ai_assistant.site.doctor.finding import Subject

    if not Path(site, "site_config.json").is_file():
        raise click.ClickException(f"This bench has no site {site}.")
    frappe.init(site=site, force=True)
    try:
        log_to_file()
        key = bench.REDIS_KEY if frappe.conf.get(bench.REDIS_KEY) else "redis_queue"
        return Subject(
            site=site,
            sites_path=Path(frappe.local.sites_path).resolve(),
            conf=dict(frappe.conf),
            redis_url=bench.redis_url(),
            redis_key=key,
            scope=bench.scope(),
            user=options["user"],
            api_key=options["api_key"],
            url=(options["url"] or frappe.utils.get_url()).rstrip("/"),
            ask=options["ask"],
            port_closed=options["port_is_closed"],
        )
    except AssistantError as error:
        raise click.ClickException(str(error)) from error
    finally:
        frappe.destroy()


def log_to_file() -> None:
    """Sends the app's log lines to logs/ai_assistant.log of the site, so that the report stays readable."""
    import frappe

    ours = logging.getLogger("ai_assistant")
    ours.handlers = list(frappe.logger("ai_assistant", allow_site=True).handlers)
    ours.propagate = False
