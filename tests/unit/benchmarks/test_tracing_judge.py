"""How the benchmark of traces judges what its parts found."""

from __future__ import annotations

import json
from datetime import date

import pytest

from benchmarks.tracing_parts import judge
from benchmarks.tracing_parts.verdict import Line, Part, Report, as_json, text_of

SPAN = {"caller_us": 10.0, "process_us": 40.0, "caller_best_us": 9.5}
STEADY = {"chats": 1100, "without_trace": 0, "not_whole": 0, "dead_letters": 0, "foreign": 0, "grown": 0.01}


def verdicts(lines: list[Line]) -> list[bool | None]:
    """In their order."""
    return [line.is_met for line in lines]


@pytest.mark.parametrize(
    ("caller", "process", "expected"),
    [(31.0, 41.0, [True, True, True]), (29.0, 41.0, [True, False, True]), (31.0, 39.0, [True, True, False])],
)
def test_a_span_is_held_to_the_other_library_of_the_same_run(caller: float, process: float, expected: list[bool]):
    other = {"caller_us": caller, "process_us": process, "caller_best_us": caller}
    found = judge.spans({"ours": SPAN, "opentelemetry": other})
    assert verdicts(found) == [*expected, None]


def test_a_span_alone_is_held_to_the_clock_only():
    slow = {**SPAN, "caller_us": 15.2}
    assert verdicts(judge.spans({"ours": slow, "xadd": SPAN})) == [False, None]


def test_the_slowest_filter_counts():
    times = {"first": 1.0, "median": 10.0, "worst": 20.0}
    slow = {"first": 1.0, "median": 201.0, "worst": 250.0}
    figures = {
        "traces": 100_000,
        "tree_size": 20_000,
        "http": {"none": times, "a tag": slow},
        "store": {"none": times, "a tag": times},
        "tree": {"plain": {**times, "bytes": 5}, "gzip": {**times, "median": 501.0, "bytes": 5}},
    }
    found = judge.stored(figures)
    assert verdicts(found) == [False, True, True, False]
    assert "a tag" in found[0].measured


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, [True, True]),
        ({"grown": 0.031}, [False, True]),
        ({"grown": -0.05}, [False, True]),
        ({"not_whole": 1}, [True, False]),
        ({"dead_letters": 2, "without_trace": 1}, [True, False]),
    ],
)
def test_memory_and_losses(changed: dict[str, float], expected: list[bool]):
    found = judge.steady({**STEADY, "rss_mib": {"200": 100.0, "1000": 101.0}, **changed})
    assert verdicts(found) == expected


def test_a_report_names_what_was_missed():
    lines = [Line("speed", "9 /s", "≥ 10 /s", False), Line("… of another", "3 /s")]
    machine = {"cpu": "a", "cores": 2, "memory_gib": 1, "system": "b", "python": "3", "commit": None}
    report = Report(machine=machine, is_quick=False, date=date(2026, 1, 2).isoformat(), load={"store": 0.5})
    report.parts["store"] = Part(lines, {"per_s": 9}, ["langfuse: is not installed"])
    report.failures.append("chat: it ended")
    assert [line.what for line in report.missed] == ["speed"]
    assert json.loads(as_json(report))["missed"] == ["speed"]
    for markdown in (False, True):
        text = text_of(report, markdown)
        for words in ("speed", "NO", "Not measured: langfuse", "Failed: chat", "store 0.5", "2026-01-02"):
            assert words in text
    assert "| speed | 9 /s | ≥ 10 /s | NO |" in text_of(report, True)
