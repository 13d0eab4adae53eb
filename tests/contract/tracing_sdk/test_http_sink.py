"""The SDK over HTTP, against a running host that is killed and started again."""

from __future__ import annotations

import logging
import re
import subprocess
import sys

import httpx
import pytest

from ai_assistant import tracing
from ai_assistant.tracing import state
from tests.browser.serve import PASSWORD, Host
from tests.kit import wait_until

USER = "program@sdk.example"


@pytest.fixture
def host(tmp_path):
    host = Host(tmp_path, "")
    host.start()
    yield host
    host.stop()


@pytest.fixture
def key(host, tmp_path):
    """An API key of a user of its own, which outlives the host's process."""
    said = [
        subprocess.run(
            [sys.executable, "-m", "ai_assistant.cli", "user", "--data-dir", str(tmp_path / "data"), *words],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for words in (["add", USER, "--role", "AI User", "--no-password"], ["api-key", USER])
    ]
    found = re.search(r"[0-9a-f]{10,}:[0-9a-f]{10,}", said[-1])
    assert found, said
    return found[0]


@pytest.fixture
def begin(host, key):
    before, made = state.client(), []

    def init(**given):
        state.swap(None)
        made.append(tracing.init(**{"url": host.url, "api_key": key, "flush_interval": 0.02, **given}))
        return made[-1]

    yield init
    for client in made:
        client.shutdown(0.5)
    state.swap(before)


def stored(host, **wanted):
    """Traces as the host tells them, with their observations."""
    with httpx.Client(base_url=host.url) as http:
        http.post("/api/method/login", json={"usr": "Administrator", "pwd": PASSWORD}).raise_for_status()
        answer = http.get("/api/method/ai_assistant.api.get_traces", params={"limit": 200, **wanted})
        return answer.raise_for_status().json()["message"]["traces"]


def work(count, name="work"):
    for i in range(count):
        with tracing.span(f"{name} {i}", input={"i": i}), tracing.span("leaf", "tool"):
            tracing.set_trace(tags=["t"])


def test_a_program_elsewhere_is_stored_whole(begin, host, caplog):
    caplog.set_level(logging.INFO)
    client = begin(service="elsewhere")
    wait_until(lambda: client.check().consumer_age_s is not None)  # the host has started just now
    state.report(client)
    assert "consumer healthy" in caplog.text
    work(30)
    assert tracing.flush(20)
    rows = wait_until(lambda: (rows := stored(host, service="elsewhere")) and len(rows) == 30 and rows)
    wait_until(lambda: all(row["is_complete"] and row["status"] == "completed" for row in stored(host)))
    assert {row["user"] for row in rows} == {USER}
    assert {row["observation_count"] for row in stored(host, service="elsewhere")} == {2}
    assert len({row["trace"] for row in rows}) == 30
    assert "ingest_traces" not in caplog.text  # deliveries do not fill a program's log


@pytest.mark.timeout(180)
def test_a_host_that_is_away_loses_nothing(begin, host):
    client = begin(service="patient")
    work(10, "before")
    assert tracing.flush(20)
    host.kill()
    work(40, "meanwhile")
    assert not tracing.flush(0.5)
    assert "cannot be reached" in client.status()["problem"]
    host.start()
    assert wait_until(lambda: tracing.flush(5), timeout=60)
    # what the killed host's consumer had read is taken over after half a minute
    wait_until(lambda: len(stored(host, service="patient")) == 50, timeout=75)
    wait_until(lambda: all(row["is_complete"] for row in stored(host, service="patient")))
    assert client.status()["dropped"] == 0


def test_a_wrong_key_is_told_and_does_no_harm(begin, caplog):
    client = begin(api_key="0123456789abcdef:nonsense")
    assert "not connected" in caplog.text
    assert "401" in caplog.text
    work(3)
    assert not tracing.flush(1)
    assert "401" in client.status()["problem"]
    assert "nonsense" not in caplog.text


def test_another_server_is_no_receiver(begin, host, caplog):
    begin(url=f"{host.url}/healthz/", api_key="a:b")
    assert "not connected" in caplog.text
