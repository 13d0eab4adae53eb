"""`ingest_traces`: what programs elsewhere send. Taken whole or not at all, once however often it comes."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import zlib
from typing import Any

import httpx
import msgspec
import pytest

from .client import Client, Refused, dumps, result
from .conftest import Host
from .traces import MSGPACK, Program, as_json, new_span, new_trace, stored


@pytest.fixture
def program(user: Client) -> Program:
    """A program of the first user."""
    return Program(user)


def test_a_ping_says_how_the_consumer_does(program: Program) -> None:
    until = time.monotonic() + 20
    while not (found := result(program.post({"producer": "check", "entries": []})))["consumer"]["alive"]:
        assert time.monotonic() < until, "the host stores no traces"
        time.sleep(0.1)
    assert set(found) == {"accepted", "consumer"}
    assert found["accepted"] == 0
    assert set(found["consumer"]) == {"alive", "age_ms"}
    assert found["consumer"]["age_ms"] >= 0
    assert result(program.post({"producer": "check"}))["accepted"] == 0


@pytest.mark.parametrize("compress", [False, True])
def test_messagepack_is_stored(program: Program, user: Client, compress: bool) -> None:
    trace = new_trace()
    events = program.answered(trace)
    assert program.send(events, compress=compress)["accepted"] == 5
    found = stored(user, trace, lambda found: found["trace"]["status"] == "completed")
    assert [each["title"] for each in found["observations"]] == ["work", "ask the model", "look it up"]
    assert found["trace"]["is_complete"], "no event is missing"


def test_json_and_forms_are_stored_likewise(program: Program, user: Client) -> None:
    for send in (
        lambda upload: user.request("ingest_traces", json=as_json(upload)),
        lambda upload: user.request(
            "ingest_traces",
            data={key: value if key == "producer" else dumps(value).decode() for key, value in as_json(upload).items()},
        ),
    ):
        trace = new_trace()
        response = send(program.upload(program.answered(trace)))
        assert result(response)["accepted"] == 5
        assert stored(user, trace)["trace"]["trace"] == trace


def test_the_same_again_changes_nothing(program: Program, user: Client) -> None:
    """A client that did not hear the answer sends all of it again; so do several at once."""
    trace = new_trace()
    upload = program.upload(program.answered(trace))
    threads = [threading.Thread(target=program.post, args=(upload,)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stored(user, trace, lambda found: found["trace"]["status"] == "completed")
    last = new_trace()
    program.send(program.answered(last))
    stored(user, last, lambda found: found["trace"]["status"] == "completed")  # what came before it is stored too
    found = user.call("get_trace", trace=trace)
    assert len(found["observations"]) == 3
    assert found["trace"]["observation_count"] == 3
    assert found["trace"]["total_tokens"] == 12
    assert found["trace"]["events"] == 5
    assert found["trace"]["missing_events"] == 0


def test_what_is_missing_is_told(program: Program, user: Client) -> None:
    trace = new_trace()
    events = program.answered(trace)
    program.send([event for event in events if event[5] != 4])  # the tool's
    found = stored(user, trace, lambda found: found["trace"]["status"] == "completed")
    assert found["trace"]["missing_events"] == 1
    assert not found["trace"]["is_complete"]
    program.send([event for event in events if event[5] == 4])
    found = stored(user, trace, lambda found: found["trace"]["is_complete"])
    assert found["trace"]["missing_events"] == 0


def test_an_upload_is_taken_whole_or_not_at_all(program: Program, user: Client) -> None:
    trace = new_trace()
    upload = program.upload(program.answered(trace))
    upload["entries"].append({"b": b"\x05", "n": 1})
    refused = Refused(program.post(upload))
    assert (refused.status, refused.exc_type) == (417, "ValidationError")
    assert "entries[1].b" in refused.message
    later = new_trace()
    program.send(program.answered(later))
    stored(user, later)
    assert user.refused("get_trace", trace=trace).status == 404


def events_with(**changes: Any) -> bytes:
    """One event, as an entry's body."""
    names = ("number", "kind", "at", "trace", "segment", "place", "span", "fields")
    known = dict(zip(names, [1, "start", 5, new_trace(), 1, 1, new_span(), {}], strict=True))
    return msgspec.msgpack.encode([list((known | changes).values())])


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no producer": ({"producer": None}, "producer"),
    "producer of a wrong type": ({"producer": 7}, "producer"),
    "producer with a slash": ({"producer": "a/b"}, "producer"),
    "producer too long": ({"producer": "x" * 200}, "producer"),
    "entries of a wrong type": ({"entries": "text"}, "entries"),
    "too many entries": ({"entries": [{"b": b"\x90"}] * 2001}, "entries"),
    "entry without events": ({"entries": [{"b": b"\x90"}]}, "entries[0].b"),
    "entry without a body": ({"entries": [{"n": 1}]}, "entries[0].b"),
    "no messagepack": ({"entries": [{"b": b"\xc1"}]}, "entries[0].b"),
    "no list": ({"entries": [{"b": b"\x80"}]}, "entries[0].b"),
    "no zlib": ({"entries": [{"b": b"abc", "z": 1}]}, "entries[0].b"),
    "a bomb": ({"entries": [{"b": zlib.compress(bytes(40_000_000), 9), "z": 1}]}, "entries[0].b"),
    "a compression that is not known": ({"entries": [{"b": b"abc", "z": 2}]}, "entries[0].z"),
    "a wrong count": ({"entries": [{"b": events_with(), "n": 3}]}, "entries[0].n"),
    "an unknown kind": ({"entries": [{"b": events_with(kind="stop")}]}, "entries[0].b[0].kind"),
    "a wrong trace": ({"entries": [{"b": events_with(trace="x")}]}, "entries[0].b[0].trace"),
    "a wrong span": ({"entries": [{"b": events_with(span="x")}]}, "entries[0].b[0].span"),
    "a wrong number": ({"entries": [{"b": events_with(number=-1)}]}, "entries[0].b[0].number"),
    "a wrong time": ({"entries": [{"b": events_with(at=-1)}]}, "entries[0].b[0].at"),
    "a heartbeat of a wrong type": ({"beat": 5}, "beat"),
    "a wrong heartbeat": ({"beat": {"pid": "x"}}, "beat.pid"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_uploads(program: Program, case: str) -> None:
    changes, names = BAD[case]
    upload = {key: value for key, value in {"producer": "p", **changes}.items() if value is not None}
    refused = Refused(program.post(upload))
    assert (refused.status, refused.exc_type) == (417, "ValidationError"), refused
    assert refused.message.startswith(names), refused.message
    assert len(refused.message) < 1000


@pytest.mark.parametrize(
    "body", [b"", b"\xc1", b"\x90", b"\x81\xa1x" + b"\x91" * 100_000, b"\xdd\xff\xff\xff\xff", b"{}"]
)
def test_bodies_that_are_no_upload(user: Client, body: bytes) -> None:
    response = user.request("ingest_traces", content=body, headers=MSGPACK)
    assert response.status_code == 417, response.text
    assert "Traceback" not in response.text


def test_many_bombs_in_one_body(program: Program) -> None:
    one = {
        "b": zlib.compress(
            msgspec.msgpack.encode([[1, "start", 5, new_trace(), 1, 1, new_span(), {"input": "x" * 9_000_000}]]), 9
        ),
        "z": 1,
    }
    refused = Refused(program.post({"producer": "p", "entries": [one] * 50}))
    assert refused.status == 417
    assert refused.message.startswith("entries: more than")


def test_a_body_that_is_too_large(user: Client) -> None:
    body = msgspec.msgpack.encode({"producer": "p", "entries": [{"b": bytes(26 * 1024 * 1024)}]})
    try:
        response = user.request("ingest_traces", content=body, headers=MSGPACK)
    except httpx.HTTPError:
        return  # the connection was ended before all of it was sent
    assert response.status_code == 413, response.text[:300]


def test_only_for_those_who_are_known(guest: Client, host: Host) -> None:
    for client in (guest, Client(host.url, token="key:secret")):
        response = Program(client).post({"producer": "p"})
        assert response.status_code in (401, 403), response.text
    assert guest.request("ingest_traces", "GET").status_code == 403


def test_by_api_key(keyed: Client) -> None:
    """As programs do it. The suite's key is an administrator's on an embedded host, a manager's on a site."""
    trace = Program(keyed).traced(title="by key")
    assert keyed.get("get_trace", trace=trace)["trace"]["title"] == "by key"


SDK = """
import sys
from ai_assistant import tracing

tracing.init(url=sys.argv[1], api_key=sys.argv[2], service="wire-sdk")

@tracing.traced(type="tool")
def step(n):
    return "x" * n

with tracing.span("root of the SDK") as root:
    print(root.trace_id)
    for n in range(100):
        step(n)
"""


def test_the_sdk_sends_like_this(keyed: Client, host: Host) -> None:
    """A program of its own, which ends as soon as it has traced."""
    command = [sys.executable, "-c", SDK, host.url, host.api_key]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    trace = done.stdout.strip()
    found = stored(keyed, trace, lambda found: len(found["observations"]) == 101)
    assert found["trace"]["title"] == "root of the SDK"
    assert found["trace"]["status"] == "completed"
    assert found["trace"]["missing_events"] == 0
    assert found["trace"]["service"] == "wire-sdk"


def test_a_trace_is_its_senders(program: Program, user: Client, other: Client, host: Host) -> None:
    """Whatever its events say."""
    trace = program.traced(user=host.user2)
    assert user.call("get_trace", trace=trace)["trace"]["user"] == host.user
    assert other.refused("get_trace", trace=trace).status == 404


def test_nobody_adds_to_anothers_trace(program: Program, user: Client, other: Client) -> None:
    trace = program.traced(title="mine")
    intruder = Program(other)
    intruder.send(
        [
            intruder.event("trace", trace, title="theirs", user="x"),
            intruder.event("whole", trace, new_span(), title="theirs", parent=""),
        ]
    )
    intruder.traced()  # what was sent before it has been looked at
    found = user.call("get_trace", trace=trace)
    assert found["trace"]["title"] == "mine"
    assert len(found["observations"]) == 3
    assert found["trace"]["is_complete"]


def test_nobody_speaks_as_anothers_producer(program: Program, user: Client, other: Client) -> None:
    """Two programs that call themselves the same are two: the second one's events are not taken for repeated ones."""
    twin = Program(other)
    twin.producer = program.producer
    mine, theirs = program.traced(title="one"), twin.traced(title="two")
    assert user.call("get_trace", trace=mine)["trace"]["title"] == "one"
    assert other.call("get_trace", trace=theirs)["trace"]["title"] == "two"


def test_servers_trace_in_the_name_of_others(administrator: Client, user: Client, other: Client, host: Host) -> None:
    server, trace = Program(administrator), new_trace()
    server.send(server.answered(trace, user=host.user))
    assert stored(user, trace, lambda found: found["trace"]["status"] == "completed")["trace"]["user"] == host.user
    assert other.refused("get_trace", trace=trace).status == 404


def test_many_programs_at_once(user: Client, host: Host) -> None:
    traces: list[str] = []

    def run() -> None:
        with Client(host.url) as client:
            client.http.cookies.set("sid", user.sid)
            program = Program(client)
            for _ in range(5):
                traces.append(new_trace())
                program.send(program.answered(traces[-1]))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(traces) == 40
    for trace in traces:
        found = stored(user, trace, lambda found: found["trace"]["status"] == "completed")
        assert found["trace"]["is_complete"]
        assert len(found["observations"]) == 3


def test_text_of_any_kind(program: Program, user: Client) -> None:
    """What a program sends may hold what no database takes; the rest of the trace is stored nevertheless."""
    trace, span = new_trace(), new_span()
    hostile = ["\x00", "a\x00b", "😀" * 1000, "\u202e", "<script>", "'; drop table x --", "x" * 100_000]
    program.send(
        [
            program.event("start", trace, span, title="root", started_at=1_700_000_000_000_000),
            *(
                program.event("whole", trace, new_span(), parent=span, title=text[:140], input=text, output=text)
                for text in hostile
            ),
            program.event("end", trace, span),
        ]
    )
    until = time.monotonic() + 30
    while True:
        try:
            found = user.call("get_trace", trace=trace)
            if len(found["observations"]) >= 1 + len(hostile) or time.monotonic() > until:
                break
        except Refused as refused:
            assert refused.status == 404
            assert time.monotonic() < until
        time.sleep(0.1)
    texts = [
        user.call("get_trace_payload", trace=trace, span=each["span"], field="input")["text"]
        for each in found["observations"][1:]
    ]
    assert "😀" * 1000 in texts
    assert "x" * 100_000 in texts
    assert "'; drop table x --" in texts
