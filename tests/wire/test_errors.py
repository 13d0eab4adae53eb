"""Frappe's statuses and bodies of errors, for what the app refuses and for what never reaches it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .client import Client, Refused, new_id
from .conftest import Host

SAYING = [{"role": "user", "content": "Hello"}]


def check_body(refused: Refused, status: int, exc_type: str, *words: str) -> None:
    """Frappe's form: `exc_type`, `exception`, `_server_messages`; the message holds all `words`."""
    assert (refused.status, refused.exc_type) == (status, exc_type), refused
    body = refused.body
    assert isinstance(body["exception"], str)
    assert refused.message
    assert refused.message in body["exception"]
    for word in words:
        assert word in refused.message
    assert "Traceback" not in refused.response.text
    assert refused.response.headers["content-type"].startswith("application/json")


@pytest.mark.parametrize(
    ("method", "arguments", "field"),
    [
        ("chat_completion", {}, "messages"),
        ("chat_completion", {"messages": SAYING, "mode": "shout"}, "mode"),
        ("chat_completion", {"messages": SAYING, "temperature": 9}, "temperature"),
        ("chat_completion", {"messages": SAYING, "max_tokens": 0}, "max_tokens"),
        ("chat_completion", {"messages": SAYING, "reasoning_effort": "huge"}, "reasoning_effort"),
        ("chat_completion", {"messages": SAYING, "tools": [{"type": "web"}]}, "tools[0].type"),
        ("chat_completion", {"messages": SAYING, "tool_choice": "maybe"}, "tool_choice"),
        ("chat_completion", {"messages": SAYING, "response_format": {"type": "xml"}}, "response_format.type"),
        ("chat_completion", {"messages": SAYING, "stop": ["a", "b", "c", "d", "e"]}, "stop"),
        ("chat_completion", {"messages": SAYING, "metadata": {"k": "x" * 5000}}, "metadata"),
        ("chat_completion", {"messages": SAYING, "timeout": -1}, "timeout"),
        ("chat_completion", {"messages": SAYING, "wait": "perhaps"}, "wait"),
        ("chat_completion", {"messages": SAYING, "model": "no-such-model"}, "model"),
        ("get_task", {}, "task_id"),
        ("cancel", {"task_id": "seven"}, "task_id"),
        ("get_events", {"task_id": new_id(), "after_seq": -1}, "after_seq"),
        ("get_events", {"task_id": new_id(), "limit": 0}, "limit"),
        ("get_conversations", {"limit": -5}, "limit"),
        ("get_conversation", {}, "conversation"),
        ("rename_conversation", {"conversation": "x", "title": ""}, "title"),
        ("rename_conversation", {"conversation": "x", "title": "x" * 1000}, "title"),
    ],
)
def test_a_wrong_argument_is_417_and_named(user: Client, method: str, arguments: dict[str, Any], field: str) -> None:
    check_body(user.refused(method, **arguments), 417, "ValidationError", field)


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("get_task", {"task_id": new_id()}),
        ("get_events", {"task_id": new_id()}),
        ("cancel", {"task_id": new_id()}),
        ("get_conversation", {"conversation": "nosuchthing"}),
        ("rename_conversation", {"conversation": "nosuchthing", "title": "New"}),
        ("delete_conversation", {"conversation": "nosuchthing"}),
        ("chat_completion", {"messages": SAYING, "conversation": "nosuchthing"}),
    ],
)
def test_what_is_not_there_is_404(user: Client, method: str, arguments: dict[str, Any]) -> None:
    check_body(user.refused(method, **arguments), 404, "DoesNotExistError")


def test_a_model_for_others_is_403(other: Client) -> None:
    check_body(other.refused("chat_completion", messages=SAYING, model="restricted"), 403, "PermissionError", "model")


@pytest.mark.parametrize(
    "method",
    ["chat_completion", "cancel", "get_task", "get_events", "get_models", "get_conversations", "delete_conversation"],
)
def test_a_guest_is_refused(host: Host, guest: Client, method: str) -> None:
    """Frappe's own whitelist answers a guest with 403; the app would say 401. The contract does not decide."""
    refused = guest.refused(method, messages=SAYING)
    status, exc_type = (401, "AuthenticationError") if refused.status == 401 else (403, "PermissionError")
    if host.is_embedded:
        check_body(refused, status, exc_type)
    else:  # Frappe answers before the app, and shows `exc` where System Settings allow it
        assert (refused.status, refused.exc_type) == (status, exc_type)


@pytest.mark.parametrize("method", ["chat_completion", "cancel", "rename_conversation", "delete_conversation"])
def test_a_write_by_get_is_refused(user: Client, method: str) -> None:
    """As Frappe does for a method that is whitelisted for POST."""
    assert user.request(method, "GET", params={"task_id": new_id()}).status_code == 403


@pytest.mark.parametrize(
    "name", ["nothing", "core.service.status", "chat_completion.__globals__", "os.system", "x" * 3000]
)
def test_an_unknown_method_is_refused(user: Client, host: Host, name: str) -> None:
    response = user.request(f"ai_assistant.api.{name}")
    assert 400 <= response.status_code < 500
    assert "Traceback" not in response.text or not host.is_embedded


@pytest.mark.parametrize("body", [b"{", b'{"messages": [', b"\xff\xfe", b"[" * 50_000, b'{"a":' * 50_000, b"nul"])
def test_broken_json_is_400(user: Client, host: Host, body: bytes) -> None:
    """Frappe's own answer, before the app."""
    response = user.request("chat_completion", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 400 if host.is_embedded else response.status_code in (400, 417, 500)
    assert "Traceback" not in response.text or not host.is_embedded


@pytest.mark.parametrize("body", [b"[]", b"1", b"null", b'"text"', b"[[1, 2], [3, 4]]"])
def test_json_that_is_no_object_is_refused(user: Client, host: Host, body: bytes) -> None:
    response = user.request("chat_completion", content=body, headers={"Content-Type": "application/json"})
    assert 400 <= response.status_code < 500 or not host.is_embedded
    assert "Traceback" not in response.text or not host.is_embedded


def test_too_large_a_body_is_413(user: Client, host: Host) -> None:
    body = json.dumps({"messages": [{"role": "user", "content": "x" * 60_000_000}]}).encode()
    response = user.request("chat_completion", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 413


def test_unknown_arguments_are_ignored(user: Client) -> None:
    """As Frappe does: it passes on what a method takes."""
    assert user.call("get_models", nothing="of the kind")
