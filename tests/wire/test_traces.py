"""What people see of traces, and what they do not; receipts, dead letters, removal."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from .chunks import answer, thought
from .client import Client
from .conftest import Host
from .script import Script
from .traces import ANSWER, QUESTION, Program, ids_of, new_span, new_trace, now_us, stored

Ask = Callable[..., tuple[dict[str, Any], Script]]

PAYLOADS = ("input", "output", "reasoning", "metadata", "marks", "error_stack")


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
        for word in ("Xylophong", "Zitterroch", "Hm."):
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


def test_foreign_and_unknown_traces_are_the_same(other: Client, ai_manager: Client, trace: str) -> None:
    """404 for everything, with the same words but for the id."""
    for client in (other, ai_manager):
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
        assert trace not in ids_of(client.call("get_traces", limit=200))


def test_reviewers_see_all(reviewer: Client, host: Host, trace: str) -> None:
    found = reviewer.get("get_trace", trace=trace)
    assert found["trace"]["user"] == host.user
    assert trace in ids_of(reviewer.get("get_traces", user=host.user, session="session-1"))
    call = found["observations"][1]["span"]
    assert reviewer.get("get_trace_payload", trace=trace, span=call, field="input")["text"] == QUESTION
    refused = reviewer.refused("delete_trace", trace=trace)
    assert (refused.status, refused.exc_type) == (403, "PermissionError")
    assert "System Manager" in refused.message


def test_only_reviewers_ask_for_others(user: Client, ai_manager: Client, host: Host) -> None:
    for client, name in ((user, host.user2), (ai_manager, host.user)):
        refused = client.refused("get_traces", user=name)
        assert (refused.status, refused.exc_type) == (403, "PermissionError")
        assert refused.message.startswith("user: ")
    assert user.call("get_traces", user=host.user)["traces"]


def test_guests_see_nothing(guest: Client, trace: str) -> None:
    for method in ("get_traces", "get_trace", "get_trace_payload", "export_trace", "get_dead_letters"):
        assert guest.request(method, "GET", params={"trace": trace}).status_code == 403


def test_a_trace_that_runs_is_seen(user: Client, program: Program) -> None:
    trace, root = new_trace(), new_span()
    program.send([program.event("start", trace, root, title="going on", started_at=now_us())])
    found = stored(user, trace)
    assert found["trace"]["status"] == "running"
    assert found["observations"][0]["status"] == "running"
    assert trace in ids_of(user.call("get_traces", status="running", limit=200))
    program.send([program.event("end", trace, root, status="failed", error_type="Boom", error_message="It broke")])
    found = stored(user, trace, lambda found: found["trace"]["status"] != "running")
    assert found["trace"]["status"] == "failed"
    assert found["trace"]["error_message"] == "It broke"
    assert trace in ids_of(user.call("get_traces", search="it broke", limit=200)), "errors are searched, too"


def test_delete(user: Client, other: Client, program: Program) -> None:
    trace = program.traced(title="to go")
    assert other.refused("delete_trace", trace=trace).status == 404
    assert user.call("delete_trace", trace=trace) == {"trace": trace}
    for method, more in (("get_trace", {}), ("delete_trace", {}), ("get_trace_payload", {"field": "input"})):
        assert user.refused(method, trace=trace, **more).status == 404
    assert trace not in ids_of(user.call("get_traces", limit=200))
    assert user.request("delete_trace", "GET", params={"trace": trace}).status_code == 403


def test_whoever_runs_the_site_may_delete(administrator: Client, user: Client, program: Program) -> None:
    trace = program.traced()
    assert administrator.call("delete_trace", trace=trace) == {"trace": trace}
    assert user.refused("get_trace", trace=trace).status == 404


def test_dead_letters(user: Client, ai_manager: Client, reviewer: Client, administrator: Client, trace: str) -> None:
    """What could not be stored is listed with the reason, without what it said, and can be tried again."""
    for client in (user, ai_manager):
        for method in ("get_dead_letters", "retry_dead_letters"):
            assert client.refused(method).status == 403
    intruder = Program(ai_manager)
    intruder.send([intruder.event("whole", trace, new_span(), parent="", title="a secret of the letter")])
    letters = wait_for_letter(reviewer, trace)
    assert "a secret" not in str(letters)
    [letter] = [each for each in letters if each["producer"].endswith(intruder.producer)]
    assert letter["error"]
    assert administrator.call("retry_dead_letters", ids=[letter["id"]]) == {"retried": 1}
    assert administrator.call("retry_dead_letters", ids=[letter["id"]]) == {"retried": 0}
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
