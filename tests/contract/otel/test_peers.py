"""Traces of other people's instrumentations arrive whole: real SDK calls against aimock, sent by the real exporter to a
running host, and read from its API."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.aimock.server import AiMock
from tests.wire.client import Client
from tests.wire.host import EmbeddedHost
from tests.wire.traces import stored

PROGRAM = Path(__file__).parent / "program.py"
PEERS = {
    "openinference": "openinference.instrumentation.openai",
    "openllmetry": "opentelemetry.instrumentation.openai",
    "langfuse": "langfuse",
}
PROVIDERS = {"openinference": "openai", "openllmetry": "openai", "langfuse": None}
"""What each says of the provider."""
USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}


class Sent(NamedTuple):
    """What a program says it has sent, and what has arrived."""

    peer: str
    trace: str
    root: str
    spans: list[list[str]]
    client: Client
    found: dict[str, Any]

    @property
    def calls(self) -> list[dict[str, Any]]:
        """The observations of the calls, in their order."""
        return [each for each in self.found["observations"] if each["parent"] == self.root]

    def payload(self, call: int, field: str) -> Any:
        """What a call was given or gave."""
        span = self.calls[call]["span"]
        return self.client.get("get_trace_payload", trace=self.trace, span=span, field=field)["text"]


@pytest.fixture(scope="module")
def aimock() -> Iterator[AiMock]:
    """The provider."""
    with AiMock(chunk_size=4) as mock:
        mock.on("hello", content="Hello there, friend.", usage=USAGE)
        mock.on("weather", toolCalls=[{"name": "weather", "arguments": '{"city":"Paris"}'}])
        mock.on("fail", error={"message": "the provider is ill", "type": "server_error"}, status=500)
        yield mock


@pytest.fixture(scope="module")
def host(aimock: AiMock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedHost]:
    """The host."""
    with EmbeddedHost(tmp_path_factory.mktemp("host"), aimock.url) as running:
        yield running


@pytest.fixture(scope="module", params=list(PEERS))
def sent(request: pytest.FixtureRequest, aimock: AiMock, host: EmbeddedHost) -> Iterator[Sent]:
    """A program that has run, and its trace."""
    peer = request.param
    if importlib.util.find_spec(PEERS[peer].split(".")[0]) is None:
        pytest.skip(f"{peer} is not installed; it is in the extra peers")
    environment = {
        **os.environ,
        "OTEL_EXPORTER_OTLP_ENDPOINT": host.url,
        "OTEL_EXPORTER_OTLP_HEADERS": f"Authorization=token%20{host.admin_key}",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
        "LANGFUSE_HOST": host.url,
        "LANGFUSE_PUBLIC_KEY": host.admin_key.partition(":")[0],
        "LANGFUSE_SECRET_KEY": host.admin_key.partition(":")[2],
        "OTEL_SERVICE_NAME": f"shop-{peer}",
        "OTEL_RESOURCE_ATTRIBUTES": "service.version=7,deployment.environment=staging",
    }
    done = subprocess.run(
        [sys.executable, str(PROGRAM), peer, aimock.base("openai")],
        env=environment, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout.splitlines()[-1])
    with Client(host.url, token=host.admin_key) as client:
        found = stored(client, said["trace"], lambda found: len(found["observations"]) >= len(said["spans"]))
        yield Sent(peer, said["trace"], said["root"], said["spans"], client, found)


def test_every_span_is_there_under_its_name_and_id(sent: Sent) -> None:
    assert len(sent.spans) == 5
    arrived = [[each["title"], each["span"]] for each in sent.found["observations"]]
    assert sorted(arrived) == sorted(sent.spans)


def test_the_tree_is_as_it_was(sent: Sent) -> None:
    root = sent.found["observations"][0]
    assert (root["span"], root["parent"], root["type"], root["depth"]) == (sent.root, "", "span", 0)
    assert len(sent.calls) == 4
    assert {call["type"] for call in sent.calls} == {"generation"}
    assert all(root["started_at"] <= call["started_at"] <= call["ended_at"] <= root["ended_at"] for call in sent.calls)


def test_what_is_said_of_the_trace(sent: Sent) -> None:
    expected = {
        "title": "checkout" if sent.peer == "langfuse" else "pipeline",
        "status": "completed",
        "source": "otlp",
        "user": "Administrator",
        "service": f"shop-{sent.peer}",
        "release": "7",
        "environment": "staging",
        "observation_count": 5,
        "error_count": 1,
        "model": "gpt-4o-mini",
        "missing_events": 0,
    }
    assert {name: sent.found["trace"][name] for name in expected} == expected


def test_model_and_provider(sent: Sent) -> None:
    assert {call["model"] for call in sent.calls} == {"gpt-4o-mini"}
    assert {call.get("provider") for call in sent.calls} == {PROVIDERS[sent.peer]}


@pytest.mark.parametrize("call", [0, 1])
def test_tokens_of_a_plain_call_and_of_a_stream(sent: Sent, call: int) -> None:
    found = sent.calls[call]
    assert {name: found[name] for name in USAGE} == USAGE


def test_messages_of_a_plain_call(sent: Sent) -> None:
    assert json.loads(sent.payload(0, "input")) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "say hello"},
    ]
    assert sent.payload(0, "output") == "Hello there, friend."
    assert sent.calls[0]["status"] == "completed"


def test_messages_of_a_stream(sent: Sent) -> None:
    assert json.loads(sent.payload(1, "input")) == [{"role": "user", "content": "stream hello"}]
    assert sent.payload(1, "output") == "Hello there, friend."
    assert sent.calls[1]["ttft_ms"] is not None


def test_a_tool_call(sent: Sent) -> None:
    answer = json.loads(sent.payload(2, "output"))
    (call,) = answer["tool_calls"]
    assert answer["role"] == "assistant"
    assert call["id"]
    assert call["function"]["name"] == "weather"
    assert json.loads(call["function"]["arguments"]) == {"city": "Paris"}


def test_a_failure(sent: Sent) -> None:
    failed = sent.calls[3]
    assert (failed["status"], failed["level"]) == ("failed", "error")
    assert "the provider is ill" in failed["error_message"]
    if sent.peer != "langfuse":  # which records no exception
        assert failed["error_type"] == "openai.InternalServerError"
        assert "Traceback" in sent.payload(3, "error_stack")


@pytest.mark.parametrize("sent", ["openinference", "langfuse"], indirect=True)
def test_session_tags_and_the_root_s_input(sent: Sent) -> None:
    """OpenLLMetry's instrumentations alone have no word for these."""
    trace = sent.found["trace"]
    assert (trace["session"], trace["tags"]) == ("s1", ["a", "b"])
    text = sent.client.get("get_trace_payload", trace=sent.trace, span=sent.root, field="input")["text"]
    assert json.loads(text) == {"city": "Paris"}


def test_finish_reasons(sent: Sent) -> None:
    found = [call.get("finish_reason") for call in sent.calls]
    expected = {"langfuse": [None, "stop", None, None]}.get(sent.peer, ["stop", "stop", "tool_calls", None])
    assert found == expected
