"""The JavaScript clients of Frappe's world: `socket.io-client` and `frappe-js-sdk`, through Node."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from typing import Any

import pytest

from .chunks import answer
from .client import Client
from .conftest import Host
from .events import checked
from .node_clients import NodeListener, run
from .script import Script
from .sockets import SETS_ORIGIN

Scripts = Callable[..., Script]
pytestmark = [
    pytest.mark.skipif(shutil.which("node") is None, reason="needs Node 20"),
    pytest.mark.timeout(400),  # the first run installs from npm
]


@pytest.mark.parametrize("transports", ["websocket", "polling", "polling,websocket"])
def test_socket_io_client(host: Host, user: Client, script: Scripts, transports: str) -> None:
    environment = {"WIRE_ORIGIN": host.url, "WIRE_SID": user.sid, "WIRE_TRANSPORTS": transports}
    with NodeListener(host.socket_url, host.site, **environment) as client:
        assert client.next()["connected"]
        task_id = user.start(script(answer("To Node.", reasoning="Über 世界 👩‍🚀.")).messages())
        record = checked(client.events_of(task_id), task_id)
    assert (record.text, record.reasoning) == ("To Node.", "Über 世界 👩‍🚀.")
    assert record.events == user.events(task_id)


def test_socket_io_client_with_an_api_key(host: Host, keyed: Client, script: Scripts) -> None:
    environment = {"WIRE_ORIGIN": host.url, "WIRE_TOKEN": host.api_key, "WIRE_COOKIE": "any=cookie"}
    with NodeListener(host.socket_url, host.site, **environment) as client:
        assert client.next()["connected"]
        task_id = keyed.start(script(answer("By key.")).messages())
        checked(client.events_of(task_id), task_id)


@pytest.mark.parametrize("origin", ["http://evil.example", None])
def test_socket_io_client_is_refused(host: Host, user: Client, origin: str | None) -> None:
    """From a foreign page, and without any cookie."""
    if origin and SETS_ORIGIN:
        pytest.skip("the proxy in front writes its own Origin header (AI_ASSISTANT_PROXY_ORIGIN)")
    environment = {"WIRE_ORIGIN": origin, "WIRE_SID": user.sid} if origin else {}
    with NodeListener(host.socket_url, host.site, **environment) as client:
        assert client.next()["refused"]


def check_sdk(found: dict[str, Any], name: str) -> None:
    assert found["user"] == name
    assert found["task"]["message"]["content"] == "To the SDK."
    assert found["again"] == found["task"]
    assert found["error"]["httpStatus"] == 417
    assert found["error"]["exc_type"] == "ValidationError"
    record = checked(found["events"], found["task"]["task_id"])
    assert record.text == "To the SDK."


def test_frappe_js_sdk(host: Host, script: Scripts) -> None:
    """Login by password, calls, an error, events, logout."""
    messages = json.dumps(script(answer("To the SDK.")).messages())
    environment = {"WIRE_USER": host.user, "WIRE_PASSWORD": host.password, "WIRE_SOCKET_URL": host.socket_url}
    found = run("sdk.mjs", host.url, host.site, WIRE_MESSAGES=messages, **environment)
    assert found["login"]["message"] == "Logged In"
    check_sdk(found, host.user)


def test_frappe_js_sdk_with_an_api_key(host: Host, keyed: Client, script: Scripts) -> None:
    messages = json.dumps(script(answer("To the SDK.")).messages())
    name = keyed.http.get("/api/method/frappe.auth.get_logged_user").json()["message"]
    environment = {"WIRE_TOKEN": host.api_key, "WIRE_SOCKET_URL": host.socket_url}
    check_sdk(run("sdk.mjs", host.url, host.site, WIRE_MESSAGES=messages, **environment), name)
