"""`get_traces`, `get_trace`, `get_trace_payload`: what people see of traces, and what they do not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import Any

import pytest

from .chunks import answer, thought
from .client import Client
from .conftest import Host
from .host import MANAGER, REVIEWER
from .script import Script
from .traces import Program, new_span, new_trace, now_us, stored

Ask = Callable[..., tuple[dict[str, Any], Script]]

PAYLOADS = ("input", "output", "reasoning", "metadata", "marks", "error_stack")
QUESTION, ANSWER = "A question about Xylophongärten", "An answer about Quastenflosser"


@pytest.fixture(scope="module")
def program(user: Client) -> Program:
    """A program of the first user."""
    return Program(user)


@pytest.fixture(scope="module")
def trace(program: Program) -> str:
    """A small trace of the first user's."""
    return program.traced(
        title="The small one",
        question=QUESTION,
        answer=ANSWER,
        session="session-1",
        environment="testing",
        tags=["night", "labels"],
        reference_doctype="User",
        reference_name="Administrator",
    )


@pytest.fixture(scope="module")
def reviewer(host: Host, people: Callable[[str, str], Client]) -> Client:
    """Somebody whose only role is AI Trace Reviewer."""
    return people(REVIEWER, "AI Trace Reviewer")


@pytest.fixture(scope="module")
def manager(host: Host, people: Callable[[str, str], Client]) -> Client:
    """Somebody whose only role is AI Manager."""
    return people(MANAGER, "AI Manager")


def names(found: dict[str, Any]) -> list[str]:
    """The ids of a page."""
    return [row["trace"] for row in found["traces"]]


def test_the_tree(user: Client, trace: str) -> None:
    found = user.get("get_trace", trace=trace)
    row = found["trace"]
    assert row["trace"] == trace
    assert row["title"] == "The small one"
    assert row["status"] == "completed"
    assert row["observation_count"] == 3
    assert row["duration_ms"] == 60
    assert row["ended_at"] - row["started_at"] == 60
    assert (row["prompt_tokens"], row["completion_tokens"], row["total_tokens"]) == (7, 5, 12)
    assert row["cost"] == 0.25
    assert row["model"] == "gpt-wire"
    assert sorted(row["tags"]) == ["labels", "night"]
    assert found["payloads"] is True
    root, call, tool = found["observations"]
    assert [each["depth"] for each in (root, call, tool)] == [0, 1, 2]
    assert [each["type"] for each in (root, call, tool)] == ["span", "generation", "tool"]
    assert (call["parent"], tool["parent"]) == (root["span"], call["span"])
    assert call["input_chars"] == len(QUESTION)
    assert call["output_chars"] == len(ANSWER)
    assert call["reasoning_kept"] == 3


def test_no_list_and_no_tree_holds_a_payload(user: Client, trace: str) -> None:
    for response in (
        user.request("get_traces", "GET", params={"limit": 200}),
        user.request("get_traces", "GET", params={"search": "small"}),
        user.request("get_trace", "GET", params={"trace": trace}),
    ):
        assert response.status_code == 200
        assert trace in response.text
        for word in ("Xylophong", "Quastenfl", "Hm."):
            assert word not in response.text
    for row in [*user.get("get_traces")["traces"], *user.get("get_trace", trace=trace)["observations"]]:
        assert not set(PAYLOADS) & set(row)


def test_payloads_one_by_one(user: Client, trace: str) -> None:
    root, call, tool = user.get("get_trace", trace=trace)["observations"]

    def payload(field: str, span: str | None = None) -> Any:
        given = {"trace": trace, "field": field} | ({"span": span} if span else {})
        found = user.get("get_trace_payload", **given)
        assert (found["trace"], found["span"], found["field"]) == (trace, span, field)
        return found["text"]

    assert payload("input", call["span"]) == QUESTION
    assert payload("output", call["span"]) == ANSWER
    assert payload("reasoning", call["span"]) == "Hm."
    assert payload("input", tool["span"]) == '{"q": 1}'
    assert payload("output", tool["span"]) is None
    assert payload("input") == payload("input", root["span"]) == QUESTION
    assert payload("input", new_span()) is None, "an observation that is not there has none"


def test_foreign_and_unknown_traces_are_the_same(other: Client, manager: Client, trace: str) -> None:
    """404 for everything, with the same words but for the id."""
    for client in (other, manager):
        for method, more in (
            ("get_trace", {}),
            ("get_trace_payload", {"field": "input"}),
            ("delete_trace", {}),
        ):
            texts = []
            for name in (trace, new_trace()):
                refused = client.refused(method, trace=name, **more)
                assert (refused.status, refused.exc_type) == (404, "DoesNotExistError")
                texts.append(refused.message.replace(name, ""))
            assert texts[0] == texts[1]
        response = client.request("export_trace", "GET", params={"trace": trace})
        assert response.status_code == 404
        assert trace not in names(client.call("get_traces", limit=200))


def test_reviewers_see_all(reviewer: Client, host: Host, trace: str) -> None:
    found = reviewer.get("get_trace", trace=trace)
    assert found["trace"]["user"] == host.user
    assert trace in names(reviewer.get("get_traces", user=host.user, session="session-1"))
    call = found["observations"][1]["span"]
    assert reviewer.get("get_trace_payload", trace=trace, span=call, field="input")["text"] == QUESTION
    refused = reviewer.refused("delete_trace", trace=trace)
    assert (refused.status, refused.exc_type) == (403, "PermissionError")
    assert "System Manager" in refused.message


def test_only_reviewers_ask_for_others(user: Client, manager: Client, host: Host) -> None:
    for client, name in ((user, host.user2), (manager, host.user)):
        refused = client.refused("get_traces", user=name)
        assert (refused.status, refused.exc_type) == (403, "PermissionError")
        assert refused.message.startswith("user: ")
    assert user.call("get_traces", user=host.user)["traces"]


def test_guests_see_nothing(guest: Client, trace: str) -> None:
    for method in ("get_traces", "get_trace", "get_trace_payload", "export_trace", "get_dead_letters"):
        assert guest.request(method, "GET", params={"trace": trace}).status_code == 403


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
    assert (trace in names(user.call("get_traces", limit=200, **wanted))) == is_there
    assert (trace in names(user.get("get_traces", limit=200, **wanted))) == is_there, "as a query, too"


def test_since_is_included_and_until_is_not(user: Client, trace: str) -> None:
    began = user.get("get_trace", trace=trace)["trace"]["started_at"]
    written = datetime.fromtimestamp(began / 1000, timezone.utc).isoformat()
    for at in (began, written):
        assert trace in names(user.call("get_traces", since=at, limit=200))
        assert trace not in names(user.call("get_traces", until=at, limit=200))


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


def test_a_trace_that_runs_is_seen(user: Client, program: Program) -> None:
    trace, root = new_trace(), new_span()
    program.send([program.event("start", trace, root, title="going on", started_at=now_us())])
    found = stored(user, trace)
    assert found["trace"]["status"] == "running"
    assert found["observations"][0]["status"] == "running"
    assert trace in names(user.call("get_traces", status="running", limit=200))
    program.send([program.event("end", trace, root, status="failed", error_type="Boom", error_message="It broke")])
    found = stored(user, trace, lambda found: found["trace"]["status"] != "running")
    assert found["trace"]["status"] == "failed"
    assert found["trace"]["error_message"] == "It broke"
    assert trace in names(user.call("get_traces", search="it broke", limit=200)), "errors are searched, too"


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


def test_delete(user: Client, other: Client, program: Program) -> None:
    trace = program.traced(title="to go")
    assert other.refused("delete_trace", trace=trace).status == 404
    assert user.call("delete_trace", trace=trace) == {"trace": trace}
    for method, more in (("get_trace", {}), ("delete_trace", {}), ("get_trace_payload", {"field": "input"})):
        assert user.refused(method, trace=trace, **more).status == 404
    assert trace not in names(user.call("get_traces", limit=200))
    assert user.request("delete_trace", "GET", params={"trace": trace}).status_code == 403


def test_whoever_runs_the_site_may_delete(admin_client: Client, user: Client, program: Program) -> None:
    trace = program.traced()
    assert admin_client.call("delete_trace", trace=trace) == {"trace": trace}
    assert user.refused("get_trace", trace=trace).status == 404


def test_dead_letters(user: Client, manager: Client, reviewer: Client, admin_client: Client, trace: str) -> None:
    """What could not be stored is listed with the reason, without what it said, and can be tried again."""
    for client in (user, manager):
        for method in ("get_dead_letters", "retry_dead_letters"):
            assert client.refused(method).status == 403
    intruder = Program(manager)
    intruder.send([intruder.event("whole", trace, new_span(), parent="", title="a secret of the letter")])
    letters = wait_for_letter(reviewer, trace)
    assert "a secret" not in str(letters)
    [letter] = [each for each in letters if each["producer"].endswith(intruder.producer)]
    assert letter["error"]
    assert admin_client.call("retry_dead_letters", ids=[letter["id"]]) == {"retried": 1}
    assert admin_client.call("retry_dead_letters", ids=[letter["id"]]) == {"retried": 0}
    again = wait_for_letter(reviewer, trace, unlike=letter["id"])
    assert any(each["tries"] > letter["tries"] for each in again), "it failed again, and is kept"
    for arguments, field in (
        ({"ids": "x"}, "ids"),
        ({"ids": {"a": 1}}, "ids"),
        ({"ids": ["x"]}, "ids[0]"),
        ({"ids": ["1-1"] * 201}, "ids"),
        ({"ids": ["99999999999999999999-1"]}, "ids[0]"),
    ):
        refused = reviewer.refused("retry_dead_letters", **arguments)
        assert (refused.status, refused.message.startswith(f"{field}: ")) == (417, True), refused
    for arguments, field in (({"limit": 0}, "limit"), ({"before": "x"}, "before")):
        refused = reviewer.refused("get_dead_letters", **arguments)
        assert (refused.status, refused.message.startswith(f"{field}: ")) == (417, True), refused


def wait_for_letter(client: Client, trace: str, unlike: str = "") -> list[dict[str, Any]]:
    """The letters of a trace, once there is one that has another id than this."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        letters = client.call("get_dead_letters", limit=200)["dead_letters"]
        found = [each for each in letters if each["trace"] == trace and each["id"] != unlike]
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError("there is no dead letter")


def test_receipts(user: Client, other: Client, ask: Ask) -> None:
    """A chat's trace shows up to which event a client has confirmed; later and lower ones do not change it back."""
    task, _ = ask([thought("Hm. "), *answer("Because.")])
    last = user.events(task["task_id"])[-1]["seq"]
    for seq in (1, last, 2, "3"):
        assert user.call("acknowledge", task_id=task["task_id"], seq=seq) == {
            "task_id": task["task_id"],
            "seq": int(seq),
        }
    assert user.call("acknowledge", task_id=task["task_id"], seq=0)["seq"] == 0
    refused = user.refused("acknowledge", task_id=task["task_id"], seq=last + 1)
    assert (refused.status, refused.message.startswith("seq: ")) == (417, True)
    for client, task_id in ((other, task["task_id"]), (user, "00000000-0000-4000-8000-000000000000")):
        assert client.refused("acknowledge", task_id=task_id, seq=1).status == 404
    found = stored(user, task["trace_id"], lambda found: found["trace"].get("acknowledged_seq") == last)
    assert found["trace"]["task_id"] == task["task_id"]


@pytest.fixture(scope="module")
def people(host: Host) -> Iterator[Callable[[str, str], Client]]:
    """Logs people in who have one role alone."""
    from .people import logged_in

    clients: list[Client] = []

    def make(name: str, role: str) -> Client:
        clients.append(logged_in(host, name, role))
        return clients[-1]

    yield make
    for client in clients:
        client.http.close()


@pytest.fixture(scope="module")
def admin_client(people: Callable[[str, str], Client]) -> Client:
    """Administrator."""
    return people("Administrator", "")
