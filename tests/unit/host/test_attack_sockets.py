"""Clients that send what no honest Socket.IO client sends."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from hosting import SITE, WebHost, eventually
from websockets.asyncio.client import connect

ROOM = {"event": "ai_progress", "namespace": SITE, "room": "user:ann", "message": {"n": 1}}


def sid_of(host: WebHost) -> str:
    """A new session of ann's."""
    user = host.auth.users.get("ann")
    assert user is not None
    return host.auth.sessions.create(user).sid


async def joined(host: WebHost, sid: str) -> Any:
    """A WebSocket that has joined the namespace, without a library in between."""
    headers = {"Origin": host.url, "Cookie": f"sid={sid}"}
    url = f"{host.url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket"
    socket = await connect(url, additional_headers=headers)
    await socket.recv()
    await socket.send(f"40/{SITE},")
    assert (await socket.recv()).startswith(f"40/{SITE},")
    return socket


@pytest.mark.parametrize("name", ["disconnect", "connect", "disconnecting", "connect_error", "*"])
async def test_an_event_named_like_a_handler_does_not_call_it(host: WebHost, name: str) -> None:
    sid = sid_of(host)
    socket = await joined(host, sid)
    await socket.send(f"42/{SITE},{json.dumps([name, {}])}")
    await eventually(lambda: host.sockets.counts["malformed"] == 1)
    assert host.sockets.connected() == 1
    host.auth.sessions.end(sid)
    await host.sockets.sweep()
    await eventually(lambda: host.sockets.connected() == 0)
    host.publish(json.dumps(ROOM))
    await eventually(lambda: host.bridge.counts["events"] == 1)
    assert host.bridge.counts["deliveries"] == 0
    await socket.close()


@pytest.mark.parametrize(
    "packets",
    [
        [f'5999999999-/{SITE},["x"]'],
        [f"61-/{SITE},1[]"],
        [b"\x00" * 90_000],
        [f'5999999999-/{SITE},["x"]', *[b"\x00" * 90_000] * 5],
    ],
)
async def test_attachments_are_not_kept(host: WebHost, packets: list[str | bytes]) -> None:
    socket = await joined(host, sid_of(host))
    for packet in packets:
        await socket.send(packet if isinstance(packet, bytes) else f"4{packet}")
    await eventually(lambda: host.sockets.counts["binary_refused"] == len(packets))
    assert host.sockets.server._binary_packet == {}
    await socket.close()


@pytest.mark.parametrize(
    "packet",
    ["49", "4", "42/%s,{}", "42/%s,[]", "42/%s,[[]]", "42/%s,[1]", "42/%s,no json", "44/%s,1", "42/%s," + "[" * 90_000],
)
async def test_malformed_messages_leave_no_trace_in_the_log(
    host: WebHost, caplog: pytest.LogCaptureFixture, packet: str
) -> None:
    socket = await joined(host, sid_of(host))
    with caplog.at_level(logging.INFO):
        await socket.send(packet.replace("%s", SITE))
        await eventually(lambda: host.sockets.counts["malformed"] == 1)
    assert "Traceback" not in caplog.text
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    await socket.close()
