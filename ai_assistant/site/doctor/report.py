"""Shows results: to people as lines with colours, to monitoring as one JSON object per site."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import click
import msgspec

import ai_assistant
from ai_assistant.site.doctor.finding import ORDER, Finding
from ai_assistant.site.doctor.run import Result

SCHEMA = 1
"""Raised when a field changes its meaning or goes; new fields and new ids may come at any time."""

MARKS = {
    "ok": ("OK", "green"),
    "note": ("NOTE", "cyan"),
    "warning": ("WARNING", "yellow"),
    "failure": ("FAILURE", "red"),
}


def heading(site: str) -> str:
    """The first line."""
    return click.style(f"AI Assistant {ai_assistant.__version__} on {site}", bold=True)


def lines(result: Result) -> list[str]:
    """A check for people. click leaves the colours out where the output is no terminal."""
    return [
        "",
        click.style(result.title, bold=True),
        *(line for each in result.findings for line in finding_lines(each)),
    ]


def finding_lines(finding: Finding) -> list[str]:
    """The state and the text, and below it what to do."""
    mark, colour = MARKS[finding.state]
    found = [f"  {click.style(mark.ljust(8), fg=colour)}{finding.text}"]
    return found + [f"          {click.style('→', fg=colour)} {line}" for line in finding.fix]


def closing(results: list[Result]) -> str:
    """The last line: how many of each."""
    counts = counted(results)
    if not counts["failure"] and not counts["warning"]:
        return click.style("\nAll is well.", fg="green")
    words = [
        f"{counts[state]} {word}"
        for state, word in (("failure", "failure(s)"), ("warning", "warning(s)"))
        if counts[state]
    ]
    return click.style(f"\n{', '.join(words)}.", fg="red" if counts["failure"] else "yellow")


def counted(results: list[Result]) -> Counter[str]:
    """How many findings are in each state."""
    return Counter(finding.state for result in results for finding in result.findings)


def healthy(results: list[Result]) -> bool:
    """Whether nothing failed."""
    return not counted(results)["failure"]


def document(site: str, results: list[Result]) -> dict[str, Any]:
    """The report for monitoring. `v` is its schema; `checks[].findings[].id` is stable."""
    counts = counted(results)
    return {
        "v": SCHEMA,
        "site": site,
        "version": ai_assistant.__version__,
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "ok": healthy(results),
        "counts": {state: counts[state] for state in ORDER},
        "checks": msgspec.to_builtins(results),
    }
