"""The page of one worker's figures: what is on it, who gets it, and a port that is taken."""

from __future__ import annotations

import socket

import httpx
import pytest

from ai_assistant.core.errors import ConfigError
from ai_assistant.core.genai import DURATION, field_of
from ai_assistant.core.metrics import Family, render
from ai_assistant.streams.totals import end_field
from ai_assistant.worker.metrics_server import metrics_server, worker_families
from tests.prometheus import Page

INFO = {
    "kind": "daemon",
    "version": "1",
    "host": "h",
    "pid": 7,
    "running": 3,
    "taken": 9,
    "stopping": False,
    "window_ms": 16.0,
    "gateway": {"breakers": {"m": {"state": "closed"}}},
}
TOTALS = {
    "events|text": 5,
    "worker_failures": 2,
    end_field("completed"): 4,
    field_of(DURATION, "openai", "x", "", "0.01"): 6,
}


def families() -> list[Family]:
    """Of a worker that has done something."""
    return worker_families(INFO, TOTALS)


def test_what_is_on_it() -> None:
    page = Page(render(families()))
    assert page["worker_running_tasks"] == 3
    assert page["worker_tasks_taken_total"] == 9
    assert page.get("worker_tasks_ended_total", status="completed", code="") == 4
    assert page.get("worker_events_total", type="text") == 5
    assert page.get("worker_events_total", type="start") is None, "hosts publish these"
    assert page["worker_failures_total"] == 2
    assert page.get("worker_info", kind="daemon", version="1", host="h", pid="7") == 1
    assert page.get("worker_breakers", model="m", state="closed") == 1
    assert ("process_resident_memory_bytes", frozenset()) in page.samples
    assert page.samples["process_open_fds", frozenset()] > 0
    own = {name for name in page.names if name.startswith("ai_assistant_")}
    assert all(name.startswith("ai_assistant_worker_") for name in own), "nothing that a sum would count twice"
    assert f"{DURATION}_count" in page.names


async def test_it_is_served() -> None:
    async with metrics_server(families, 0) as url:
        assert url is not None
        assert url.startswith("http://127.0.0.1:")
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(url)
            assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
            assert Page(answer.text)["worker_running_tasks"] == 3
            assert (await client.get(url.replace("/metrics", "/healthz"))).text == "ok"
            assert (await client.get(url.replace("/metrics", "/other"))).status_code == 404
            assert (await client.post(url)).status_code == 405
            assert (await client.get(url, headers={"Host": "evil.example"})).status_code == 421
            assert (await client.get(url, headers={"Host": "localhost:1"})).status_code == 200
    async with httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(url)


async def test_without_a_port_there_is_none() -> None:
    async with metrics_server(families, None) as url:
        assert url is None


async def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(ConfigError, match="--metrics-port"):
            async with metrics_server(families, port):
                pass


async def test_other_addresses_answer_to_any_name() -> None:
    async with metrics_server(families, 0, "0.0.0.0") as url, httpx.AsyncClient(trust_env=False) as client:
        assert url is not None
        here = url.replace("0.0.0.0", "127.0.0.1")
        assert (await client.get(here, headers={"Host": "worker-3.example"})).status_code == 200
