"""Two sites of one bench share the worker and nothing else. Needs a second site (`README.md`)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from .background import Background
from .chunks import answer
from .client import Client, new_id
from .conftest import Host
from .events import checked
from .script import Gate, Script
from .sockets import Listener

Scripts = Callable[..., Script]
pytestmark = pytest.mark.skipif(
    "AI_ASSISTANT_SECOND_URL" not in os.environ,
    reason="set AI_ASSISTANT_SECOND_URL, _SITE and _PASSWORD to a second site",
)


@pytest.fixture
def namesake(host: Host) -> Iterator[Client]:
    """The user of the same name on the second site."""
    with Client(os.environ["AI_ASSISTANT_SECOND_URL"]) as client:
        yield client.login(host.user, os.environ["AI_ASSISTANT_SECOND_PASSWORD"])


@pytest.fixture
def far_socket(host: Host, background: Background, namesake: Client) -> Iterator[Listener]:
    """That user's socket: of the second site's namespace, by its origin."""
    url, site = os.environ["AI_ASSISTANT_SECOND_URL"], os.environ["AI_ASSISTANT_SECOND_SITE"]
    socket_url = os.environ.get("AI_ASSISTANT_SECOND_SOCKET_URL", url)
    socket = Listener(background, socket_url, site, origin=url)
    yield socket.connect(sid=namesake.sid)
    socket.close()


def test_the_same_task_id_is_two_tasks(
    user: Client, namesake: Client, socket: Listener, far_socket: Listener, script: Scripts
) -> None:
    """Also while both run, in one worker."""
    gate, task_id = Gate(), new_id()
    here, there = script([gate, *answer("Here.")]), script([gate, *answer("There.")])
    user.start(here.messages(), task_id=task_id)
    namesake.start(there.messages(), task_id=task_id)
    gate.open()
    for listener, text in ((socket, "Here."), (far_socket, "There.")):
        assert checked(listener.wait_for_end(task_id), task_id).text == text
    assert user.finished(task_id)["message"]["content"] == "Here."
    assert namesake.finished(task_id)["message"]["content"] == "There."


def test_what_one_site_has_the_other_does_not_know(user: Client, namesake: Client, script: Scripts) -> None:
    task = user.chat(script(answer()).messages(), conversation="new")
    for method in ("get_task", "get_events", "cancel"):
        assert namesake.refused(method, task_id=task["task_id"]).status == 404
    assert namesake.refused("get_conversation", conversation=task["conversation"]).status == 404
    assert namesake.refused("chat_completion", messages=[], conversation=task["conversation"]).status in (404, 417)
    names = [conversation["name"] for conversation in namesake.get("get_conversations")]
    assert task["conversation"] not in names


def test_a_session_is_worth_nothing_on_the_other_site(user: Client, namesake: Client) -> None:
    with Client(namesake.base_url) as stranger:
        stranger.http.cookies.set("sid", user.sid)
        assert stranger.refused("get_models").status in (401, 403)
