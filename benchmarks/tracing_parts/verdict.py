"""What a run has found, line by line, and what it must be."""

from __future__ import annotations

from typing import Any

import msgspec


class Line(msgspec.Struct, frozen=True):
    """One line of the table."""

    what: str
    measured: str
    must: str = ""
    is_met: bool | None = None
    """`None`: for comparison only."""


class Part(msgspec.Struct):
    """What one part gives."""

    lines: list[Line]
    figures: dict[str, Any]
    """As its own program printed them."""
    skipped: list[str] = []
    """What was not measured, and why."""


class Report(msgspec.Struct):
    """The whole of a run."""

    machine: dict[str, Any]
    is_quick: bool
    date: str
    parts: dict[str, Part] = {}
    failures: list[str] = []
    """Parts that broke off, and how."""
    load: dict[str, float] = {}
    """The machine's load, over a minute, before each part."""

    @property
    def missed(self) -> list[Line]:
        """Targets that were not met."""
        return [line for part in self.parts.values() for line in part.lines if line.is_met is False]


def at_most(what: str, value: float, most: float, unit: str, more: str = "") -> Line:
    """A line whose value must not be larger."""
    return Line(what, f"{value:,g} {unit}{more}", f"≤ {most:,g} {unit}", value <= most)


def at_least(what: str, value: float, least: float, unit: str, more: str = "") -> Line:
    """A line whose value must not be smaller."""
    return Line(what, f"{value:,.0f} {unit}{more}", f"≥ {least:,.0f} {unit}", value >= least)


HEAD = ("what", "measured", "must", "met")


def text_of(report: Report, markdown: bool) -> str:
    """The report for people."""
    about = report.machine
    rows = [row_of(line) for part in report.parts.values() for line in part.lines]
    found = [
        f"{about['cpu']}, {about['cores']} cores, {about['memory_gib']} GiB, {about['system']}, "
        f"Python {about['python']}, commit {about['commit']}, {report.date}",
        "load before each part: " + ", ".join(f"{name} {load:.1f}" for name, load in report.load.items()),
        "",
        *(markdown_table(rows) if markdown else plain_table(rows)),
        "",
        *(f"Not measured: {each}" for part in report.parts.values() for each in part.skipped),
        *(f"Failed: {each}" for each in report.failures),
        *(["Quick: too short to judge."] if report.is_quick else []),
    ]
    return "\n".join(found)


def row_of(line: Line) -> tuple[str, ...]:
    """The cells of a line."""
    met = "" if line.is_met is None else "yes" if line.is_met else "NO"
    return (line.what, line.measured, line.must, met)


def plain_table(rows: list[tuple[str, ...]]) -> list[str]:
    """Columns in line."""
    widths = [max(len(row[place]) for row in [HEAD, *rows]) for place in range(len(HEAD))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in [HEAD, *rows]
    ]


def markdown_table(rows: list[tuple[str, ...]]) -> list[str]:
    """For documents."""
    return [f"| {' | '.join(row)} |" for row in (HEAD, ("---",) * len(HEAD), *rows)]


def as_json(report: Report) -> bytes:
    """For programs."""
    whole = msgspec.to_builtins(report) | {"missed": [line.what for line in report.missed]}
    return msgspec.json.format(msgspec.json.encode(whole), indent=2) + b"\n"
