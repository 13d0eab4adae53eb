"""`bench --site SITE ai-assistant metrics`: the figures of the endpoint, and a measurement of delivery.

For cron and the textfile collector of node_exporter. What could not be measured is told on stderr, and is a figure too.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from ai_assistant.core.metrics import Family, probe_families, render
from ai_assistant.core.session import GUEST
from ai_assistant.site.doctor.finding import Subject


@click.command()
@click.option("--probe", is_flag=True, help="Connect a socket, and measure how long an event takes to it.")
@click.option("--only-probe", is_flag=True, help="The same, without the figures that the endpoint gives.")
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="Replace this file instead of printing."
)
@click.option("--url", help="The address at which browsers reach the site; default: Frappe's own idea of it.")
@click.option("--user", default="Administrator", show_default=True, help="Whose socket the probe is.")
@click.option("--api-key", envvar="AI_ASSISTANT_API_KEY", help="key:secret for that socket, instead of a session.")
@click.pass_context
def metrics(ctx: click.Context, probe: bool, only_probe: bool, output: Path | None, **options: Any) -> None:
    """Print figures for Prometheus, as the endpoint ai_assistant.api.metrics gives them."""
    from ai_assistant.site.doctor.command import subject_of

    sites = (ctx.obj or {}).get("sites") or []
    if len(sites) != 1:
        raise click.UsageError("Name one site: bench --site SITE ai-assistant metrics")
    subject = subject_of(sites[0], {**options, "ask": False, "port_is_closed": False})
    found = [] if only_probe else of_site(subject)
    if probe or only_probe:
        found += probed(subject)
    text = render(found)
    if output is None:
        click.echo(text, nl=False)
    else:
        replace(output, text)


command = metrics
"""The name under which `ai_assistant.commands` looks for it."""


def of_site(subject: Subject) -> list[Family]:
    """What the endpoint gives."""
    import frappe

    from ai_assistant.site.metrics import families

    frappe.init(site=subject.site, force=True)
    try:
        return families()
    finally:
        frappe.destroy()


def replace(path: Path, text: str) -> None:
    """Writes a file that its readers see whole or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        part.write_text(text)
        part.chmod(0o644)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise click.ClickException(f"--output: {path} cannot be written: {error.strerror}") from error


def probed(subject: Subject) -> list[Family]:
    """Delivery, measured on each path to the realtime server that there is."""
    deliveries: dict[str, float | None] = {}
    connects: dict[str, float] = {}
    try:
        measure(subject, deliveries, connects)
    except Exception as error:  # noqa: BLE001  # a database or a site that is away is the probe's result
        deliveries.setdefault("direct", None)
        tell(subject, f"the probe could not begin: {error}")
    return probe_families(time.time(), deliveries, connects)


def measure(subject: Subject, deliveries: dict[str, float | None], connects: dict[str, float]) -> None:
    """Fills in seconds per path: `direct` at the server's port, `address` through the site's proxy. Raises
    ValidationError for a user who may not log in, httpx.HTTPError and ValueError for a site that does not answer."""
    from ai_assistant.site.doctor import realtime
    from ai_assistant.site.doctor.probe import room_of

    with realtime.credentials(subject) as headers:
        user = realtime.who_am_i(subject.url, headers)
        if user == GUEST:
            raise ValueError(f"{subject.url} does not know the {realtime.proof_of(subject)}")
        for path, how in visits(subject, headers).items():
            outcome = realtime.tried(subject, how, user)
            took = outcome.arrived.get(room_of(user))
            deliveries[path] = None if took is None else took / 1000
            if outcome.connect_ms is not None:
                connects[path] = outcome.connect_ms / 1000
            if took is None:
                tell(subject, f"{path} ({how.base}): {outcome.refusal or 'the event did not arrive'}")


def visits(subject: Subject, headers: dict[str, str]) -> dict[str, Any]:
    """The ways to try, as the doctor does (`doctor/realtime.py`)."""
    from ai_assistant.site.doctor import realtime
    from ai_assistant.site.doctor.probe import Visit

    found = {}
    if not subject.conf.get("socketio_uds"):
        named = {**headers, **realtime.proxy_headers(subject)}
        base = f"http://127.0.0.1:{realtime.port_of(subject)}"
        found["direct"] = Visit(base=base, site=subject.site, headers=named)
    if urlsplit(subject.url).port != subject.conf.get("webserver_port"):  # else there is no proxy
        public = {**headers, "Origin": subject.url}
        found["address"] = Visit(base=subject.url, site=subject.site, headers=public)
    return found


def tell(subject: Subject, text: str) -> None:
    """A line on stderr, every known secret blanked."""
    for secret in subject.secrets():
        text = text.replace(secret, "***")
    click.echo(f"metrics: {text}", err=True)
