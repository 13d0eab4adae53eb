"""The text that Prometheus reads."""

from __future__ import annotations

import math
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_assistant.core.metrics import (
    Family,
    Histogram,
    Sample,
    counter,
    gauge,
    gauges,
    number,
    probe_families,
    render,
)
from tests.prometheus import Page, program


def test_a_page() -> None:
    text = render([gauge("a", "What\nit \\ is.", 1.5, b='say "hi"\\'), Family("none", "gauge", "x", [])])
    assert text == (
        "# HELP ai_assistant_a What\\nit \\\\ is.\n"
        "# TYPE ai_assistant_a gauge\n"
        'ai_assistant_a{b="say \\"hi\\"\\\\"} 1.5\n'
    )


@given(st.text(), st.floats())
def test_any_label_and_value_come_back(label: str, value: float) -> None:
    text = render([Family("x", "gauge", label, [Sample(value, {"l": label})])])
    known = label.encode("utf-8", "replace").decode()
    text.encode()
    found = Page(text.replace("\r", "r")).get("x", l=known.replace("\r", "r"))
    assert found == value or (found is not None and math.isnan(found) and math.isnan(value))


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (7.0, "7"), (0.5, "0.5"), (math.inf, "+Inf"), (-math.inf, "-Inf"), (math.nan, "NaN"), (1e300, "1e+300")],
)
def test_numbers(value: float, text: str) -> None:
    assert number(value) == text


def test_buckets_hold_those_below_them_and_their_bound_itself() -> None:
    counted = Histogram((0.1, 0.5, 1.0))
    for value in (0.05, 0.1, 0.3, 0.5, 0.500001, 7.0):
        counted.observe(value)
    page = Page(render([counted.family("h_seconds", "h")]))
    found = {le: page.get("h_seconds_bucket", le=le) for le in ("0.1", "0.5", "1", "+Inf")}
    assert found == {"0.1": 2, "0.5": 4, "1": 5, "+Inf": 6}
    assert page["h_seconds_count"] == 6
    assert page["h_seconds_sum"] == pytest.approx(8.450001)


def test_a_probe_that_lost_its_event_has_no_delivery() -> None:
    page = Page(render(probe_families(1000.5, {"direct": 0.25, "address": None}, {"direct": 0.1})))
    assert page["probe_timestamp_seconds"] == 1000.5
    assert page.get("probe_success", path="direct") == 1
    assert page.get("probe_success", path="address") == 0
    assert page.get("probe_delivery_seconds", path="direct") == 0.25
    assert page.get("probe_delivery_seconds", path="address") is None


def test_prometheus_own_checker_accepts_it() -> None:
    counted = Histogram((0.1, 0.5))
    counted.observe(0.3)
    families = [
        gauges("apples", "A.", "k", {'"\\\n': 1}),
        counter("balls_total", "B.", 3),
        counted.family("wait_seconds", "C."),
        Family("gen_ai_x_seconds", "histogram", "D.", counted.samples({"model": "m"})),
    ]
    assert '\ngen_ai_x_seconds_bucket{model="m",le="0.1"} 0\n' in render(families), "a name of others has no prefix"
    run = subprocess.run(
        [program("promtool"), "check", "metrics"], input=render(families), capture_output=True, text=True, timeout=30
    )
    assert run.returncode == 0, run.stderr
