"""`get_events`: paging, catching up after a lost connection, and a log that was trimmed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .chunks import DONE, answer, finish, text, thought
from .client import Client, text_of
from .conftest import TightHost
from .events import checked
from .host import USER2
from .script import Gate, Pause, Script
from .sockets import Listener

Ask = Callable[..., tuple[dict[str, Any], Script]]
Scripts = Callable[..., Script]


def by_turns(count: int = 10) -> list[bytes]:
    """An answer of many events: the kind changes with every piece, so that none are joined."""
    steps = [step for n in range(count) for step in (thought(f"t{n} "), text(f"w{n} "))]
    return [*steps, finish(), DONE]


@pytest.mark.parametrize("limit", [1, 3, 7, 1000])
def test_pages_add_up_to_the_whole(user: Client, ask: Ask, limit: int) -> None:
    task, _ = ask(by_turns(4))
    whole = user.events(task["task_id"])
    found: list[dict[str, Any]] = []
    for _ in range(len(whole) + 1):
        after = found[-1]["seq"] if found else 0
        page = user.call("get_events", task_id=task["task_id"], after_seq=after, limit=limit)
        assert len(page["events"]) <= limit
        assert page["gap"] is False
        found += page["events"]
        if page["complete"]:
            break
        assert page["events"], "a page that is not the last one brings something of a finished task"
    assert found == whole
    assert page["last_seq"] == whole[-1]["seq"]
    checked(found, task["task_id"])


def test_after_seq_leaves_out_what_was_seen(user: Client, ask: Ask) -> None:
    task, _ = ask(by_turns(3))
    whole = user.events(task["task_id"])
    for after in (1, 4, whole[-1]["seq"]):
        page = user.get("get_events", task_id=task["task_id"], after_seq=after)
        assert page["events"] == whole[after:]
        assert page["complete"] is True
    beyond = user.call("get_events", task_id=task["task_id"], after_seq=10_000)
    assert (beyond["events"], beyond["complete"]) == ([], True)


def test_a_running_task_is_not_complete(user: Client, script: Scripts) -> None:
    gate = Gate()
    played = script([text("First "), gate, *answer("second.")])
    task_id = user.start(played.messages())
    user.events_until(task_id, lambda events: text_of(events) == "First ")
    page = user.call("get_events", task_id=task_id)
    assert page["complete"] is False
    assert page["last_seq"] == page["events"][-1]["seq"]
    again = user.call("get_events", task_id=task_id, after_seq=page["last_seq"])
    assert (again["events"], again["complete"]) == ([], False)
    gate.open()
    user.finished(task_id)
    assert user.call("get_events", task_id=task_id)["complete"] is True


def test_a_lost_connection_loses_and_doubles_nothing(
    user: Client, script: Scripts, listener: Callable[[], Listener]
) -> None:
    """Promise 5, with a socket that goes in mid-stream and another that comes later."""
    gates = [Gate(), Gate()]
    steps = by_turns(12)
    played = script([*steps[:8], gates[0], *steps[8:16], gates[1], *steps[16:]])
    first = listener().connect(sid=user.sid)
    task_id = user.start(played.messages())
    seen = first.wait_for(task_id, lambda events: text_of(events) == "w0 w1 w2 w3 ")
    first.close()
    gates[0].open()
    user.events_until(task_id, lambda events: text_of(events) == "w0 w1 w2 w3 w4 w5 w6 w7 ")
    second = listener().connect(sid=user.sid)
    missed = user.call("get_events", task_id=task_id, after_seq=seen[-1]["seq"])
    assert missed["gap"] is False
    gates[1].open()
    live = second.wait_for_end(task_id)
    known = {event["seq"]: event for event in [*seen, *missed["events"], *live]}
    joined = [known[seq] for seq in sorted(known)]
    record = checked(joined, task_id)
    assert record.text == "".join(f"w{n} " for n in range(12))
    assert joined == user.events(task_id)


def test_reading_while_it_streams_misses_nothing(user: Client, script: Scripts) -> None:
    steps = [part for step in by_turns(30) for part in (step, Pause(0.005))]
    played = script(steps)
    task_id = user.start(played.messages())
    found: list[dict[str, Any]] = []
    complete = False
    while not complete:
        after = found[-1]["seq"] if found else 0
        page = user.call("get_events", task_id=task_id, after_seq=after, limit=5)
        found += page["events"]
        complete = page["complete"]
    checked(found, task_id)
    assert found == user.events(task_id)


def test_another_users_events_are_unknown(user: Client, other: Client, ask: Ask) -> None:
    task, _ = ask(answer())
    for method in ("get_events", "get_task"):
        refused = other.refused(method, task_id=task["task_id"])
        assert (refused.status, refused.exc_type) == (404, "DoesNotExistError")


@pytest.fixture(scope="module")
def brief(tight: TightHost) -> Iterator[Client]:
    """A user of the host whose logs are short."""
    with tight.login(USER2) as client:
        yield client


def test_a_trimmed_log_begins_with_a_snapshot(brief: Client, script: Scripts) -> None:
    lines = [f"{n:05d} " + "x" * 994 for n in range(400)]
    played = script([thought("Hm. "), *map(text, lines), finish(), DONE])
    task = brief.chat(played.messages())
    whole = "".join(lines)
    assert task["message"]["content"] == whole
    page = brief.call("get_events", task_id=task["task_id"])
    snapshot, *rest = page["events"]
    assert page["gap"] is True
    assert snapshot["type"] == "snapshot"
    assert (snapshot["task_id"], snapshot["v"], snapshot["partial"]) == (task["task_id"], 1, False)
    assert snapshot["reasoning"] == "Hm. "
    assert snapshot["tool_calls"] == []
    assert whole.startswith(snapshot["text"])
    rest += brief.events(task["task_id"], rest[-1]["seq"]) if not page["complete"] else []
    assert [event["seq"] for event in rest] == list(range(snapshot["seq"] + 1, snapshot["seq"] + 1 + len(rest)))
    deltas = [event for event in rest if event["type"] == "text"]
    assert not deltas or deltas[0]["offset"] == len(snapshot["text"])
    assert snapshot["text"] + text_of(rest) == whole
    assert rest[-1]["text"] == whole
    late = brief.call("get_events", task_id=task["task_id"], after_seq=rest[0]["seq"])
    assert late["gap"] is False, "what was asked for is still there"
    assert late["events"][0]["seq"] == rest[0]["seq"] + 1
