"""The logger with LiteLLM itself, over HTTP."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from integration_kit import metadata, the_one

from ai_assistant import tracing
from ai_assistant.tracing import testing
from tests.aimock.server import AiMock

litellm = pytest.importorskip("litellm")

HELLO = [{"role": "user", "content": "hello"}]


@pytest.fixture(autouse=True)
def as_a_program_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests of this run load LiteLLM as the gateway does, which makes it tell loggers nothing."""
    monkeypatch.setattr(litellm, "turn_off_message_logging", False)
    monkeypatch.setattr(litellm, "disable_token_counter", False)


@pytest.fixture
def traces() -> Iterator[testing.MemoryExporter]:
    """With real times: LiteLLM gives its own."""
    with testing.recorded(fixed=False) as exporter:
        yield exporter


@pytest.fixture
def logger() -> Iterator[Callable[..., Any]]:
    """Makes the one logger that LiteLLM has during the test."""

    def make(**options: Any) -> Any:
        made = tracing.litellm_logger(**options)
        litellm.callbacks = [made]
        return made

    try:
        yield make
    finally:
        forget_loggers()


def forget_loggers() -> None:
    """LiteLLM copies `callbacks` into lists of its own."""
    for kind in ("", "input_", "success_", "failure_"):
        setattr(litellm, f"{kind}callback" if kind else "callbacks", [])
    for kind in ("input", "success", "failure"):
        setattr(litellm, f"_async_{kind}_callback", [])


def at(aimock: AiMock, protocol: str = "openai", **more: Any) -> dict[str, Any]:
    """Where to ask, and what."""
    return {"api_base": aimock.base(protocol), "api_key": "x", "messages": HELLO, "num_retries": 0, **more}


async def ended(traces: testing.MemoryExporter, count: int = 1) -> list[dict[str, Any]]:
    """The observations, when so many have ended: LiteLLM tells of it in the background."""
    deadline = time.monotonic() + 20
    while True:
        rows = traces.observations()
        if len([row for row in rows if "ended_at" in row]) >= count:
            return rows
        assert time.monotonic() < deadline, "LiteLLM did not tell of the end"
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_completion(
    asynchronous: bool, aimock: AiMock, logger: Callable[..., Any], traces: testing.MemoryExporter
) -> None:
    aimock.on(
        "hello", content="Hi there.", reasoning="A greeting.",
        usage={"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100},
    )  # fmt: skip
    logger(metadata={"team": "a"})
    asked = at(aimock, model="openai/gpt-4o", temperature=0.5, metadata={"ticket": "T1"})
    with tracing.span("request"):
        if asynchronous:
            await litellm.acompletion(**asked)
        else:
            litellm.completion(**asked)
    await ended(traces, 2)
    assert traces.tree() == ["request", "  chat gpt-4o"]
    found = traces.named("chat gpt-4o")
    assert found["type"] == "generation" and found["provider"] == "openai" and found["status"] == "completed"
    assert json.loads(found["input"]) == HELLO and found["output"] == "Hi there."
    assert found["reasoning"] == "A greeting." and found["finish_reason"] == "stop"
    assert (found["prompt_tokens"], found["completion_tokens"], found["total_tokens"]) == (1000, 100, 1100)
    assert found["cost"] == pytest.approx(0.0035)
    said = metadata(found)
    assert said["team"] == "a" and said["ticket"] == "T1" and said["model_parameters"]["temperature"] == 0.5
    assert found["ended_at"] >= found["started_at"]


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("provider", ["openai/gpt-4o", "anthropic/claude-sonnet-4-5"])
async def test_a_stream(
    asynchronous: bool, provider: str, aimock: AiMock, logger: Callable[..., Any], traces: testing.MemoryExporter
) -> None:
    aimock.on("hello", content="Hi there, my friend.", reasoning="A greeting it is.")
    asked = at(aimock, provider.partition("/")[0], model=provider, stream=True)

    def texts_of(chunks: list[Any]) -> list[str]:
        return [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]

    logger()
    if asynchronous:
        got = texts_of([chunk async for chunk in await litellm.acompletion(**asked)])
    else:
        got = texts_of(list(litellm.completion(**asked)))
    await ended(traces)
    found = the_one(traces)
    forget_loggers()
    assert got == texts_of(list(litellm.completion(**asked)))
    assert found["output"] == "Hi there, my friend." and found["reasoning"] == "A greeting it is."
    assert found["status"] == "completed" and found["finish_reason"] == "stop"
    assert found["ttft_ms"] >= 0 and found["total_tokens"] >= 0


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_failure(
    asynchronous: bool, aimock: AiMock, logger: Callable[..., Any], traces: testing.MemoryExporter
) -> None:
    logger()
    aimock.fail_next(401, "no such key")

    async def ask() -> None:
        if asynchronous:
            await litellm.acompletion(**at(aimock, model="openai/gpt-4o"))
        else:
            litellm.completion(**at(aimock, model="openai/gpt-4o"))

    with pytest.raises(litellm.AuthenticationError):
        await ask()
    await ended(traces)
    await asyncio.sleep(0.05)
    found = the_one(traces)
    assert found["status"] == "failed" and found["error_type"] == "AuthenticationError"
    assert "no such key" in found["error_message"] and metadata(found)["http_status"] == 401


async def test_tool_calls_and_options(
    aimock: AiMock, logger: Callable[..., Any], traces: testing.MemoryExporter
) -> None:
    aimock.on("hello", toolCalls=[{"name": "get_weather", "arguments": {"city": "Paris"}}])
    logger(name="mine", capture_input=False)
    await litellm.acompletion(**at(aimock, model="openai/gpt-4o"))
    await ended(traces)
    found = traces.named("mine")
    (call,) = json.loads(found["output"])["tool_calls"]
    assert call["function"]["name"] == "get_weather" and "input" not in found


async def test_embeddings(aimock: AiMock, logger: Callable[..., Any], traces: testing.MemoryExporter) -> None:
    logger()
    asked = {**at(aimock, model="openai/text-embedding-3-small"), "input": ["a", "b"]}
    del asked["messages"]
    await litellm.aembedding(**asked)
    await ended(traces)
    found = the_one(traces)
    assert found["title"] == "embeddings text-embedding-3-small"
    assert json.loads(found["output"])["embeddings"] == 2


def test_bad_options_are_named() -> None:
    with pytest.raises(ValueError, match="litellm_logger: there is no option 'capture'"):
        tracing.litellm_logger(capture=True)
