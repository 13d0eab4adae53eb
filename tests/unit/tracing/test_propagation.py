"""Traces across processes, by the header `traceparent`."""

from __future__ import annotations

import pytest

from ai_assistant import tracing
from ai_assistant.tracing import testing
from ai_assistant.tracing.propagation import parsed

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HEADER = f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize(
    "header",
    [
        "", "nonsense", HEADER[:-1], HEADER + "-more", f"ff-{TRACE}-{SPAN}-01", f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01", f"00-{TRACE[:-1]}g-{SPAN}-01", None,
    ],
)  # fmt: skip
def test_headers_that_are_not_valid_are_as_if_they_were_not_there(header):
    assert parsed(header) is None
    with testing.recorded() as traces:
        with tracing.continue_trace(header), tracing.span("s"):
            pass
        assert traces.named("s")["parent"] == ""


def test_a_later_version_with_more_parts_is_read():
    assert parsed(f"cc-{TRACE}-{SPAN}-01-what-the-future-has").trace_id == TRACE


def test_a_trace_goes_on_below_another_programs_observation():
    with testing.recorded() as traces:
        for headers in ({"TraceParent": HEADER}, {b"traceparent": HEADER.encode()}, HEADER):
            with tracing.continue_trace(headers), tracing.span("root"), tracing.span("leaf"):
                assert tracing.traceparent() == f"00-{TRACE}-{tracing.current().id}-01"
        rows = traces.observations()
    assert {row["trace"] for row in rows} == {TRACE}
    roots = [row for row in rows if row["title"] == "root"]
    assert [row["parent"] for row in roots] == [SPAN] * 3
    segments = {event.segment for event in traces.events if event.span}
    assert len(segments) == 3  # each counts its own events
    assert tracing.current().is_recording is False


def test_what_is_not_kept_elsewhere_is_not_kept_here():
    with testing.recorded() as traces:
        with tracing.continue_trace(HEADER[:-1] + "0"), tracing.span("s"):
            assert tracing.traceparent().endswith("-00")
            assert tracing.traceparent()[3:35] == TRACE
        with tracing.span("after"):
            pass
        assert traces.tree() == ["after"]


def test_inject_and_extract():
    with testing.recorded():
        assert tracing.inject({}) == {}
        with tracing.span("s") as span:
            headers = tracing.inject({"Accept": "*/*"})
    assert tracing.extract(headers) == f"00-{span.trace_id}-{span.id}-01"
    assert tracing.extract({}) is None
