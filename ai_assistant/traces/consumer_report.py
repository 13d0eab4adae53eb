"""What the commands `traces status` and `traces dead-letters` show: tables for people, JSON for programs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import msgspec
import redis
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ai_assistant.traces.deadletters import Letter
from ai_assistant.traces.health import producers_of, trace_health

ADVICE = {
    "no_consumer": "Traces wait and no consumer runs: start a worker.",
    "late": "The oldest waits for a minute or more: start one more consumer (`traces consume`), or look at its log.",
    "failing": "A consumer cannot store; its last error is below.",
    "dead_letters": "Some events could not be stored: `traces dead-letters` shows why, `--retry` tries them again.",
    "missing_events": "Events were lost on the way; the traces that they belonged to say how many.",
    "dropped_events": "Producers had no room to wait for Redis, and gave events up; their traces say how many.",
    "anomalies": "Models differ from their own last week; which, is below.",
    "redis_away": "The Redis of the traces does not answer.",
}
"""What to do about each alarm of `health.alarms`."""


def status_of(client: redis.Redis, site: str) -> dict[str, Any]:
    """All that `status` shows. Raises redis-py's errors."""
    found = {"site": site, **trace_health(client, site), "producers": []}
    return found if "redis_away" in found["traces"]["alarms"] else found | {"producers": producers_of(client, site)}


def show_status(found: dict[str, Any], console: Console | None = None) -> None:
    """Prints it for a person."""
    console = console or Console()
    traces = found["traces"]
    console.print(Text(f"Traces of {found['site']}", style="bold"))
    for word in traces["alarms"]:
        console.print(Text(f"  ! {ADVICE[word]}", style="yellow"))
    figures = Table.grid(padding=(0, 2))
    figures.add_row("waiting", f"{said(traces['backlog'])} entries, {size(traces['backlog_bytes'])}")
    figures.add_row("oldest", duration(traces["oldest_ms"]))
    figures.add_row("dead letters", said(traces["dead_letters"]))
    figures.add_row("missing events", said(traces["missing_events"]))
    figures.add_row("dropped events", said(traces["dropped_events"]))
    console.print(figures)
    for line in traces["anomalies"]:
        console.print(said(f"  {line}"))
    console.print(consumer_table(found["trace_consumers"]))
    console.print(producer_table(found["producers"]))


def consumer_table(consumers: Sequence[dict[str, Any]]) -> Table:
    """The consumers that live."""
    table = titled(f"Consumers: {len(consumers)}", "id", "version", "beat", "stored", "dead", "failures", "batch")
    for each in consumers:
        row = [each.get("id"), each.get("version"), f"{duration(each['age_ms'])} ago", each.get("processed")]
        row += [each.get("dead_letters"), each.get("failures"), f"{each.get('batch_ms')} ms"]
        table.add_row(*map(said, row))
        if each.get("error"):
            table.add_row(said(f"  {each['error']}"))
    return table


def producer_table(producers: Sequence[dict[str, Any]]) -> Table:
    """The producers that were heard."""
    table = titled(f"Producers: {len(producers)}", "id", "service", "beat", "made", "buffered", "dropped", "open")
    for each in producers:
        row = [each["id"], each.get("service"), f"{duration(each['age_ms'])} ago"]
        table.add_row(*map(said, [*row, *(each.get(name) for name in ("made", "buffered", "dropped", "open"))]))
    return table


def show_letters(letters: Sequence[Letter], total: int, console: Console | None = None) -> None:
    """Prints dead letters for a person."""
    console = console or Console()
    table = titled(f"Dead letters: {total}", "id", "when", "producer", "event", "trace", "tries", "error")
    for each in letters:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(each.at / 1000))
        event = f"{each.kind} {each.number}" if each.number else each.kind
        table.add_row(*map(said, [each.id, when, each.producer, event, each.trace, each.tries, each.error]))
    console.print(table)
    if len(letters) < total:
        console.print(f"The newest {len(letters)} of {total}; more with --limit.")


def as_json(value: Any) -> str:
    """The same for a program."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def titled(title: str, *columns: str) -> Table:
    """A table without lines."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")
    return table


def said(value: Any) -> Text:
    """A value as plain text: what producers say must not be read as markup, nor move the cursor."""
    shown = "-" if value is None else str(value)
    return Text("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in shown))


def size(count: int | None) -> str:
    """Bytes for a person."""
    return "-" if count is None else f"{count / 2**20:.1f} MiB" if count >= 2**20 else f"{count / 1024:.0f} KiB"


def duration(ms: int | None) -> str:
    """Milliseconds for a person."""
    if ms is None:
        return "-"
    return f"{ms} ms" if ms < 1000 else f"{ms / 1000:.0f} s" if ms < 120_000 else f"{ms / 60_000:.0f} min"
