"""What the gateway's contract tests share: aimock, the raw upstream, a gateway that is quick to give up, and every
path that an answer can take."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from raw_upstream import RawUpstream

from ai_assistant.core.model import ModelConfig, Timeouts
from ai_assistant.gateway.chunks import Chunk, Status
from ai_assistant.gateway.completion import AnswerCollector, Completion
from ai_assistant.gateway.gateway import Gateway
from ai_assistant.gateway.request import GatewayRequest
from ai_assistant.gateway.retry import Backoff
from tests.aimock.server import AiMock

KEY = "sk-a-secret-key-0123456789"
#: Every path: the protocol at aimock, the configured model, the transport, a forced wire, what follows the base.
PATHS: dict[str, tuple[str, str, str, str | None, str]] = {
    "openai-chat": ("openai", "openai/gpt-4o", "auto", None, ""),
    "openrouter": ("openrouter", "openrouter/deepseek/deepseek-r1", "auto", None, ""),
    "openai-responses": ("openai", "openai/gpt-5", "auto", "openai-responses", ""),
    "anthropic": ("anthropic", "anthropic/claude-sonnet-4-5", "auto", None, ""),
    "ollama": ("ollama", "ollama/qwen3", "auto", None, ""),
    "litellm-openai": ("openai", "openai/gpt-4o", "litellm", None, ""),
    "litellm-anthropic": ("anthropic", "anthropic/claude-sonnet-4-5", "litellm", None, ""),
    "litellm-gemini": ("gemini", "gemini/gemini-2.5-flash", "auto", None, "/v1beta/models/gemini-2.5-flash"),
}


class Streamed(NamedTuple):
    """A streamed answer: all its lists of chunks, and what they add up to."""

    lists: list[list[Chunk]]
    answer: Completion

    @property
    def chunks(self) -> list[Chunk]:
        """The chunks, in order."""
        return [chunk for chunks in self.lists for chunk in chunks]

    @property
    def states(self) -> list[str]:
        """The states told before the first delta."""
        return [chunk.state for chunk in self.chunks if isinstance(chunk, Status)]


@pytest.fixture(scope="session")
def _aimock() -> Iterator[AiMock]:
    with AiMock(chunk_size=4) as mock:
        yield mock


@pytest.fixture
def aimock(_aimock: AiMock) -> AiMock:
    """A fresh aimock that writes four characters at a time."""
    _aimock.reset()
    return _aimock


@pytest.fixture
async def upstream() -> AsyncIterator[RawUpstream]:
    """The raw upstream."""
    async with RawUpstream() as server:
        yield server


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    """A gateway with short waits."""
    made = Gateway(backoff=Backoff(first=0.01, longest=0.05))
    yield made
    await made.aclose()


@pytest.fixture(params=sorted(PATHS))
def path(request: pytest.FixtureRequest) -> str:
    """Each path in turn."""
    return request.param


@pytest.fixture
def model(path: str, aimock: AiMock) -> ModelConfig:
    """The model of the path, at aimock."""
    protocol, name, transport, wire, tail = PATHS[path]
    return ModelConfig(
        name=f"test {path}",
        model=name,
        transport=transport,  # type: ignore[arg-type]
        wire=wire,
        api_base=aimock.base(protocol) + tail,
        api_key=KEY,
        retries=0,
    )


@pytest.fixture
def at(upstream: RawUpstream) -> Callable[..., ModelConfig]:
    """Makes models at the raw upstream: `at("openai/m", retries=1, idle=0.2)`."""

    def make(name: str = "openai_like/m", *, label: str = "raw", **options: Any) -> ModelConfig:
        limits = {key: options.pop(key) for key in ("connect", "first_token", "idle", "total") if key in options}
        options = {"retries": 0, "api_base": upstream.base, "api_key": KEY, **options}
        return ModelConfig(name=label, model=name, timeouts=Timeouts(**limits), **options)

    return make


def ask(text: str = "hello", **options: Any) -> GatewayRequest:
    """A request with one user message."""
    return GatewayRequest(messages=[{"role": "user", "content": text}], **options)


async def stream(gateway: Gateway, request: GatewayRequest, *models: ModelConfig) -> Streamed:
    """Read a stream to its end."""
    lists = [chunks async for chunks in gateway.stream(request, models)]
    collector = AnswerCollector()
    for chunks in lists:
        collector.add(chunks)
    return Streamed(lists, collector.completion(model=models[-1].model_id, provider=models[-1].provider))
