"""Limits of a user: 429 at the start, saying which limit and when it ends; a budget that ends in mid-stream."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from .chunks import DONE, answer, finish, text, used
from .client import Refused
from .conftest import TightHost
from .events import checked
from .host import USER, USER2, USER3
from .script import Endless, Hold, Script

Scripts = Callable[..., Script]


def check_429(refused: Refused, *words: str) -> None:
    """Says which limit and when it ends."""
    assert (refused.status, refused.exc_type) == (429, "TooManyRequestsError"), refused
    for word in words:
        assert word in refused.message.lower(), refused.message
    assert re.search(r"\d", refused.message), refused.message


def test_concurrent_tasks(tight: TightHost, script: Scripts) -> None:
    """Two at once; the third is refused until one has ended."""
    with tight.login(USER2) as client:
        held = [script([text("…"), Hold()]) for _ in range(2)]
        running = [client.start(played.messages()) for played in held]
        third = script(answer("After all."))
        refused = client.refused("chat_completion", messages=third.messages())
        check_429(refused, "2")
        assert not third.calls
        for task_id in running:
            client.call("cancel", task_id=task_id)
        assert client.chat(third.messages())["status"] == "completed"


def test_requests_per_minute(tight: TightHost, script: Scripts) -> None:
    with tight.login(USER) as client:
        played = script(answer("Quick."))
        for _ in range(6):
            assert client.chat(played.messages())["status"] == "completed"
        refused = client.refused("chat_completion", messages=played.messages())
        check_429(refused, "minute")
        assert 1 <= float(refused.response.headers["retry-after"]) <= 60
        assert len(played.calls) == 6
        assert client.get("get_models"), "reading is not limited"


@pytest.mark.parametrize("turn", ["in mid-stream", "at the start"])
def test_tokens_per_day(tight: TightHost, script: Scripts, turn: str) -> None:
    """A budget that ends during the stream is an `error` event; after it a new chat is refused."""
    with tight.login(USER3) as client:
        if turn == "in mid-stream":
            flood = script([Endless(text("many different words flow " * 400), 0.01)])
            task = client.chat(flood.messages(), timeout=38)
            assert task["status"] == "failed"
            assert task["error"]["code"] == "budget_exceeded"
            assert task["error"]["message"]
            assert task["message"]["content"]
            assert flood.calls[0].closed.wait(5), "the provider is let go"
        else:
            spent = script([text("Dear."), finish(), used(400_000, 10), DONE])
            try:
                client.chat(spent.messages())
            except Refused as refused:  # the first turn has spent all of it
                check_429(refused, "token")
            refused = client.refused("chat_completion", messages=script(answer()).messages())
            check_429(refused, "token", "day")


def test_the_end_of_a_budget_is_an_error_event(tight: TightHost, script: Scripts) -> None:
    """The last events of a task that ran out of its budget."""
    with tight.login("Administrator") as client:
        flood = script([Endless(text("many different words flow " * 400), 0.01)])
        task = client.chat(flood.messages(), timeout=38)
        page = client.call("get_events", task_id=task["task_id"])
        end = client.events(task["task_id"], page["events"][0]["seq"])[-1]
        assert (end["type"], end["code"]) == ("error", "budget_exceeded")
        assert end["retryable"] is False
        assert end["text"] == task["message"]["content"]
        if not page["gap"]:
            checked(client.events(task["task_id"]))
