"""The report: tables for people, JSON for programs."""

from __future__ import annotations

from typing import Any

import msgspec

from . import compare
from .gateway_alone import Figures
from .row import Check, Row
from .stats import Latency


class Report(msgspec.Struct, kw_only=True):
    """All that was measured."""

    machine: dict[str, Any]
    is_quick: bool
    rows: list[Row] = []
    gateway: list[Figures] = []
    checks: list[Check] = []
    """Of what is no load on the wire: the gateway alone, the imports."""
    skipped: list[str] = []
    """What was not measured, and why."""
    failures: list[str] = []
    """Loads whose host or proxy failed."""

    @property
    def is_void(self) -> bool:
        """Whether any load measured the generator."""
        return any(row.is_void for row in self.rows)

    @property
    def is_met(self) -> bool:
        """Whether every target was reached. A quick run judges only delivery: it is too short for the rest."""
        if self.is_quick:
            return all(row.checks[0].met for row in self.rows if row.checks)
        return all(row.is_met for row in self.rows) and all(check.met for check in self.checks)

    def as_json(self) -> bytes:
        """The report with its verdicts."""
        rows = [
            msgspec.to_builtins(row)
            | {"is_void": row.is_void, "is_met": row.is_met, "events_per_token": row.events_per_token}
            for row in self.rows
        ]
        whole = msgspec.to_builtins(self) | {"rows": rows, "is_void": self.is_void, "is_met": self.is_met}
        return msgspec.json.format(msgspec.json.encode(whole), indent=2) + b"\n"


COLUMNS = (
    "load",
    "path",
    "delivered",
    "p50 ms",
    "p95 ms",
    "p99 ms",
    "first event ms",
    "CPU µs/token",
    "Redis µs/token",
    "events/token",
    "peak RSS MiB",
    "upstream CPU",
    "clients CPU",
    "must",
    "was",
)
#: From this share of waiting for a core on, the report says so.
BUSY = 0.02


def number(value: float | None, digits: int = 1) -> str:
    """A figure, or a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def cells_of(row: Row) -> list[str]:
    """One line of the table."""
    result, tally = row.result, row.result.tally
    latency, first = result.latency, result.first_event
    verdict = "; ".join(f"{check.was}{'' if check.met else ' ✗'}" for check in row.checks) or "–"
    return [
        row.load.title + (" (void)" if row.is_void else ""),
        f"{row.load.path}, {row.host}" if row.host else row.load.path,
        f"{tally.delivered:,}/{tally.expected:,}",
        *(number(getattr(latency, name)) if isinstance(latency, Latency) else "–" for name in ("p50", "p95", "p99")),
        number(first.p50 if first else None),
        number(row.cpu_us_per_token, 0),
        number(row.redis_us_per_token, 0),
        number(row.events_per_token, 2),
        number(row.peak_rss_mib, 0),
        f"{row.upstream_core:.0%}",
        f"{row.client_core:.0%}",
        "; ".join(check.must for check in row.checks) or "–",
        verdict,
    ]


def table(columns: tuple[str, ...], lines: list[list[str]], markdown: bool) -> str:
    """A table, in Markdown or in columns for a terminal."""
    if markdown:
        rows = [list(columns), ["---"] * len(columns), *lines]
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)
    widths = [max(len(line[i]) for line in [list(columns), *lines]) for i in range(len(columns))]
    rows = [list(columns), ["-" * width for width in widths], *lines]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def text_of(report: Report, markdown: bool) -> str:
    """The whole report for a person."""
    told = report.machine
    versions = ", ".join(f"{name} {version}" for name, version in told["versions"].items())
    parts = [
        f"{told['cpu']}, {told['cores']} cores, {told['memory_gib']} GiB, {told['system']}, Python {told['python']}; "
        f"{versions}; commit {told['commit']}; load before the run {told['load_before']}.",
    ]
    if report.rows:
        parts.append(table(COLUMNS, [cells_of(row) for row in report.rows], markdown))
    if lines := compare.comparison(report.rows):
        parts.append(table(compare.COLUMNS, lines, markdown))
    if report.gateway:
        lines = [
            [f.reader, f.pace, f"{f.delivered:,}/{f.expected:,}", number(f.cpu_us_per_token)] for f in report.gateway
        ]
        parts.append(table(("reader alone", "pace", "delivered", "CPU µs/token"), lines, markdown))
    if report.checks:
        lines = [[check.must, check.was, "yes" if check.met else "NO"] for check in report.checks]
        parts.append(table(("must", "was", "met"), lines, markdown))
    parts += [f"Not measured: {why}" for why in report.skipped]
    parts += [f"FAILED: {failure}" for failure in report.failures]
    parts += [problem for row in report.rows for problem in problems_of(row)]
    parts.append(verdict_of(report))
    return "\n\n".join(parts)


def problems_of(row: Row) -> list[str]:
    """What went wrong in a load, and where its generator was late."""
    lines = [f"{row.load.name}: {problem}" for problem in row.result.tally.problems]
    if row.cpu_parts:
        costs = ", ".join(f"{name} {cost:.0f}" for name, cost in row.cpu_parts.items())
        lines.append(f"{row.load.name}: CPU µs/token of {costs}")
    late = row.upstream
    if late.late_tokens:
        share = late.late_tokens / max(1, late.tokens)
        most = f"at most {late.latest_ms:g} ms"
        lines.append(f"{row.load.name}: the upstream wrote {share:.2%} of its tokens over 5 ms late ({most})")
    if row.waited_core is not None and row.waited_core > BUSY:
        lines.append(f"{row.load.name}: the serving process waited for a core in {row.waited_core:.0%} of the time")
    if row.marks:
        lines.append(f"{row.load.name}: {memory_of(row)}")
    return lines


def memory_of(row: Row) -> str:
    """What the processes held at each mark."""
    marks = [f"{mark['rss_mib']} + {mark['redis_rss_mib']} MiB" for mark in row.marks.values()]
    return f"serving process + Redis after {' and '.join(row.marks)} chats: {', then '.join(marks)}"


def verdict_of(report: Report) -> str:
    """The last line."""
    if report.is_void:
        names = ", ".join(row.load.title for row in report.rows if row.is_void)
        return f"VOID: upstream or clients used over 80 % of a core in: {names}. What was measured is the generator."
    if report.failures:
        return "Some loads could not be measured."
    if report.is_quick:
        return "A quick run: " + ("everything was delivered." if report.is_met else "NOT everything was delivered.")
    return "Every target was reached." if report.is_met else "NOT every target was reached."
