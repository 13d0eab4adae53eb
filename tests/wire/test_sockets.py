"""Socket.IO: who may connect, and who receives what (frappe-facts, "Realtime")."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from .chunks import answer
from .client import Client
from .conftest import Host
from .events import checked
from .script import Gate, Script
from .sockets import SETS_ORIGIN, Listener, SocketRefused

Scripts = Callable[..., Script]
Listeners = Callable[[], Listener]


@pytest.mark.parametrize("transports", [["websocket"], ["polling"], ["polling", "websocket"]], ids="-".join)
def test_each_transport_brings_the_events(
    user: Client, script: Scripts, listener: Listeners, transports: list[str]
) -> None:
    socket = listener().connect(sid=user.sid, transports=transports)
    played = script(answer("Over any transport.", reasoning="Whichever."))
    task_id = user.start(played.messages())
    record = checked(socket.wait_for_end(task_id), task_id)
    assert record.text == "Over any transport."


def test_every_socket_of_the_user_gets_every_event(user: Client, script: Scripts, listener: Listeners) -> None:
    sockets = [listener().connect(sid=user.sid) for _ in range(4)]
    task_id = user.start(script(answer("For all of them.")).messages())
    received = [socket.wait_for_end(task_id) for socket in sockets]
    assert all(events == received[0] for events in received)
    checked(received[0], task_id)


def test_nobody_else_gets_any(host: Host, user: Client, other: Client, script: Scripts, listener: Listeners) -> None:
    """Neither another user nor a guest, whatever they ask to join."""
    mine = listener().connect(sid=user.sid)
    strangers = [
        listener().connect(sid=other.sid),
        listener().connect(cookie="sid=Guest"),
        listener().connect(sid="f" * 40),
    ]
    gate = Gate()
    played = script([gate, *answer("Private.")])
    task_id = user.start(played.messages())
    for stranger in strangers:
        client = stranger._client
        assert client is not None
        for event, what in (
            ("task_subscribe", task_id),
            ("progress_subscribe", task_id),
            ("join", f"user:{host.user}"),
            ("doctype_subscribe", "AI Conversation"),
        ):
            stranger._background.run(client.emit(event, what, namespace=stranger.namespace))
    gate.open()
    mine.wait_for_end(task_id)
    time.sleep(0.3)
    assert all(stranger.events == [] for stranger in strangers)
    own = other.start(script(answer("Theirs.")).messages())
    strangers[0].wait_for_end(own)
    assert {event["task_id"] for event in strangers[0].events} == {own}
    assert mine.of(own) == []


def test_an_invalid_session_is_a_guest(listener: Listeners) -> None:
    assert listener().connect(sid="0" * 40).is_connected


@pytest.mark.parametrize("namespace", ["/", "/other.localhost", "/assistant.example"])
def test_another_namespace_is_refused(host: Host, user: Client, listener: Listeners, namespace: str) -> None:
    """It must be the site of the request."""
    if namespace == "/" and not host.is_embedded:
        pytest.skip("Frappe's realtime server takes it and sends nothing there: the next test")
    with pytest.raises(SocketRefused):
        listener().connect(sid=user.sid, namespace=namespace)


def test_the_root_namespace_brings_nothing(
    host: Host, user: Client, script: Scripts, listener: Listeners, socket: Listener
) -> None:
    if host.is_embedded:
        pytest.skip("the embedded host refuses it")
    root = listener().connect(sid=user.sid, namespace="/")
    task_id = user.start(script(answer("Not for the root.")).messages())
    checked(socket.wait_for_end(task_id), task_id)
    assert not root.events
    assert not root.others


@pytest.mark.skipif(SETS_ORIGIN, reason="the proxy in front writes its own Origin header (AI_ASSISTANT_PROXY_ORIGIN)")
def test_a_foreign_origin_is_refused(user: Client, listener: Listeners) -> None:
    """Its hostname must equal the Host's."""
    with pytest.raises(SocketRefused):
        listener().connect(sid=user.sid, origin="http://evil.example")


def test_without_a_cookie_there_is_no_connection(host: Host, listener: Listeners) -> None:
    """Even with an API key: v15 wants a Cookie header, and any will do then; alone it must be a session's."""
    with pytest.raises(SocketRefused):
        listener().connect()
    with pytest.raises(SocketRefused):
        listener().connect(cookie="nothing=here")
    if host.api_key:
        with pytest.raises(SocketRefused):
            listener().connect(token=host.api_key)


def test_an_api_key_with_any_cookie_is_its_user(
    keyed: Client, host: Host, script: Scripts, listener: Listeners
) -> None:
    socket = listener().connect(token=host.api_key, cookie="any=cookie")
    task_id = keyed.start(script(answer("By key.")).messages())
    assert checked(socket.wait_for_end(task_id), task_id).text == "By key."


def test_a_wrong_api_key_gets_nothing(host: Host, user: Client, script: Scripts, listener: Listeners) -> None:
    socket = listener()
    try:
        socket.connect(token="wrong:wrong", cookie="any=cookie")
    except SocketRefused:
        return
    task_id = user.start(script(answer()).messages())
    user.finished(task_id)
    time.sleep(0.2)
    assert socket.events == []


def test_a_logout_ends_the_sockets_of_the_session(
    only_embedded: None, host: Host, user: Client, script: Scripts, listener: Listeners
) -> None:
    with Client(host.url) as leaving:
        leaving.login(host.user, host.password)
        socket = listener().connect(sid=leaving.sid)
        leaving.http.post("/api/method/logout")
    until = time.monotonic() + 5
    while socket.is_connected and time.monotonic() < until:
        time.sleep(0.02)
    task_id = user.start(script(answer()).messages())
    user.finished(task_id)
    time.sleep(0.2)
    assert socket.of(task_id) == []


def test_the_answer_is_whole_without_any_socket(other: Client, script: Scripts) -> None:
    """Promise 7, as a client sees it."""
    task = other.chat(script(answer("Without a socket.")).messages())
    assert task["message"]["content"] == "Without a socket."
    checked(other.events(task["task_id"]))


def test_a_slow_socket_slows_nobody(host: Host, user: Client, script: Scripts, listener: Listeners) -> None:
    """Another socket of the user that never reads does not hold up the stream."""
    import socket as sockets
    from urllib.parse import urlsplit

    fast = listener().connect(sid=user.sid)
    address = urlsplit(host.socket_url)
    idle = sockets.create_connection((address.hostname, address.port or 80), timeout=5)
    try:
        idle.sendall(
            f"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: {address.netloc}\r\n"
            f"Origin: {user.base_url}\r\nCookie: sid={user.sid}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )
        assert b"101" in idle.recv(200)
        payload = f"40/{fast.namespace[1:]},".encode()
        mask = b"\x01\x02\x03\x04"
        masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
        idle.sendall(bytes([0x81, 0x80 | len(payload)]) + mask + masked)
        task_id = user.start(script(answer("word " * 5_000)).messages())
        record = checked(fast.wait_for_end(task_id, 30), task_id)
        assert record.text == "word " * 5_000
    finally:
        idle.close()
