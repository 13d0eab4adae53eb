"""The figures of the embedded host over HTTP, and its own measurement of delivery."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import httpx
import pytest
from hosting import SITE, WebHost, eventually

import ai_assistant
from ai_assistant.host.metrics import HostMeters
from ai_assistant.host.openapi import describe
from ai_assistant.host.probe import DeliveryProbe
from tests.prometheus import Page

METRICS = "/api/method/ai_assistant.api.metrics"


def client_of(host: WebHost, *roles: str) -> httpx.AsyncClient:
    """A user with these roles, by API key as Prometheus calls."""
    user = host.auth.users.add(f"watcher-{'-'.join(roles).replace(' ', '')}", roles=roles)
    key, secret = host.auth.api_keys.create(user)
    return httpx.AsyncClient(base_url=host.url, headers={"Authorization": f"token {key}:{secret}"}, timeout=20)


@pytest.fixture
async def manager(host: WebHost) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody who may see the figures."""
    async with client_of(host, "AI Manager") as client:
        yield client


async def test_who_may_see_them(host: WebHost, http: httpx.AsyncClient) -> None:
    for roles, status in (((), 403), (("AI User",), 403), (("System Manager",), 200), (("AI Manager",), 200)):
        async with client_of(host, *roles) as client:
            answer = await client.get(METRICS)
        assert answer.status_code == status, roles
        assert status == 200 or answer.json()["exc_type"] == "PermissionError"
    assert (await http.get(METRICS)).status_code == 403
    administrator = host.auth.users.get("Administrator")
    key, secret = host.auth.api_keys.create(administrator)
    assert (await http.get(METRICS, headers={"Authorization": f"token {key}:{secret}"})).status_code == 200


async def test_the_form(manager: httpx.AsyncClient) -> None:
    answer = await manager.get(METRICS)
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.headers["content-encoding"] == "gzip"
    page = Page(answer.text)
    assert page["redis_up"] == 1
    build = next(dict(labels) for name, labels in page.samples if name == "ai_assistant_build_info")
    assert build["version"] == ai_assistant.__version__
    assert (build["host"], build["site"]) == ("embedded", SITE)
    assert (await manager.post(METRICS)).status_code == 403
    content = describe()["paths"][METRICS]["get"]["responses"]["200"]["content"]
    assert list(content) == ["text/plain"]


async def test_sockets_are_counted(host: WebHost, manager: httpx.AsyncClient) -> None:
    _, sid = await login(host)
    before = Page((await manager.get(METRICS)).text)
    sockets = [await host.connect(sid) for _ in range(3)]
    host.publish(b'{"event":"x","message":{},"room":"user:ann","namespace":"%s"}' % SITE.encode())
    await eventually(lambda: all(socket.received for socket in sockets))  # type: ignore[attr-defined]
    page = Page((await manager.get(METRICS)).text)
    assert page["socket_connections"] - before["socket_connections"] == 3
    assert page["bridge_deliveries_total"] == 3
    for socket in sockets:
        await socket.disconnect()
    await eventually(lambda: host.sockets.connected() == 0)
    page = Page((await manager.get(METRICS)).text)
    assert page["socket_connections"] == 0
    assert page.get("sockets_total", state="disconnected") == 3


async def login(host: WebHost) -> tuple[httpx.Response, str]:
    """A session of ann."""
    async with httpx.AsyncClient(base_url=host.url) as client:
        answer = await client.post("/api/method/login", data={"usr": "ann", "pwd": "correct horse battery"})
        return answer, client.cookies["sid"]


async def test_delivery_is_measured(host: WebHost) -> None:
    probe = DeliveryProbe(host.redis_url, host.bridge)
    meters = HostMeters(host.sockets, host.bridge, probe)
    assert "probe_success" not in str(meters._probe_families()), "nothing was measured yet"
    await probe.measure()
    assert probe.succeeded is True
    assert probe.delivery_s is not None and 0 < probe.delivery_s < 3
    names = [family.name for family in meters._probe_families() if family.samples]
    assert {"probe_success", "probe_delivery_seconds", "probe_timestamp_seconds"} <= set(names)
    assert host.bridge.counts["events"] == 0, "no socket is offered it"


async def test_a_loop_that_is_busy_is_measured(host: WebHost) -> None:
    probe = DeliveryProbe(host.redis_url, host.bridge)
    await probe.measure()  # connects
    measuring = asyncio.ensure_future(probe.measure())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    time.sleep(0.3)  # noqa: ASYNC251  # what a handler that blocks does to everybody
    await measuring
    assert probe.delivery_s is not None and probe.delivery_s >= 0.2


async def test_an_event_that_is_lost(host: WebHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ai_assistant.host.probe.LIMIT_S", 0.3)
    probe = DeliveryProbe(host.redis_url, host.bridge)
    await probe.measure()
    host.bridge.on_probe = None
    await probe.measure()
    assert (probe.succeeded, probe.delivery_s) == (False, None)
    assert host.bridge.counts["without_room"] == 1
    probe = DeliveryProbe("unix:///nowhere/redis.sock", host.bridge)
    await probe.measure()
    assert probe.succeeded is False
