"""`export_trace`: a whole trace as a document, small or large, as JSON and as OTLP/JSON; who looked is recorded."""

from __future__ import annotations

import gzip
import json
import secrets
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import httpx
import pytest

from .client import Client
from .conftest import Host
from .traces import Program, new_span, new_trace, now_us, stored

LONG = 120_000


@pytest.fixture(scope="module")
def large(user: Client) -> str:
    """A trace of about 10 MB."""
    program, trace, base = Program(user), new_trace(), now_us()
    spans = [new_span() for _ in range(80)]
    events = [
        program.event(
            "whole", trace, span, at=base + i, parent="" if i == 0 else spans[0], title=f"step {i}",
            started_at=base + i, ended_at=base + i + 1, output=secrets.token_hex(LONG // 2),
        )
        for i, span in enumerate(spans)
    ]  # fmt: skip
    program.send(events, size=5)
    stored(user, trace, lambda found: len(found["observations"]) == 80)
    return trace


def export(client: Client, trace: str, **more: str) -> httpx.Response:
    """The download."""
    response = client.request("export_trace", "GET", params={"trace": trace, **more})
    assert response.status_code == 200, response.text[:500]
    assert response.headers["content-type"].startswith("application/json")
    assert response.headers["content-disposition"].startswith(f'attachment; filename="trace-{trace}')
    return response


def test_json_has_everything(user: Client, program: Program) -> None:
    trace = program.traced(title="to export", question="Q\u2028<b>😀", tags=["a", "b"], metadata='{"k": [1, 2]}')
    found = export(user, trace).json()
    assert (found["format"], found["version"]) == ("ai-assistant-trace", 1)
    row = found["trace"]
    assert (row["trace"], row["title"], row["user"]) == (trace, "to export", user.user)
    assert sorted(row["tags"]) == ["a", "b"]
    assert row["metadata"] == {"k": [1, 2]}
    assert row["input"] == "Q\u2028<b>😀"
    assert isinstance(row["started_at"], int)
    assert row["started_at"] > 1_700_000_000_000_000
    by_type = {each["type"]: each for each in found["observations"]}
    assert by_type["generation"]["input"] == "Q\u2028<b>😀"
    assert by_type["generation"]["reasoning"] == "Hm."
    assert by_type["generation"]["cost"] == 0.25
    assert by_type["generation"]["parent"] == by_type["span"]["span"]
    assert by_type["tool"]["input"] == '{"q": 1}'
    for each in (row, *found["observations"]):
        assert not {"search_text", "places", "versions", "modified_by"} & set(each)


def test_otlp_has_everything(user: Client, program: Program) -> None:
    trace = program.traced(title="to export", question="What for?")
    [resource] = export(user, trace, format="otlp").json()["resourceSpans"]
    spans = [span for scope in resource["scopeSpans"] for span in scope["spans"]]
    assert {span["traceId"] for span in spans} == {trace}
    assert len(spans) == 3
    assert {span["name"] for span in spans} >= {"work"}
    assert "What for?" in json.dumps(spans)


@pytest.mark.parametrize("kind", ["json", "otlp"])
@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_a_large_one(user: Client, large: str, encoding: str, kind: str) -> None:
    """It comes in pieces, compressed where the client accepts that; the host does not hold all of it."""
    given: dict[str, Any] = {"params": {"trace": large, "format": kind}, "headers": {"Accept-Encoding": encoding}}
    with user.http.stream("GET", "/api/method/ai_assistant.api.export_trace", **given) as response:
        assert response.status_code == 200
        raw = b"".join(response.iter_raw())
    if response.headers.get("content-encoding") == "gzip":
        assert encoding == "gzip"
        assert len(raw) < 80 * LONG * 0.7
        raw = gzip.decompress(raw)
    else:
        assert int(response.headers["content-length"]) == len(raw)
    assert len(raw) > 80 * LONG
    found = json.loads(raw)
    count = len(found["observations"]) if kind == "json" else raw.count(b'"traceId"')
    assert count == 80


def test_who_goes_away_leaves_nothing_behind(user: Client, large: str) -> None:
    for _ in range(3):
        given = {"params": {"trace": large}}
        with user.http.stream("GET", "/api/method/ai_assistant.api.export_trace", **given) as response:
            next(response.iter_raw())
    assert user.get("get_trace", trace=large)["trace"]["trace"] == large


def test_foreign_ones(other: Client, reviewer: Client, large: str, guest: Client) -> None:
    assert other.request("export_trace", "GET", params={"trace": large}).status_code == 404
    assert guest.request("export_trace", "GET", params={"trace": large}).status_code == 403
    assert export(reviewer, large).json()["trace"]["trace"] == large
    assert other.request("export_trace", "POST", json={"trace": large}).status_code == 403


@pytest.mark.parametrize("first", ["get_trace", "get_trace_payload", "export_trace"])
def test_a_look_is_recorded_once(
    host: Host, user: Client, reviewer: Client, administrator: Client, program: Program, first: str
) -> None:
    """Read from the embedded host's database: no endpoint tells it."""
    if host.process is None:
        pytest.skip("looks into the database of a host that the suite started itself")
    trace, nobodys = program.traced(), Program(administrator).traced()
    database = host.process.folder / "data" / "assistant.db"

    def views(trace: str = trace) -> list[tuple[str, str]]:
        with closing(sqlite3.connect(database)) as connection:
            return connection.execute(
                "select viewer, trace_user from ai_trace_view where trace = ?", (trace,)
            ).fetchall()

    user.get("get_trace", trace=trace)
    reviewer.get("get_traces", search="work")
    reviewer.get("get_trace", trace=nobodys)
    assert views() == views(nobodys) == [], "one's own, nobody's, and lists, are no looks"
    looks: dict[str, Callable[[], Any]] = {
        "get_trace": lambda: reviewer.get("get_trace", trace=trace),
        "get_trace_payload": lambda: reviewer.get("get_trace_payload", trace=trace, field="input"),
        "export_trace": lambda: export(reviewer, trace),
    }
    began = time.time() // 3600
    looks[first]()
    assert views() == [(reviewer.user, user.user)]
    for look in looks.values():
        look()
        look()
    if time.time() // 3600 == began:
        assert len(views()) == 1
    user.call("delete_trace", trace=trace)
    assert views() == []
