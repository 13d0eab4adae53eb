"""`get_traces`: filters, pages, and bad input of every call of traces; large trees, many readers."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timezone
from typing import Any

import pytest

from .client import Client
from .conftest import Host
from .traces import Program, ids_of, new_span, new_trace, now_us, stored

FILTERS: list[tuple[dict[str, Any], bool]] = [
    ({"model": "gpt-wire"}, True),
    ({"model": "other"}, False),
    ({"status": "completed"}, True),
    ({"status": "failed"}, False),
    ({"session": "session-1"}, True),
    ({"session": "session-2"}, False),
    ({"tag": "night"}, True),
    ({"tag": "day"}, False),
    ({"min_cost": 0.2, "max_cost": "0.3"}, True),
    ({"min_cost": 0.3}, False),
    ({"max_cost": 0.2}, False),
    ({"min_duration_ms": 60, "max_duration_ms": 60}, True),
    ({"min_duration_ms": 61}, False),
    ({"max_duration_ms": "59"}, False),
    ({"reference_doctype": "User", "reference_name": "Administrator"}, True),
    ({"reference_doctype": "User", "reference_name": "Guest"}, False),
    ({"environment": "testing"}, True),
    ({"environment": "production"}, False),
    ({"service": "wire"}, True),
    ({"service": "none"}, False),
    ({"source": "sdk"}, True),
    ({"complete": True}, True),
    ({"complete": "false"}, False),
    ({"conversation": "none"}, False),
    ({"search": "small"}, True),
    ({"search": "SMALL one"}, True),
    ({"search": "model look"}, True),
    ({"search": "Xylophong"}, False),
    ({"search": "small nowhere"}, False),
    ({"since": "2020-01-01"}, True),
    ({"since": "2020-01-01T00:00:00+01:00", "until": "2120-01-01T00:00:00Z"}, True),
    ({"until": "2020-01-01"}, False),
    ({"until": 1577836800000}, False),
]


@pytest.mark.parametrize(("wanted", "is_there"), FILTERS, ids=[str(case[0]) for case in FILTERS])
def test_filters(user: Client, trace: str, wanted: dict[str, Any], is_there: bool) -> None:
    assert (trace in ids_of(user.call("get_traces", limit=200, **wanted))) == is_there
    assert (trace in ids_of(user.get("get_traces", limit=200, **wanted))) == is_there, "as a query, too"


def test_since_is_included_and_until_is_not(user: Client, trace: str) -> None:
    began = user.get("get_trace", trace=trace)["trace"]["started_at"]
    written = datetime.fromtimestamp(began / 1000, timezone.utc).isoformat()
    for at in (began, written):
        assert trace in ids_of(user.call("get_traces", since=at, limit=200))
        assert trace not in ids_of(user.call("get_traces", until=at, limit=200))


BAD: list[tuple[str, dict[str, Any], str]] = [
    *(("get_traces", {name: value}, name) for name, value in {
        "user": 5, "model": ["x"], "status": "done", "since": "soon", "until": -1, "conversation": "x" * 141,
        "session": {"a": 1}, "tag": "a\x00", "min_cost": "free", "max_cost": -1, "min_duration_ms": 1.5,
        "max_duration_ms": "long", "reference_doctype": True, "reference_name": "\ud800", "environment": 1.5,
        "service": ["a"], "source": "y" * 200, "complete": "perhaps", "search": "x" * 201, "limit": 201,
        "cursor": "not one",
    }.items()),
    ("get_traces", {"limit": 0}, "limit"),
    ("get_traces", {"limit": "many"}, "limit"),
    ("get_traces", {"cursor": "x" * 500}, "cursor"),
    ("get_traces", {"cursor": 5}, "cursor"),
    ("get_traces", {"since": "2026-02-30"}, "since"),
    ("get_traces", {"until": 10**20}, "until"),
    ("get_traces", {"since": "2026-02-02", "until": "2026-01-01"}, "until"),
    ("get_traces", {"min_cost": 2, "max_cost": 1}, "max_cost"),
    *(("get_trace", {"trace": value}, "trace") for value in (None, "", 5, "x", "0" * 32, "g" * 32, "\x00" * 32)),
    ("get_trace_payload", {"trace": "1" * 32}, "field"),
    ("get_trace_payload", {"trace": "1" * 32, "field": "everything"}, "field"),
    ("get_trace_payload", {"trace": "1" * 32, "field": "marks"}, "field"),
    ("get_trace_payload", {"trace": "1" * 32, "field": "input", "span": "x"}, "span"),
    ("get_trace_payload", {"trace": "1" * 32, "field": "input", "span": 5}, "span"),
    ("get_trace_payload", {"trace": "x", "field": "input"}, "trace"),
    ("delete_trace", {}, "trace"),
    ("delete_trace", {"trace": ["1" * 32]}, "trace"),
    ("acknowledge", {"seq": 1}, "task_id"),
    ("acknowledge", {"task_id": "x", "seq": 1}, "task_id"),
    ("acknowledge", {"task_id": "00000000-0000-4000-8000-000000000000"}, "seq"),
    ("acknowledge", {"task_id": "00000000-0000-4000-8000-000000000000", "seq": -1}, "seq"),
    ("acknowledge", {"task_id": "00000000-0000-4000-8000-000000000000", "seq": "x"}, "seq"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "arguments", "field"), BAD, ids=[f"{case[0]}-{case[1]!r:.60}" for case in BAD])
def test_bad_input_names_its_field(user: Client, method: str, arguments: dict[str, Any], field: str) -> None:
    refused = user.refused(method, **arguments)
    assert (refused.status, refused.exc_type) == (417, "ValidationError"), refused
    assert refused.message.startswith(f"{field}: "), refused.message
    assert "Traceback" not in refused.response.text


@pytest.mark.parametrize("params", [{}, {"trace": "x"}, {"trace": "1" * 32, "format": "xml"}])
def test_bad_input_of_an_export(user: Client, params: dict[str, str]) -> None:
    response = user.request("export_trace", "GET", params=params)
    assert response.status_code == 417
    assert ("format" if "format" in params else "trace") in response.text


def test_pages(user: Client) -> None:
    """Newest first, none twice, none left out, also while more are written."""
    program, session = Program(user), f"pages-{new_span()}"
    base = now_us() - 3_600_000_000
    made = [new_trace() for _ in range(25)]
    events = []
    for i, name in enumerate(made):
        at = base + i // 5 * 1000  # several began at the same time
        events += [
            program.event("trace", name, session=session),
            program.event("whole", name, new_span(), at=at, parent="", title=f"page {i}", started_at=at, ended_at=at),
        ]
    program.send(events)
    for name in made:
        stored(user, name, lambda found: found["trace"]["status"] == "completed")
    seen: list[dict[str, Any]] = []
    cursor: str | None = None
    for page in range(20):
        given = {"cursor": cursor} if cursor else {}
        found = user.get("get_traces", session=session, limit=4, **given)
        seen += found["traces"]
        cursor = found["cursor"]
        if page == 2:
            program.traced(session=session)
        if cursor is None:
            break
        assert len(found["traces"]) == 4
    assert sorted(row["trace"] for row in seen) == sorted(made)
    times = [row["started_at"] for row in seen]
    assert times == sorted(times, reverse=True)


def test_a_large_tree(user: Client) -> None:
    """20,000 observations, children and orphans and rings."""
    program, trace = Program(user), new_trace()
    spans = [f"{i + 1:016x}" for i in range(20_000)]
    base = now_us()

    def event(i: int) -> list[Any]:
        parent = "" if i == 0 else spans[i // 3]
        if i == 19_999:
            parent = new_span()
        return program.event(
            "whole", trace, spans[i], at=base + i, parent=parent, title=f"step {i}", started_at=base + i,
            ended_at=base + i + 1,
        )  # fmt: skip

    events = [event(i) for i in range(20_000)]
    for start in range(0, 20_000, 5000):
        program.send(events[start : start + 5000], compress=True)
    until = time.monotonic() + 90
    while (count := len(stored(user, trace)["observations"])) < 20_000:
        assert time.monotonic() < until, f"{count} of 20,000 are stored"
        time.sleep(0.5)
    rows = user.call("get_trace", trace=trace)["observations"]
    place = {row["span"]: i for i, row in enumerate(rows)}
    assert len(place) == 20_000
    for row in rows[1:-1]:
        if row["depth"]:
            assert place[row["parent"]] < place[row["span"]]
            assert rows[place[row["parent"]]]["depth"] == row["depth"] - 1
    assert [row["title"] for row in rows if not row["depth"]] == ["step 0", "step 19999"]


def test_reads_at_once(user: Client, host: Host, trace: str) -> None:
    """Also while traces are written."""
    failures: list[str] = []

    def read() -> None:
        with Client(host.url) as client:
            client.http.cookies.set("sid", user.sid)
            for _ in range(10):
                for method, arguments in (("get_traces", {"search": "small"}), ("get_trace", {"trace": trace})):
                    response = client.request(method, "GET", params=arguments)
                    if response.status_code != 200 or trace not in response.text:
                        failures.append(f"{method}: {response.status_code} {response.text[:200]}")

    threads = [threading.Thread(target=read) for _ in range(6)]
    for thread in threads:
        thread.start()
    writer = Program(user)
    for _ in range(5):
        writer.traced()
    for thread in threads:
        thread.join()
    assert not failures
