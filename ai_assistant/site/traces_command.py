"""`bench --site SITE ai-assistant traces`: how the traces of a site stand, and what could not be stored.

A consumer alone is one for all sites: `bench ai-worker --only-traces`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from ai_assistant.traces.consumer_command import Target, dead_letters_command, status_command


@click.group()
def traces() -> None:
    """Traces of a site. To store them in a process of its own: bench ai-worker --only-traces"""


command = traces
"""The name under which `ai_assistant.commands` looks for it."""


@contextmanager
def opened(ctx: click.Context) -> Iterator[Target]:
    """The site that the command was given, without its database: what is asked lies in Redis."""
    sites = (ctx.find_root().obj or {}).get("sites") or []
    if len(sites) != 1:
        raise click.UsageError(f"Name one site: bench --site SITE ai-assistant traces {ctx.info_name}")
    import frappe

    from ai_assistant.site.tracing import trace_client

    frappe.init(site=sites[0], force=True)
    try:
        yield Target(trace_client(), sites[0])
    finally:
        frappe.destroy()


traces.add_command(status_command(opened))
traces.add_command(dead_letters_command(opened))
