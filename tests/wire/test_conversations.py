"""Conversations: made, continued, listed, renamed, deleted; and honest about answers that did not end well."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from .chunks import DONE, answer, calls, finish, text, thought, used
from .client import Client, text_of
from .script import Cut, Gate, Hold, Script, refusal

Ask = Callable[..., tuple[dict[str, Any], Script]]
Scripts = Callable[..., Script]


def stored(user: Client, conversation: str, done: bool = True) -> dict[str, Any]:
    """The conversation; with `done`, once its last message is no longer streaming."""
    until = time.monotonic() + 10
    while True:
        found = user.call("get_conversation", conversation=conversation)
        messages = found["messages"]
        if time.monotonic() > until or (messages and (messages[-1]["status"] != "streaming" or not done)):
            return found
        time.sleep(0.02)


def plain(body: dict[str, Any]) -> list[tuple[str, Any]]:
    """Role and content of what the provider received, without system messages."""
    return [(m["role"], m["content"]) for m in body["messages"] if m["role"] not in ("system", "developer")]


def test_a_new_one_keeps_question_and_answer(user: Client, ask: Ask) -> None:
    steps = [thought("Hm."), text("An answer."), finish(), used(12, 8), DONE]
    task, played = ask(steps, content="How are you?", conversation="new")
    assert isinstance(task["conversation"], str)
    assert isinstance(task["message_id"], str)
    found = stored(user, task["conversation"])
    assert found["title"].startswith("How are you?")
    question, reply = found["messages"]
    assert (question["role"], question["content"]) == ("user", played.messages("How are you?")[0]["content"])
    assert (reply["role"], reply["content"], reply["status"]) == ("assistant", "An answer.", "completed")
    assert (reply["reasoning"], reply["task_id"]) == ("Hm.", task["task_id"])
    assert reply["usage"]["total_tokens"] == 20
    for message in found["messages"]:
        assert {"status", "reasoning", "usage", "task_id"} <= message.keys()


def test_continuing_sends_the_history(user: Client, ask: Ask, script: Scripts) -> None:
    task, first = ask(answer("Paris."), content="Capital of France?", conversation="new")
    name = task["conversation"]
    second, third = script(answer("Rome.")), script(answer("Both are."))
    user.chat(second.messages("And of Italy?"), conversation=name)
    after = user.chat(third.messages("Which is older?"), conversation=name)
    assert after["conversation"] == name
    assert plain(third.calls[0].body) == [
        ("user", first.messages("Capital of France?")[0]["content"]),
        ("assistant", "Paris."),
        ("user", second.messages("And of Italy?")[0]["content"]),
        ("assistant", "Rome."),
        ("user", third.messages("Which is older?")[0]["content"]),
    ]
    found = stored(user, name)
    assert [m["role"] for m in found["messages"]] == ["user", "assistant"] * 3
    assert found["title"].startswith("Capital of France?")


def test_a_placeholder_stands_while_it_streams(user: Client, script: Scripts) -> None:
    gate = Gate()
    played = script([text("Half "), gate, *answer("done.")])
    accepted = user.chat(played.messages(), conversation="new", wait=False)
    user.events_until(accepted["task_id"], lambda events: text_of(events) == "Half ")
    events = user.events(accepted["task_id"])
    name = events[0]["conversation"]
    placeholder = stored(user, name, done=False)["messages"][-1]
    assert (placeholder["role"], placeholder["status"]) == ("assistant", "streaming")
    assert placeholder["task_id"] == accepted["task_id"]
    gate.open()
    user.finished(accepted["task_id"])
    final = stored(user, name)["messages"][-1]
    assert (final["status"], final["content"]) == ("completed", "Half done.")


@pytest.mark.parametrize(
    ("steps", "status", "content"),
    [([text("Half an"), Cut()], "interrupted", "Half an"), (refusal(400, "no such thing"), "failed", "")],
)
def test_an_answer_that_broke_off_says_so(user: Client, ask: Ask, steps: Any, status: str, content: str) -> None:
    task, _ = ask(steps, conversation="new", model="shaky")
    ask(answer(), model="shaky")
    assert task["status"] == "failed"
    message = stored(user, task["conversation"])["messages"][-1]
    assert (message["status"], message["content"] or "") == (status, content)


def test_a_cancelled_answer_says_so(user: Client, script: Scripts) -> None:
    played = script([text("Half an"), Hold()])
    task_id = user.start(played.messages(), conversation="new")
    user.events_until(task_id, lambda events: text_of(events) == "Half an")
    user.call("cancel", task_id=task_id)
    message = stored(user, user.finished(task_id)["conversation"])["messages"][-1]
    assert (message["status"], message["content"]) == ("cancelled", "Half an")


def test_tool_results_answer_calls_of_the_conversation(user: Client, ask: Ask, script: Scripts) -> None:
    tool = {"type": "function", "function": {"name": "clock", "parameters": {"type": "object"}}}
    task, _ = ask(calls(("call_9", "clock", "{}")), conversation="new", tools=[tool])
    played = script(answer("Noon."))
    result = {"role": "tool", "tool_call_id": "call_9", "content": f"12:00 {played.key}"}
    after = user.chat([result], conversation=task["conversation"], tools=[tool])
    assert after["message"]["content"] == "Noon.", after["error"]
    *_, said, given = played.calls[0].body["messages"]
    assert said["tool_calls"][0]["id"] == "call_9"
    assert given["tool_call_id"] == "call_9"
    found = stored(user, task["conversation"])
    assert [m["role"] for m in found["messages"]] == ["user", "assistant", "tool", "assistant"]


def test_the_list_is_newest_first(user: Client, ask: Ask) -> None:
    names = []
    for n in range(3):
        task, _ = ask(answer(), content=f"List {n}", conversation="new")
        stored(user, task["conversation"])
        names.append(task["conversation"])
        time.sleep(0.01)
    rows = user.call("get_conversations", limit=200)
    assert [row["name"] for row in rows if row["name"] in names] == names[::-1]
    assert [row["modified"] for row in rows] == sorted((row["modified"] for row in rows), reverse=True)
    for row in rows:
        assert {"name", "title", "modified", "message_count"} <= row.keys()
    assert next(row for row in rows if row["name"] == names[0])["message_count"] == 2
    assert len(user.get("get_conversations", limit=2)) == 2


def test_before_gives_the_next_page(user: Client, ask: Ask) -> None:
    for n in range(4):
        task, _ = ask(answer(), content=f"Page {n}", conversation="new")
        stored(user, task["conversation"])
    whole = [row["name"] for row in user.call("get_conversations", limit=200)]
    found: list[str] = []
    before: str | None = None
    while rows := user.call("get_conversations", limit=2, before=before):
        found += [row["name"] for row in rows]
        before = rows[-1]["modified"]
    assert found == whole


def test_search_finds_titles(user: Client, ask: Ask) -> None:
    mark = uuid.uuid4().hex[:8]
    task, _ = ask(answer(), content=f"Zebra {mark} 100%_done", conversation="new")
    stored(user, task["conversation"])
    for words in (mark, mark.upper(), f"zebra {mark}", "100%_done"):
        assert task["conversation"] in [row["name"] for row in user.call("get_conversations", search=words)], words
    for words in (f"{mark}%{mark}", "no such conversation at all", f"_{mark}_"):
        assert task["conversation"] not in [row["name"] for row in user.call("get_conversations", search=words)], words


def test_renaming(user: Client, ask: Ask) -> None:
    task, _ = ask(answer(), conversation="new")
    name = task["conversation"]
    stored(user, name)
    user.call("rename_conversation", conversation=name, title="Grüße & <b>世界</b>")
    assert user.call("get_conversation", conversation=name)["title"] == "Grüße & <b>世界</b>"
    assert "Grüße & <b>世界</b>" in [row["title"] for row in user.call("get_conversations")]


def test_deleting(user: Client, ask: Ask) -> None:
    task, _ = ask(answer(), conversation="new")
    name = task["conversation"]
    stored(user, name)
    user.call("delete_conversation", conversation=name)
    assert user.refused("get_conversation", conversation=name).status == 404
    assert user.refused("delete_conversation", conversation=name).status == 404
    assert name not in [row["name"] for row in user.call("get_conversations", limit=200)]


def test_a_deleted_one_cannot_be_continued(user: Client, ask: Ask) -> None:
    task, _ = ask(answer(), conversation="new")
    stored(user, task["conversation"])
    user.call("delete_conversation", conversation=task["conversation"])
    saying = [{"role": "user", "content": "Still there?"}]
    assert user.refused("chat_completion", messages=saying, conversation=task["conversation"]).status == 404


def test_another_users_is_unknown(user: Client, other: Client, ask: Ask) -> None:
    task, _ = ask(answer(), content="Private", conversation="new")
    name = task["conversation"]
    before = stored(user, name)
    for method, more in (
        ("get_conversation", {}),
        ("rename_conversation", {"title": "Stolen"}),
        ("delete_conversation", {}),
        ("chat_completion", {"messages": [{"role": "user", "content": "What did you say?"}]}),
    ):
        refused = other.refused(method, conversation=name, **more)
        assert (refused.status, refused.exc_type) == (404, "DoesNotExistError"), method
    assert name not in [row["name"] for row in other.call("get_conversations", limit=200)]
    assert other.call("get_conversations", search="Private") == []
    assert stored(user, name) == before


def test_a_stateless_call_stores_nothing(user: Client, ask: Ask) -> None:
    before = user.call("get_conversations", limit=200)
    task, _ = ask(answer())
    assert (task["conversation"], task["message_id"]) == (None, None)
    assert user.call("get_conversations", limit=200) == before


def test_the_title_is_one_short_line(user: Client, ask: Ask) -> None:
    task, _ = ask(answer(), content="First line of it\n" + "and much more " * 50, conversation="new")
    title = stored(user, task["conversation"])["title"]
    assert title == "First line of it"
    long, _ = ask(answer(), content="A very long question indeed " * 20, conversation="new")
    assert len(stored(user, long["conversation"])["title"]) <= 140


def test_a_long_history_is_trimmed_to_the_models_context(user: Client, ask: Ask, script: Scripts) -> None:
    """The oldest messages are left out, the newest question is always there, and the stored ones stay."""
    task, first = ask(answer("Word " * 900), content="Oldest question", conversation="new")
    middle = script(answer("Word " * 900))
    user.chat(middle.messages("Middle question"), conversation=task["conversation"])
    last = script(answer("Short."))
    after = user.chat(last.messages("Newest question"), conversation=task["conversation"], model="small")
    assert after["status"] == "completed", after["error"]
    asked = plain(last.calls[0].body)
    assert asked[-1][1] == last.messages("Newest question")[0]["content"]
    assert first.key not in str(asked)
    assert len(stored(user, task["conversation"])["messages"]) == 6
