"""`metrics`: for managers and administrators, in the text that Prometheus reads."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.prometheus import Page

from .chunks import answer, thought
from .client import Client
from .conftest import Host
from .host import USER3
from .script import Script

Ask = Callable[..., tuple[dict[str, Any], Script]]


@pytest.fixture(scope="module")
def manager(host: Host) -> Iterator[Client]:
    """Administrator."""
    password = host.process.admin_password if host.process else os.environ.get("AI_ASSISTANT_ADMIN_PASSWORD")
    if not password:
        pytest.skip("set AI_ASSISTANT_ADMIN_PASSWORD to see the figures of this host")
    with Client(host.url) as client:
        yield client.login("Administrator", password)


def page_of(client: Client) -> Page:
    """The figures."""
    response = client.request("metrics", "GET")
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return Page(response.text)


def test_only_managers_see_them(host: Host, user: Client, guest: Client, manager: Client) -> None:
    for client in (user, guest):
        response = client.request("metrics", "GET")
        assert (response.status_code, response.json()["exc_type"]) == (403, "PermissionError")
        assert "ai_assistant_redis_up" not in response.text
    assert "AI Manager" in user.request("metrics", "GET").text, "the message names the role"
    assert manager.request("metrics", "POST").status_code == 403


def test_a_chat_is_counted(ask: Ask, manager: Client) -> None:
    before = page_of(manager)
    task, _ = ask([thought("Hm. "), *answer("Because.")])
    assert task["status"] == "completed"
    page = grown(manager, before, "first_reasoning_seconds_count")
    for name in ("tasks_accepted_total", "first_text_seconds_count", "publish_batches_total"):
        assert page[name] > before[name], name
    for type_ in ("start", "reasoning", "text", "end"):
        assert count(page, "events_total", type=type_) > count(before, "events_total", type=type_), type_
    completed = {"status": "completed", "code": ""}
    assert count(page, "tasks_ended_total", **completed) > count(before, "tasks_ended_total", **completed)
    assert page["redis_up"] == 1
    assert sum(count(page, "workers", kind=kind) for kind in ("daemon", "job", "embedded")) >= 1


def count(page: Page, name: str, **labels: str) -> float:
    """A figure that must be there."""
    found = page.get(name, **labels)
    assert found is not None, name
    return found


def grown(manager: Client, before: Page, name: str) -> Page:
    """The figures once this one has grown: workers add what they counted once a second."""
    until = time.monotonic() + 20
    while (page := page_of(manager))[name] <= before[name]:
        assert time.monotonic() < until, f"{name} does not grow"
        time.sleep(0.1)
    return page


def test_sockets_are_counted(manager: Client, socket: Any) -> None:
    page = page_of(manager)
    if page.get("realtime_listening") == 0:
        pytest.skip("the realtime server is on another machine")
    assert page["socket_connections"] >= 1


def test_no_secret_and_no_content(ask: Ask, manager: Client, host: Host) -> None:
    ask(answer("A word that nobody else says: Xylophongarten."), content="Ask about Quastenflosser.")
    text = manager.request("metrics", "GET").text
    for word in ("Xylophongarten", "Quastenflosser", host.user, host.password, USER3, "redis://"):
        assert word not in text


def test_by_api_key(host: Host) -> None:
    """As Prometheus calls it: `authorization: {type: token, credentials: key:secret}`; the suite's key is a
    manager's."""
    if not host.api_key:
        pytest.skip("no API key was given (AI_ASSISTANT_API_KEY, AI_ASSISTANT_API_SECRET)")
    headers = {"Authorization": f"token {host.api_key}"}
    url = f"{host.url}/api/method/ai_assistant.api.metrics"
    response = httpx.get(url, headers=headers, timeout=20, trust_env=False)
    assert Page(response.text)["redis_up"] == 1
