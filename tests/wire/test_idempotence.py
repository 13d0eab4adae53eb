"""Task ids are the user's own: a request that is sent again starts nothing twice."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from .chunks import answer, text
from .client import Client, new_id
from .conftest import Host
from .events import checked
from .script import Gate, Script

Scripts = Callable[..., Script]


def test_the_same_again_gives_the_same_task(user: Client, script: Scripts) -> None:
    played, task_id = script(answer("Once."), answer("Twice.")), new_id()
    first = user.chat(played.messages(), task_id=task_id)
    again = user.chat(played.messages(), task_id=task_id)
    assert again == first
    assert len(played.calls) == 1


def test_the_same_while_it_runs(user: Client, script: Scripts) -> None:
    gate, task_id = Gate(), new_id()
    played = script([text("One "), gate, *answer("only.")])
    user.start(played.messages(), task_id=task_id)
    played.wait_for_call()
    assert user.chat(played.messages(), task_id=task_id, wait=False)["status"] in ("queued", "running")
    gate.open()
    assert user.chat(played.messages(), task_id=task_id)["message"]["content"] == "One only."
    assert len(played.calls) == 1
    checked(user.events(task_id), task_id)


def test_another_spelling_of_the_same_id_is_the_same(user: Client, script: Scripts) -> None:
    played, task_id = script(answer("Once."), answer("Twice.")), new_id()
    first = user.chat(played.messages(), task_id=task_id)
    assert user.chat(played.messages(), task_id=task_id.upper()) == first
    assert user.call("get_task", task_id=task_id.upper()) == first


def test_how_one_waits_is_no_part_of_the_body(user: Client, script: Scripts) -> None:
    """A client that lost its connection asks again with another timeout."""
    played, task_id = script(answer("Once."), answer("Twice.")), new_id()
    user.start(played.messages(), task_id=task_id)
    assert user.chat(played.messages(), task_id=task_id, timeout=20)["message"]["content"] == "Once."
    assert len(played.calls) == 1


def test_another_body_is_417(user: Client, script: Scripts) -> None:
    played, task_id = script(answer("Once.")), new_id()
    first = user.chat(played.messages(), task_id=task_id)
    for change in ({"temperature": 0.9}, {"mode": "agent"}, {"model": "priced"}):
        refused = user.refused("chat_completion", messages=played.messages(), task_id=task_id, **change)
        assert (refused.status, refused.exc_type) == (417, "ValidationError")
        assert "task_id" in refused.message
    refused = user.refused("chat_completion", messages=played.messages("Other"), task_id=task_id)
    assert refused.status == 417
    assert user.call("get_task", task_id=task_id) == first
    assert len(played.calls) == 1


def test_many_at_once_start_one(host: Host, user: Client, script: Scripts) -> None:
    """A site lets only some of its web processes wait; the other calls get the running task."""
    played, task_id = script(answer("Once."), answer("Twice.")), new_id()

    def send(_: int) -> dict[str, object]:
        with Client(user.base_url) as client:
            client.http.cookies.set("sid", user.sid)
            return client.chat(played.messages(), task_id=task_id)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(8)))
    final = user.finished(task_id)
    ended = [found for found in answers if found["status"] == "completed"]
    assert all(found == final for found in ended)
    assert len(ended) == len(answers) if host.is_embedded else ended
    assert all(found["task_id"] == task_id for found in answers)
    assert len(played.calls) == 1
    checked(user.events(task_id), task_id)


def test_two_users_may_choose_the_same_id(user: Client, other: Client, script: Scripts) -> None:
    mine, theirs, task_id = script(answer("Mine.")), script(answer("Theirs.")), new_id()
    user.chat(mine.messages(), task_id=task_id)
    other.chat(theirs.messages(), task_id=task_id)
    assert user.call("get_task", task_id=task_id)["message"]["content"] == "Mine."
    assert other.call("get_task", task_id=task_id)["message"]["content"] == "Theirs."


def test_a_new_conversation_is_made_once(user: Client, script: Scripts) -> None:
    played, task_id = script(answer("Once.")), new_id()
    first = user.chat(played.messages(), task_id=task_id, conversation="new")
    again = user.chat(played.messages(), task_id=task_id, conversation="new")
    assert again["conversation"] == first["conversation"]
    assert len(user.call("get_conversation", conversation=first["conversation"])["messages"]) == 2
