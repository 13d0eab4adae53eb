"""Sockets over a real port and a real Redis: connection rules, rooms, delivery, revocation, slow and broken clients."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

import pytest
import redis
import websockets
from hosting import PASSWORD, SITE, WebHost, eventually
from socketio.exceptions import ConnectionError as SocketError

from ai_assistant.host import fanout, sockets

NAMESPACE = f"/{SITE}"


def sid_of(host: WebHost, name: str = "ann") -> str:
    return host.auth.login(name, PASSWORD, "-").sid


def event_for(user: str, message: Any, **more: Any) -> str:
    """An envelope as `frappe.publish_realtime` writes it."""
    envelope = {"event": "ai_progress", "message": message, "room": f"user:{user}", "namespace": SITE}
    return json.dumps({**envelope, **more})


async def raw(host: WebHost, headers: dict[str, str], namespace: str = NAMESPACE, path: str = "") -> Any:
    """A bare WebSocket that has asked to join `namespace`, and the server's answer."""
    url = f"ws://127.0.0.1:{host.port}/socket.io/?EIO=4&transport=websocket{path}"
    found = await websockets.connect(url, additional_headers=headers, compression=None, max_size=None)
    assert (await found.recv()).startswith("0{")
    await found.send(f"40{namespace},")
    return found, await asyncio.wait_for(found.recv(), 10)


RULES = [
    ({"Cookie": "sid={sid}"}, None),
    ({"Cookie": 'a=1; sid={sid}; b={{"x": 1}}'}, None),
    ({"Cookie": "x=1", "Authorization": "token {key}"}, None),
    ({"Authorization": "token {key}"}, "No cookie transmitted."),
    ({}, "No cookie transmitted."),
    ({"Cookie": "x=1"}, "No authentication method used. Use cookie or authorization header."),
    ({"Cookie": "sid="}, "No authentication method used. Use cookie or authorization header."),
    ({"Cookie": "x=1", "Authorization": "token {key}x"}, "Unauthorized: Error: Unauthorized"),
    ({"Cookie": "x=1", "Authorization": "token abc"}, "Unauthorized: Error: Unauthorized"),
    ({"Cookie": "x=1", "Authorization": "Bearer abc"}, "Unauthorized: Error: Unauthorized"),
    ({"Cookie": "sid={sid}", "Origin": ""}, "Invalid origin"),
    ({"Cookie": "sid={sid}", "Origin": "null"}, "Invalid origin"),
    ({"Cookie": "sid={sid}", "Origin": "http://evil.example"}, "Invalid origin"),
    ({"Cookie": "sid={sid}", "Origin": "http://127.0.0.1.evil.example"}, "Invalid origin"),
    ({"Cookie": "sid={sid}", "Origin": "http://127.0.0.1:1"}, None),
    ({"Cookie": "sid={sid}", "X-Frappe-Site-Name": "other.site"}, "Invalid namespace"),
    ({"Cookie": "sid={sid}", "X-Frappe-Site-Name": SITE}, None),
]


@pytest.mark.parametrize(("headers", "refusal"), RULES)
async def test_the_connection_rules_of_frappes_server(
    host: WebHost, headers: dict[str, str], refusal: str | None
) -> None:
    key = ":".join(host.auth.api_keys.create(host.auth.users.get("ann")))
    sid = sid_of(host)
    given = {name: value.format(sid=sid, key=key) for name, value in {"Origin": host.url, **headers}.items()}
    given = {name: value for name, value in given.items() if value}
    socket, answer = await raw(host, given)
    if refusal is None:
        assert answer.startswith(f'40{NAMESPACE},{{"sid":')
        await eventually(lambda: host.sockets.connected() == 1)
    else:
        assert json.loads(answer.partition(",")[2]) == {"message": refusal}
        assert host.sockets.connected() == 0
    await socket.close()


@pytest.mark.parametrize("namespace", ["/", "/other.site", "/assistant.localhost2", "/ASSISTANT", "/a/b"])
async def test_other_namespaces_are_refused(host: WebHost, namespace: str) -> None:
    headers = {"Origin": host.url, "Cookie": f"sid={sid_of(host)}"}
    socket, answer = await raw(host, headers, namespace)
    assert answer.startswith("44")
    assert "Invalid namespace" in answer
    await socket.close()


async def test_under_another_name_the_site_is_the_origins(host: WebHost) -> None:
    headers = {"Host": "x.localhost", "Origin": "http://x.localhost", "Cookie": f"sid={sid_of(host)}"}
    assert host.sockets.site == SITE
    with pytest.raises(SocketError):
        await host.connect(headers=headers)
    good = {**headers, "Host": SITE, "Origin": f"http://{SITE}"}
    client = await host.connect(headers=good)
    await client.disconnect()


async def test_events_reach_their_user_and_nobody_else(host: WebHost) -> None:
    ann = [await host.connect(sid_of(host)), await host.connect(sid_of(host), transports=["polling"])]
    bob = await host.connect(sid_of(host, "bob"))
    guest = await host.connect("0" * 48)
    message = {"type": "text", "text": "ä 😀 \u2028 </script> \x00", "n": 1.5, "list": [None, True]}
    assert host.publish(event_for("ann", message)) == 1
    host.publish(event_for("bob", {"for": "bob"}))
    host.publish(event_for("Guest", {"for": "guests"}))
    host.publish(event_for("ann", "two"))
    for client in ann:
        await eventually(lambda client=client: len(client.received) == 2)
        assert client.received == [("ai_progress", message), ("ai_progress", "two")]
    await eventually(lambda: bob.received)
    assert bob.received == [("ai_progress", {"for": "bob"})]
    assert guest.received == []
    for client in (*ann, bob, guest):
        await client.disconnect()
    await eventually(lambda: host.sockets.connected() == 0)


async def test_a_message_is_passed_on_byte_for_byte(host: WebHost) -> None:
    socket, _ = await raw(host, {"Origin": host.url, "Cookie": f"sid={sid_of(host)}"})
    odd = r'{"b" :1e2,  "a":"\u00e4\/","c":0.10}'
    host.publish('{"room":"user:ann","message":' + odd + ',"namespace":"' + SITE + '","event":"e\\"x"}')
    assert await asyncio.wait_for(socket.recv(), 10) == f'42{NAMESPACE},["e\\"x",{odd}]'
    await socket.close()


async def test_a_lone_surrogate_arrives_as_on_frappe(host: WebHost) -> None:
    client = await host.connect(sid_of(host))
    host.publish(event_for("ann", {"value": "a\ud800b\u0000c"}))
    await eventually(lambda: client.received)
    assert client.received == [("ai_progress", {"value": "a\ud800b\u0000c"})]
    assert host.bridge.counts["malformed"] == 0
    await client.disconnect()


async def test_rooms_as_on_frappe(host: WebHost) -> None:
    key = ":".join(host.auth.api_keys.create(host.auth.users.get("ann")))
    by_session = await host.connect(sid_of(host))
    by_key = await host.connect(headers={"Cookie": "x=1", "Authorization": f"token {key}"})
    guest = await host.connect("0" * 48)
    await guest.emit("task_subscribe", "some-task", namespace=NAMESPACE)
    await eventually(lambda: "task_progress:some-task" in host.sockets.manager.rooms[NAMESPACE])
    for room in ("website", "all", "user:ann", "task_progress:some-task"):
        host.publish(event_for("", room, room=room))
    host.publish(event_for("", "end", room="website"))
    clients = (by_session, by_key, guest)
    await eventually(lambda: all(("ai_progress", "end") in client.received for client in clients))
    rooms = [{message for _, message in client.received} - {"end"} for client in clients]
    assert rooms[0] == {"website", "all", "user:ann"}
    assert rooms[1] == {"website", "user:ann"}
    assert rooms[2] == {"website", "task_progress:some-task"}
    await guest.emit("task_unsubscribe", "some-task", namespace=NAMESPACE)
    await guest.emit("ping", namespace=NAMESPACE)
    await eventually(lambda: ("pong",) in guest.received)
    host.publish(event_for("", "late", room="task_progress:some-task"))
    host.publish(event_for("", "end2", room="website"))
    await eventually(lambda: ("ai_progress", "end2") in guest.received)
    assert ("ai_progress", "late") not in guest.received
    for client in clients:
        await client.disconnect()


async def test_a_socket_cannot_join_rooms_of_others(host: WebHost) -> None:
    guest = await host.connect("0" * 48)
    for event, room in (
        ("task_subscribe", "x/../user:ann"),
        ("doc_subscribe", "user:ann"),
        ("doctype_subscribe", "user:ann"),
        ("progress_subscribe", ["user:ann"]),
        ("task_subscribe", "y" * 1000),
        ("join", "user:ann"),
    ):
        await guest.emit(event, room, namespace=NAMESPACE)
    for number in range(sockets.MAX_ROOMS_PER_SOCKET + 50):
        await guest.emit("task_subscribe", f"room{number}", namespace=NAMESPACE)
    await guest.emit("ping", namespace=NAMESPACE)
    await eventually(lambda: ("pong",) in guest.received)
    rooms = host.sockets.manager.rooms[NAMESPACE]
    assert "user:ann" not in rooms
    assert sum(str(room).startswith("task_progress:room") for room in rooms) < sockets.MAX_ROOMS_PER_SOCKET + 1
    await guest.disconnect()


@pytest.mark.parametrize(
    "envelope",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"\xff\xfe",
        b'{"event": 5, "namespace": "assistant.localhost", "room": "user:ann", "message": 1}',
        b'{"event": "e", "room": "user:ann", "message": 1}',
        b'{"event": "e", "namespace": "assistant.localhost", "room": "user:ann", "message": "\xff"}',
    ],
)
async def test_a_malformed_envelope_is_counted_and_skipped(host: WebHost, envelope: bytes) -> None:
    client = await host.connect(sid_of(host))
    host.publish(envelope)
    host.publish(event_for("ann", "after"))
    await eventually(lambda: client.received)
    assert client.received == [("ai_progress", "after")]
    assert host.bridge.counts["malformed"] == 1
    await client.disconnect()


async def test_other_sites_and_events_without_a_room_are_left_alone(host: WebHost) -> None:
    client = await host.connect(sid_of(host))
    host.publish(event_for("ann", "theirs", namespace="other.site"))
    host.publish(event_for("ann", "everybody", room=None))
    host.publish(event_for("ann", "mine"))
    await eventually(lambda: client.received)
    assert client.received == [("ai_progress", "mine")]
    assert host.bridge.counts["without_room"] == 1
    assert host.bridge.counts["malformed"] == 0
    await client.disconnect()


async def test_logging_out_disconnects_the_sessions_sockets(host: WebHost, http: Any) -> None:
    sid = sid_of(host)
    first, second = await host.connect(sid), await host.connect(sid)
    other = await host.connect(sid_of(host))
    answer = await http.post("/api/method/logout", headers={"Cookie": f"sid={sid}"})
    assert answer.status_code == 200
    await eventually(lambda: not first.connected and not second.connected)
    assert other.connected
    host.publish(event_for("ann", "still here"))
    await eventually(lambda: other.received)
    assert first.received == []
    await other.disconnect()


async def test_disabling_a_user_from_outside_disconnects_their_sockets(host: WebHost) -> None:
    key, secret = host.auth.api_keys.create(host.auth.users.get("ann"))
    clients = [
        await host.connect(sid_of(host)),
        await host.connect(headers={"Cookie": "x=1", "Authorization": f"token {key}:{secret}"}),
    ]
    bob = await host.connect(sid_of(host, "bob"))
    host.auth.users.set_enabled("ann", False)  # as `ai-assistant user disable` does from another process
    await host.sockets.sweep()
    await eventually(lambda: not any(client.connected for client in clients))
    assert bob.connected
    assert host.sockets.connected() == 1
    await bob.disconnect()


async def test_a_slow_socket_is_dropped_and_slows_nobody(host: WebHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "MAX_OUTBOX_BYTES", 256 * 1024)
    sid = sid_of(host)
    reader, writer = await asyncio.open_connection("127.0.0.1", host.port, limit=1024)
    writer.write(
        f"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1:{host.port}\r\n"
        f"Origin: {host.url}\r\nCookie: sid={sid}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    join = f"40{NAMESPACE},".encode()
    mask = os.urandom(4)
    writer.write(b"\x81" + bytes([0x80 | len(join)]) + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(join)))
    await eventually(lambda: host.sockets.connected() == 1)
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    good = await host.connect(sid)
    count = 600
    for number in range(count):
        host.publish(event_for("ann", {"n": number, "text": "x" * 30_000}))
        await asyncio.sleep(0.005)  # the reader shares this event loop and must get its turn
    await eventually(lambda: len(good.received) == count, 30)
    assert [message["n"] for _, message in good.received] == list(range(count))
    await eventually(lambda: host.sockets.connected() == 1)
    assert host.sockets.counts["slow_dropped"] == 1
    writer.close()
    await good.disconnect()


async def test_a_lost_redis_is_found_again(host: WebHost) -> None:
    client = await host.connect(sid_of(host))
    connection = redis.Redis.from_url(host.redis_url)
    connection.client_kill_filter(_type="pubsub")
    await eventually(lambda: host.bridge.subscriber.counts["reconnects"] == 1)
    await asyncio.wait_for(host.bridge.subscriber.connected.wait(), 10)
    host.publish(event_for("ann", "again"))
    await eventually(lambda: client.received == [("ai_progress", "again")])
    connection.close()
    await client.disconnect()


BROKEN_PACKETS = (
    *("", "9", "4", "42", "42/x", '42["a"]', "b4AA", "\x00\ufffd", "4" + "9" * 200, "40/" + "x" * 5000 + ","),
    *(f"42{NAMESPACE},{rest}" for rest in ("", "{}", "[]", "[5]", "[[]]", "[" * 5000)),
    *(f"45{NAMESPACE},", f"451-{NAMESPACE},[]", f"43{NAMESPACE},7[]"),
)


@pytest.mark.parametrize("packet", BROKEN_PACKETS)
async def test_broken_packets_do_no_harm(host: WebHost, packet: str) -> None:
    headers = {"Origin": host.url, "Cookie": f"sid={sid_of(host)}"}
    broken, _ = await raw(host, headers)
    await broken.send(packet)
    client = await host.connect(sid_of(host))
    host.publish(event_for("ann", "fine"))
    await eventually(lambda: client.received == [("ai_progress", "fine")])
    await broken.close()
    await client.disconnect()


@pytest.mark.parametrize(
    "query",
    [
        *("", "EIO=3&transport=polling", "EIO=4&transport=nothing", "EIO=4&transport=websocket"),
        *("EIO=4&transport=polling&sid=x", "EIO=4&transport=polling&j=x", "EIO=4&transport=polling&j=5", "sid=%ff"),
    ],
)
async def test_odd_requests_below_socket_io_are_refused(host: WebHost, http: Any, query: str) -> None:
    for method in ("GET", "POST", "PUT", "OPTIONS"):
        answer = await http.request(method, f"/socket.io/?{query}", content=b"4" * 100)
        assert answer.status_code < 500
        assert "Traceback" not in answer.text


async def test_a_packet_over_the_limit_ends_its_own_connection_only(host: WebHost) -> None:
    headers = {"Origin": host.url, "Cookie": f"sid={sid_of(host)}"}
    broken, _ = await raw(host, headers)
    client = await host.connect(sid_of(host))
    await broken.send("42" + "x" * (sockets.MAX_PAYLOAD + 10))
    await asyncio.wait_for(broken.wait_closed(), 10)
    await eventually(lambda: host.sockets.connected() == 1)
    assert client.connected
    await client.disconnect()


async def test_a_user_has_at_most_so_many_sockets(host: WebHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "MAX_SOCKETS_PER_USER", 2)
    sid = sid_of(host)
    clients = [await host.connect(sid), await host.connect(sid)]
    refused, answer = await raw(host, {"Origin": host.url, "Cookie": f"sid={sid}"})
    assert "at most 2" in answer
    await refused.close()
    bob = await host.connect(sid_of(host, "bob"))
    await clients.pop().disconnect()
    await eventually(lambda: host.sockets.connected() == 2)
    clients.append(await host.connect(sid))
    for client in (*clients, bob):
        await client.disconnect()


async def test_connections_that_never_join_are_closed(host: WebHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "JOIN_TIMEOUT", -1.0)
    url = f"ws://127.0.0.1:{host.port}/socket.io/?EIO=4&transport=websocket"
    idle = await websockets.connect(url, compression=None)
    await idle.recv()
    client = await host.connect(sid_of(host))
    await host.sockets.sweep()
    await asyncio.wait_for(idle.wait_closed(), 10)
    assert host.sockets.counts["never_joined"] == 1
    assert client.connected
    await client.disconnect()


async def test_the_log_has_no_packets(host: WebHost, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "ai_assistant")
    client = await host.connect(sid_of(host))
    host.publish(event_for("ann", "very private words"))
    await eventually(lambda: client.received)
    assert "very private" not in caplog.text
    await client.disconnect()
