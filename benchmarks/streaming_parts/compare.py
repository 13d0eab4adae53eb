"""Two hosts side by side: the medians of their runs, and by what one is the multiple of the other."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

from .row import Row

SITE, EMBEDDED = "site", "embedded"
Figure = Callable[[Row], float | None]

FIGURES: dict[str, Figure] = {
    "p50 ms": lambda row: row.result.latency and row.result.latency.p50,
    "p95 ms": lambda row: row.result.latency and row.result.latency.p95,
    "p99 ms": lambda row: row.result.latency and row.result.latency.p99,
    "first event ms": lambda row: row.result.first_event and row.result.first_event.p50,
    "ask to first ms": lambda row: row.result.ask_to_first and row.result.ask_to_first.p50,
    "CPU µs/token": lambda row: row.cpu_us_per_token,
    "Redis µs/token": lambda row: row.redis_us_per_token,
}
COLUMNS = ("load", "host", "runs", "delivered", *FIGURES)


def comparison(rows: list[Row]) -> list[list[str]]:
    """Lines of the table: each load's two hosts, and the quotient; nothing where only one host was measured."""
    lines = []
    for name in dict.fromkeys(row.load.name for row in rows if row.host):
        of_load = [row for row in rows if row.load.name == name]
        hosts = {host: [row for row in of_load if row.host == host] for host in (SITE, EMBEDDED)}
        if all(hosts.values()):
            lines += [line(host, found) for host, found in hosts.items()]
            lines.append(quotient(of_load[0].load.title, hosts[SITE], hosts[EMBEDDED]))
    return lines


def line(host: str, rows: list[Row]) -> list[str]:
    """One host's medians."""
    delivered, expected = (sum(getattr(row.result.tally, name) for row in rows) for name in ("delivered", "expected"))
    figures = [shown(middle(rows, figure)) for figure in FIGURES.values()]
    return [rows[0].load.title, host, str(len(rows)), f"{delivered:,}/{expected:,}", *figures]


def quotient(title: str, ours: list[Row], theirs: list[Row]) -> list[str]:
    """The site's median as a multiple of the embedded host's."""
    cells = []
    for figure in FIGURES.values():
        one, other = middle(ours, figure), middle(theirs, figure)
        cells.append(f"× {one / other:.1f}" if one is not None and other else "–")
    return [title, f"{SITE} / {EMBEDDED}", "", "", *cells]


def middle(rows: list[Row], figure: Figure) -> float | None:
    """The median of the rows that have the figure."""
    found = [value for row in rows if (value := figure(row)) is not None]
    return median(found) if found else None


def shown(value: float | None) -> str:
    """A figure, or a dash."""
    return "–" if value is None else f"{value:.1f}"
