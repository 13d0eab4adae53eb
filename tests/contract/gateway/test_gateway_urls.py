"""Addresses in messages are passed on or refused, and never fetched: a server counts who comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from conftest import PATHS, stream
from raw_upstream import RawUpstream

from ai_assistant.core.errors import ChatError
from ai_assistant.core.model import ModelConfig
from ai_assistant.gateway.gateway import Gateway
from ai_assistant.gateway.request import GatewayRequest
from tests.aimock.server import AiMock

PIXEL = "data:image/png;base64," + (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
BY_REFERENCE = ("openai-chat", "openrouter", "openai-responses", "anthropic")


class Bait:
    """A server that counts the connections that are made to it."""

    def __init__(self) -> None:
        self.hits = 0
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer with an image, and count."""
        self.hits += 1
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: 4\r\n\r\n\x89PNG")
        writer.close()


@pytest.fixture
async def bait() -> AsyncIterator[Bait]:
    """The counting server."""
    made = Bait()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/image.png"
    yield made
    server.close()


def image(url: str) -> dict[str, Any]:
    """An image part."""
    return {"type": "image_url", "image_url": {"url": url}}


def with_part(part: dict[str, Any]) -> GatewayRequest:
    """A request with text and another part in its second message."""
    content = [{"type": "text", "text": "hello"}, part]
    return GatewayRequest(messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": content}])


async def test_image_by_address(gateway: Gateway, model: ModelConfig, path: str, aimock: AiMock, bait: Bait):
    aimock.on("hello", content="I see.")
    if path in BY_REFERENCE:
        got = await stream(gateway, with_part(image(bait.url)), model)
        assert got.answer.text == "I see."
    else:
        with pytest.raises(ChatError) as caught:
            await stream(gateway, with_part(image(bait.url)), model)
        assert caught.value.code == "invalid_request"
        assert "messages[1].content[1]" in caught.value.message
        assert "data: URL" in caught.value.message
        assert aimock.requests() == []
    await asyncio.sleep(0.1)
    assert bait.hits == 0


async def test_image_as_data(gateway: Gateway, model: ModelConfig, aimock: AiMock):
    aimock.on("hello", content="I see.")
    got = await stream(gateway, with_part(image(PIXEL)), model)
    assert got.answer.text == "I see."


@pytest.mark.parametrize(
    "provider",
    [
        "azure/gpt-4o",
        "bedrock/anthropic.claude-v2",
        "vertex_ai/gemini-2.5-pro",
        "cohere_chat/command-r",
        "gemini/gemini-2.5-pro",
        "ollama/llava",
    ],
)
@pytest.mark.parametrize("kind", ["image_url", "file", "tool", "whole"])
async def test_litellm_is_given_no_address_to_fetch(
    gateway: Gateway, upstream: RawUpstream, bait: Bait, provider: str, kind: str
):
    part = image(bait.url)
    if kind == "file":
        part = {"type": "file", "file": {"file_id": bait.url}}
    request = with_part(part)
    if kind == "tool":
        call = {"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}
        request = GatewayRequest(
            messages=[
                {"role": "user", "content": "look"},
                {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "c", "content": [part]},
            ]
        )
    model = ModelConfig(name="m", model=provider, transport="litellm", api_base=upstream.base, api_key="k", retries=0)
    with pytest.raises(ChatError) as caught:
        await (gateway.complete(request, [model]) if kind == "whole" else stream(gateway, request, model))
    assert caught.value.code == "invalid_request"
    await asyncio.sleep(0.05)
    assert bait.hits == 0
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (image("file:///etc/passwd"), "must be a data:, https: or http: URL"),
        (image("gopher://x"), "must be a data:, https: or http: URL"),
        (image("data:image/png;base64,<>"), "is no base64 data: URL"),
        ({"type": "image_url"}, "image_url.url is missing"),
        ({"type": "video", "video": "x"}, "is no part this server knows"),
        ({"type": "file", "file": {}}, "file needs file_data"),
        ({"type": "input_audio", "input_audio": {"data": 5}}, "input_audio.data"),
    ],
)
async def test_parts_that_are_refused(gateway: Gateway, part: dict[str, Any], words: str):
    for name in ("openai/gpt-4o", "anthropic/claude-sonnet-4-5", "ollama/llava", "gemini/gemini-2.5-pro"):
        with pytest.raises(ChatError) as caught:
            await stream(gateway, with_part(part), ModelConfig(name="m", model=name, api_key="k", retries=0))
        assert caught.value.code == "invalid_request"
        assert "messages[1].content[1]" in caught.value.message
        assert words in caught.value.message


def test_the_list_of_paths_is_whole():
    assert set(BY_REFERENCE) < set(PATHS)
