"""What callers say of traces, read and refused."""

from __future__ import annotations

from typing import Any

import pytest

from ai_assistant.core.errors import ValidationError
from ai_assistant.core.trace import STATUSES, TraceFilter
from ai_assistant.core.trace_filters import moment, span_id, trace_filter, trace_id

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "00f067aa0ba902b7"


def refused(**arguments: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        trace_filter(arguments)
    return caught.value.message


def test_nothing_asked_is_no_filter():
    assert trace_filter({}) == TraceFilter()
    assert trace_filter(dict.fromkeys(TraceFilter.__struct_fields__, "")) == TraceFilter()
    assert trace_filter(dict.fromkeys(TraceFilter.__struct_fields__)) == TraceFilter()


def test_all_filters_by_the_strings_of_a_query():
    found = trace_filter(
        {
            "user": "ann@example.com",
            "model": "gpt-5",
            "status": "failed",
            "since": "2026-01-02T03:04:05Z",
            "until": "1800000000000",
            "conversation": "c1",
            "session": "s1",
            "tag": "night",
            "min_cost": "0.5",
            "max_cost": "2",
            "min_duration_ms": "10",
            "max_duration_ms": "20",
            "reference_doctype": "Sales Invoice",
            "reference_name": "SI-1",
            "environment": "production",
            "service": "labels",
            "source": "sdk",
            "complete": "false",
            "search": "  label receipt ",
        }
    )
    assert found.since == 1_767_323_045_000_000
    assert found.until == 1_800_000_000_000_000
    assert (found.min_cost, found.max_cost) == (0.5, 2.0)
    assert (found.min_duration_ms, found.max_duration_ms) == (10, 20)
    assert found.complete is False
    assert found.search == "label receipt"
    assert all(getattr(found, name) is not None for name in TraceFilter.__struct_fields__)


@pytest.mark.parametrize("status", STATUSES)
def test_each_status(status: str):
    assert trace_filter({"status": status}).status == status


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-01-02T03:04:05", 1_767_323_045_000_000),
        ("2026-01-02 03:04:05.000001", 1_767_323_045_000_001),
        ("2026-01-02T04:04:05+01:00", 1_767_323_045_000_000),
        ("2026-01-02", 1_767_312_000_000_000),
        ("1969-12-31T23:59:59Z", 0),
        (1_767_323_045_000, 1_767_323_045_000_000),
        (1_767_323_045_000.25, 1_767_323_045_000_250),
        ("1767323045000.25", 1_767_323_045_000_250),
        (0, 0),
        (None, None),
        ("", None),
    ],
)
def test_times(value: Any, expected: int | None):
    assert moment("since", value) == expected


@pytest.mark.parametrize(
    "value",
    [-1, 10**20, -(10**400), 1e300, float("nan"), float("inf"), True, [], {}, "soon", "2026-13-01", "x" * 5000, "١٢٣",
     "1" * 16, "\x00", "\ud800"],
)  # fmt: skip
def test_what_is_no_time(value: Any):
    for field in ("since", "until"):
        message = refused(**{field: value})
        assert message.startswith(f"{field}: must be "), message
        message.encode()


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("status", "done", "must be one of running"),
        ("status", 1, "must be one of"),
        ("user", 5, "must be a string, not a number"),
        ("model", "x" * 141, "141 characters; at most 140"),
        ("tag", "a\x00b", "contains a NUL"),
        ("session", "\ud800", "lone surrogate"),
        ("min_cost", "free", "must be a number"),
        ("min_cost", -1, "must be between 0"),
        ("max_cost", 10**400, "must be a number"),
        ("max_cost", "NaN", "must be a number"),
        ("min_duration_ms", 1.5, "must be a whole number"),
        ("max_duration_ms", -1, "must be between 0"),
        ("complete", "perhaps", "must be true or false"),
        ("complete", 2, "must be true or false"),
        ("search", "x" * 201, "at most 200"),
        ("reference_name", ["a"], "must be a string, not a list"),
    ],
)
def test_a_refusal_names_its_field(field: str, value: Any, says: str):
    message = refused(**{field: value})
    assert message.startswith(f"{field}: "), message
    assert says in message


@pytest.mark.parametrize(
    ("low", "high", "values"),
    [
        ("since", "until", ("2026-01-02", "2026-01-01")),
        ("min_cost", "max_cost", (2, 1)),
        ("min_duration_ms", "max_duration_ms", (2, 1)),
    ],
)
def test_a_range_that_ends_before_it_begins(low: str, high: str, values: tuple[Any, Any]):
    assert refused(**{low: values[0], high: values[1]}).startswith(f"{high}: is less than {low}")
    trace_filter({low: values[1], high: values[1]})


def test_ids():
    assert trace_id(TRACE) == trace_id(TRACE.upper()) == TRACE
    assert span_id(SPAN.upper()) == SPAN
    assert span_id(None) == span_id("") == ""


@pytest.mark.parametrize("value", [None, "", "0" * 32, "g" * 32, TRACE[:-1], TRACE + "0", f" {TRACE[1:]}", 5, [TRACE]])
def test_what_is_no_trace(value: Any):
    with pytest.raises(ValidationError, match=r"^trace: (is missing|must be 32 hexadecimal digits)"):
        trace_id(value)


@pytest.mark.parametrize("value", ["0" * 16, TRACE, "x" * 16, 1, "\ud800" * 16, "İ" * 16])
def test_what_is_no_span(value: Any):
    with pytest.raises(ValidationError, match=r"^span: must be 16 hexadecimal digits"):
        span_id(value)
