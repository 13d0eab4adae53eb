"""Anomalies in `status`, and the host's own look for them."""

from __future__ import annotations

import logging
import time

import httpx
import msgspec
import pytest
from hosting import PASSWORD, SITE, WebHost

from ai_assistant.core.trace_keys import ObservabilityKeys
from ai_assistant.host.access import HostOpener
from ai_assistant.host.anomaly_watch import AnomalyWatch
from ai_assistant.streams.connection import request_client
from ai_assistant.traces.anomalies import Anomaly
from ai_assistant.traces.metrics import look

KEYS = ObservabilityKeys(SITE)


async def test_managers_are_told_which(host: WebHost) -> None:
    client = request_client(host.redis_url)
    found = Anomaly(model="gpt", kind="errors", since=time.time(), value=0.5, usual=0.01, calls=40)
    client.hset(KEYS.anomalies, "x", msgspec.json.encode(found))
    host.auth.users.add("boss", password=PASSWORD, roles=("AI Manager",))
    for name, lines in (("boss", ["gpt: share of calls that fail 50%, usually 1%"]), ("ann", None)):
        async with httpx.AsyncClient(base_url=host.url) as http:
            await http.post("/api/method/login", json={"usr": name, "pwd": PASSWORD})
            traces = (await http.get("/api/method/ai_assistant.api.status")).json()["message"]["traces"]
        assert traces["alarms"] == ["anomalies"], name
        assert traces.get("anomalies") == lines, "it names models that not everybody may use"
    client.delete(KEYS.anomalies)


async def test_the_hosts_look(host: WebHost, caplog: pytest.LogCaptureFixture) -> None:
    client = request_client(host.redis_url)
    client.delete(KEYS.checking, KEYS.checked)
    opener = HostOpener(host.config, host.database)
    AnomalyWatch(client, opener, SITE).look()
    checked = look(client, [SITE])[0].checked
    assert checked is not None
    assert checked.calls == 0
    away = request_client("unix:///nowhere/redis.sock")
    with caplog.at_level(logging.WARNING):
        AnomalyWatch(away, opener, SITE).look()
    assert "the check for anomalies has to wait" in caplog.text
