"""Bad input by name: each case with its code and its message. What providers do wrong is input as well."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from .chunks import answer, text, thought
from .client import Client, new_id
from .events import check_error, checked
from .script import Cut, Endless, Hold, Reply, Script, page, refusal

Ask = Callable[..., tuple[dict[str, Any], Script]]
Scripts = Callable[..., Script]
NUL, LONE = "a\x00b", "a\ud800b"


def saying(content: Any = "Hello", **more: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": content, **more}]


def check_refused(user: Client, arguments: dict[str, Any], *words: str, method: str = "chat_completion") -> None:
    """417, and the message names the field and what is wrong with it."""
    refused = user.refused(method, **arguments)
    assert (refused.status, refused.exc_type) == (417, "ValidationError"), refused
    for word in words:
        assert word in refused.message, refused.message
    assert "Traceback" not in refused.response.text


@pytest.mark.parametrize("messages", [None, [], "", "[]"])
def test_empty_messages(user: Client, messages: Any) -> None:
    check_refused(user, {"messages": messages}, "messages", "at least one")


@pytest.mark.parametrize("role", ["robot", "", None, 7, "USER", ["user"], {"a": 1}])
def test_unknown_roles(user: Client, role: Any) -> None:
    check_refused(
        user, {"messages": [*saying(), {"role": role, "content": "Hi"}]}, "messages[1].role", "user, assistant"
    )


def test_a_message_of_10_mb(user: Client) -> None:
    check_refused(user, {"messages": saying("x" * 10_000_000)}, "messages", "10.0 MB", "8.4 MB")


def test_100000_messages(user: Client) -> None:
    check_refused(user, {"messages": saying() * 100_000}, "messages", "100000", "2000")


@pytest.mark.parametrize(("bad", "word"), [(NUL, "NUL"), (LONE, "surrogate")])
@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda bad: saying(bad), "messages[0].content"),
        (lambda bad: saying([{"type": "text", "text": bad}]), "messages[0].content[0].text"),
        (lambda bad: saying(name=bad), "messages[0].name"),
        (lambda bad: [{"role": "assistant", "content": "x", "reasoning": bad}, *saying()], "messages[0].reasoning"),
    ],
)
def test_nul_and_lone_surrogates_in_messages(
    user: Client, make: Callable[[str], Any], field: str, bad: str, word: str
) -> None:
    check_refused(user, {"messages": make(bad)}, field, word)


@pytest.mark.parametrize(("bad", "word"), [(NUL, "NUL"), (LONE, "surrogate")])
@pytest.mark.parametrize(
    ("field", "make"),
    [
        ("metadata", lambda bad: {"k": bad}),
        ("stop[0]", lambda bad: [bad]),
        ("model", lambda bad: bad),
        ("provider", lambda bad: bad),
        ("conversation", lambda bad: bad),
    ],
)
def test_nul_and_lone_surrogates_elsewhere(user: Client, field: str, make: Any, bad: str, word: str) -> None:
    check_refused(user, {"messages": saying(), field.partition("[")[0]: make(bad)}, field, word)


@pytest.mark.parametrize("bad", [NUL, LONE])
def test_nul_and_lone_surrogates_in_other_methods(user: Client, bad: str) -> None:
    check_refused(user, {"search": bad}, "search", method="get_conversations")
    check_refused(user, {"conversation": bad}, "conversation", method="get_conversation")
    check_refused(user, {"conversation": "x", "title": bad}, "title", method="rename_conversation")
    check_refused(user, {"task_id": bad}, "task_id", method="get_task")


def test_a_tool_result_for_an_unknown_call(user: Client) -> None:
    result = {"role": "tool", "tool_call_id": "call_nobody_made", "content": "42"}
    check_refused(user, {"messages": [*saying(), result]}, "messages[1].tool_call_id", "call_nobody_made")


def test_a_tool_result_for_an_unknown_call_in_a_conversation(user: Client, ask: Ask) -> None:
    """The conversation's calls are known to the worker only, so it may be the task that fails."""
    task, _ = ask(answer(), conversation="new")
    result = {"role": "tool", "tool_call_id": "call_nobody_made", "content": "42"}
    response = user.request("chat_completion", json={"messages": [result], "conversation": task["conversation"]})
    if response.status_code == 200:
        failed = response.json()["message"]
        assert (failed["status"], failed["error"]["code"]) == ("failed", "invalid_request")
        assert "call_nobody_made" in failed["error"]["message"]
    else:
        assert response.status_code == 417
        assert "call_nobody_made" in response.text


def test_another_users_task_id(user: Client, other: Client, ask: Ask) -> None:
    task, _ = ask(answer())
    for method in ("get_task", "get_events", "cancel"):
        refused = other.refused(method, task_id=task["task_id"])
        assert (refused.status, refused.exc_type) == (404, "DoesNotExistError")
        unknown = other.refused(method, task_id=new_id())
        assert refused.message.replace(task["task_id"], "…") == unknown.message.replace(
            json.loads(unknown.response.request.content)["task_id"], "…"
        ), "as if it did not exist"


@pytest.mark.parametrize("bad", ["seven", "123", 7, ["x"], {"a": 1}, True, "x" * 10_000, "{00000000}"])
def test_a_task_id_that_is_no_uuid(user: Client, bad: Any) -> None:
    for method in ("get_task", "get_events", "cancel"):
        check_refused(user, {"task_id": bad}, "task_id", "UUID", method=method)
    check_refused(user, {"messages": saying(), "task_id": bad}, "task_id", "UUID")


@pytest.mark.parametrize("bad", [-1, -(10**30), 0, 10**30, "many", 1.5, [], True])
def test_negative_and_other_limits(user: Client, bad: Any) -> None:
    check_refused(user, {"task_id": new_id(), "limit": bad}, "limit", method="get_events")
    check_refused(user, {"limit": bad}, "limit", method="get_conversations")


@pytest.mark.parametrize(
    ("field", "value", "word"),
    [
        ("messages", 7, "list"),
        ("messages", {"role": "user"}, "list"),
        ("messages", "Hello", "JSON"),
        ("messages", [7], "messages[0]"),
        ("messages", [None], "messages[0]"),
        ("messages", [{"role": "user"}], "messages[0].content"),
        ("messages", [{"role": "user", "content": 7}], "messages[0].content"),
        ("messages", [{"role": "user", "content": []}], "messages[0].content"),
        ("messages", [{"role": "user", "content": [{"type": "video"}]}], "messages[0].content[0].type"),
        ("messages", [{"role": "user", "content": [{"type": "text", "text": 7}]}], "messages[0].content[0].text"),
        ("messages", [{"role": "assistant"}], "messages[0].content"),
        ("messages", [{"role": "assistant", "tool_calls": 7}], "messages[0].tool_calls"),
        ("messages", [{"role": "assistant", "tool_calls": [{"id": "x"}]}], "messages[0].tool_calls[0].function"),
        ("messages", [{"role": "tool", "content": "x"}], "messages[0].tool_call_id"),
        (
            "messages",
            [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]}],
            "messages[0].content[0].image_url.url",
        ),
        ("temperature", "warm", "number"),
        ("temperature", [1], "number"),
        ("temperature", True, "number"),
        ("max_tokens", 1.5, "whole number"),
        ("max_tokens", "lots", "whole number"),
        ("tools", "x", "JSON"),
        ("tools", 7, "list"),
        ("tools", [7], "tools[0]"),
        ("tools", [{"type": "function", "function": {"name": "a b"}}], "tools[0].function.name"),
        ("tool_choice", {"type": "function", "function": {"name": "nobody"}}, "nobody"),
        ("response_format", "x", "JSON"),
        ("response_format", {"type": "json_schema"}, "json_schema"),
        ("stop", 7, "string"),
        ("stop", [7], "string"),
        ("metadata", "x", "JSON"),
        ("metadata", [], "object"),
        ("mode", 7, "ask"),
        ("model", 7, "string"),
        ("provider", [], "string"),
        ("conversation", {}, "string"),
        ("wait", 7, "true or false"),
        ("timeout", "soon", "number"),
        ("timeout", float("nan"), "number"),
        ("reasoning_effort", 3, "low"),
    ],
)
def test_wrong_types(user: Client, field: str, value: Any, word: str) -> None:
    check_refused(user, {"messages": saying(), field: value}, field, word)


def deep(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = {"a": value}
    return value


def test_nesting_that_is_too_deep(user: Client) -> None:
    check_refused(user, {"messages": saying(), "metadata": deep(100)}, "metadata", "nested")
    tool = {"type": "function", "function": {"name": "deep", "parameters": deep(100)}}
    check_refused(user, {"messages": saying(), "tools": [tool]}, "tools[0]", "nested")


def test_a_form_instead_of_json(user: Client, script: Scripts) -> None:
    """Works: lists and objects as JSON texts."""
    played = script(answer("By form."))
    response = user.request("chat_completion", data={"messages": json.dumps(played.messages()), "wait": "true"})
    assert response.json()["message"]["message"]["content"] == "By form."
    for name, value in (("messages", "[{]"), ("temperature", "hot"), ("wait", "maybe")):
        form = {"messages": json.dumps(saying()), name: value}
        refused = user.request("chat_completion", data=form)
        assert refused.status_code == 417
        assert name in refused.text


def test_a_form_of_parts_works_too(user: Client, script: Scripts) -> None:
    played = script(answer("By parts."))
    files = {"messages": (None, json.dumps(played.messages()))}
    response = user.request("chat_completion", files=files)
    assert response.status_code == 200, response.text
    assert response.json()["message"]["message"]["content"] == "By parts."


def test_an_unknown_and_a_disabled_model(user: Client) -> None:
    check_refused(user, {"messages": saying(), "model": "gpt-99"}, "model", "gpt-99", "you may use")
    check_refused(user, {"messages": saying(), "model": "disabled"}, "model", "disabled", "choose another")


PROVIDER_FAULTS: list[tuple[str, Any, set[str], str]] = [
    ("html", page(), {"provider_unavailable", "stream_interrupted"}, ""),
    ("html error", page(status=502), {"provider_unavailable"}, ""),
    (
        "truncated json",
        Reply([b'data: {"choices": [{"delta": {"content": "Hal']),
        {"provider_unavailable", "stream_interrupted"},
        "",
    ),
    (
        "truncated json in mid-stream",
        [text("Half"), b'data: {"choices": [{"delta": {"content": " an\n\n'],
        {"stream_interrupted", "provider_unavailable"},
        "Half",
    ),
    ("429", refusal(429, "Slow down", Retry_After="1"), {"provider_rate_limited"}, ""),
    ("500", refusal(500, "Oops"), {"provider_unavailable"}, ""),
    ("empty", Reply([]), {"provider_unavailable", "stream_interrupted"}, ""),
    ("silence", [Hold()], {"provider_timeout"}, ""),
    ("silence in mid-stream", [text("Half"), Hold()], {"provider_timeout", "stream_interrupted"}, "Half"),
    ("cut before anything", Reply([Cut()]), {"provider_unavailable", "stream_interrupted"}, ""),
    ("cut in mid-stream", [thought("Hm"), text("Half"), Cut()], {"stream_interrupted"}, "Half"),
    ("ends without an end", [text("Half")], {"stream_interrupted"}, "Half"),
    ("no sse at all", Reply([b"just some text\n" * 50]), {"provider_unavailable", "stream_interrupted"}, ""),
    (
        "wrong types",
        [b'data: {"choices": {"a": 1}}\n\n', b"data: 7\n\n", b"data: []\n\n"],
        {"provider_unavailable", "stream_interrupted"},
        "",
    ),
]


@pytest.mark.parametrize(
    ("reply", "codes", "arrived"), [case[1:] for case in PROVIDER_FAULTS], ids=[case[0] for case in PROVIDER_FAULTS]
)
def test_what_a_provider_does_wrong(user: Client, ask: Ask, reply: Any, codes: set[str], arrived: str) -> None:
    """The task fails with a code and a message that says what to do; what had arrived is kept."""
    task, _ = ask(reply, model="impatient")
    ask(answer(), model="impatient")
    assert task["status"] == "failed"
    check_error(task["error"])
    assert task["error"]["code"] in codes, task["error"]
    assert len(task["error"]["message"].split()) >= 4, task["error"]
    assert task["message"]["content"] == arrived
    assert checked(user.events(task["task_id"])).end["text"] == arrived


def test_a_stream_that_never_ends(user: Client, ask: Ask) -> None:
    """The model's `total` time limit ends it."""
    task, played = ask([Endless(text("and on "))], model="impatient")
    ask(answer(), model="impatient")
    assert task["status"] == "failed"
    assert task["error"]["code"] in ("provider_timeout", "stream_interrupted")
    check_error(task["error"])
    assert task["message"]["content"].startswith("and on and on ")
    assert played.calls[0].closed.wait(5), "the provider is let go"
    checked(user.events(task["task_id"]))


def test_a_line_that_never_ends(user: Client, ask: Ask) -> None:
    """Its memory is bounded: the stream is given up long before the provider is."""
    task, played = ask(
        Reply([b'data: {"choices": [{"delta": {"content": "', Endless(b"x" * 500_000, 0.001)]), model="impatient"
    )
    ask(answer(), model="impatient")
    assert task["status"] == "failed"
    check_error(task["error"])
    assert played.calls[0].closed.wait(5)
