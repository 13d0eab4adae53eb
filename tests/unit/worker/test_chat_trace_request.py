"""What a trace keeps of a request: all of it but media, cut in its middle where it is too long, or figures alone."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from ai_assistant.core.model import ModelConfig
from ai_assistant.gateway.observer import Sent
from ai_assistant.gateway.request import GatewayRequest
from ai_assistant.gateway.routing import route
from ai_assistant.worker.chat_trace_request import MAX_CHARS, kept_request, shortened, without_media

PICTURE = "iVBORw0KGgo" + "Q" * 3001
TOOL = {"type": "function", "function": {"name": "look", "description": "hush", "parameters": {"type": "object"}}}
MESSAGES = [
    {"role": "system", "content": "hush"},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "hush"},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}},
        ],
    },
]
MODELS = {
    "openai-chat": "openai/gpt-4o",
    "openai-responses": "openai/gpt-5",
    "anthropic": "anthropic/claude-sonnet-4-5",
    "ollama": "ollama/qwen3",
}


def sent(body: dict[str, Any]) -> Sent:
    return Sent("http://x/v1", msgspec.json.encode(body), ModelConfig(name="m", model="openai/m"))


@pytest.mark.parametrize("wire", sorted(MODELS))
def test_every_dialect(wire: str):
    model = ModelConfig(name="m", model=MODELS[wire], wire=wire, api_key="a-key-of-no-form")
    stop = None if wire == "openai-responses" else ["hush"]  # it knows none
    request = GatewayRequest(messages=MESSAGES, tools=[TOOL], max_tokens=50, stop=stop)
    found = route(model)
    assert found is not None
    call = found.build(request, model)
    assert PICTURE.encode() in call.body
    kept = kept_request(Sent(call.url, call.body, model), with_content=True)
    text = json.dumps(kept.body)
    assert PICTURE not in text
    assert "[2259 bytes]" in text
    assert text.count("hush") >= 3
    assert kept.metadata["tools"] == ["look"]
    assert kept.metadata["request_bytes"] == len(call.body)
    assert "50" in json.dumps(kept.metadata["parameters"])
    bare = kept_request(Sent(call.url, call.body, model), with_content=False)
    assert bare.body is None
    assert bare.metadata == kept.metadata
    assert "hush" not in json.dumps(bare.metadata)


def test_references_and_words_stay():
    content = [
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png?size=2"}},
        {"type": "text", "text": "data: is no picture; " + "x" * 500},
        {"type": "file", "file": {"file_id": "file-123"}},
        {"type": "text", "text": "A" * 500},
    ]
    assert without_media(content) == content


def test_signatures_and_sound_are_told_by_their_size():
    blocks = [
        {"type": "thinking", "thinking": "Let me see.", "signature": "Er" * 200},
        {"type": "input_audio", "input_audio": {"data": "QUJD" * 100, "format": "wav"}},
    ]
    told = without_media(blocks)
    assert told[0] == {"type": "thinking", "thinking": "Let me see.", "signature": "[300 bytes]"}
    assert told[1]["input_audio"] == {"data": "[300 bytes]", "format": "wav"}


def test_what_is_nested_without_end_is_cut():
    value: Any = "deep"
    for _ in range(500):
        value = [value]
    assert "deep" not in json.dumps(without_media(value))


def test_of_a_long_conversation_the_beginning_and_the_newest_are_kept():
    messages = [{"role": "system", "content": "Be brief."}]
    messages += [{"role": "user", "content": f"{n} " + "word " * 2000} for n in range(60)]
    body = {"model": "m", "messages": messages, "temperature": 1}
    kept = kept_request(sent(body), with_content=True)
    assert kept.is_cut
    assert kept.body is not None
    found = kept.body["messages"]
    assert len(json.dumps(kept.body)) <= MAX_CHARS
    assert found[0] == messages[0]
    assert found[-1] == messages[-1]
    assert found[2:] == messages[-len(found) + 2 :]
    assert found[1]["content"] == f"[{61 - len(found) + 1} messages left out]"
    assert kept.metadata["messages"] == 61
    assert len(json.dumps(kept.body)) > MAX_CHARS * 0.9


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_message_that_alone_is_too_long_stays(count: int):
    messages = [{"role": "user", "content": "x" * 1000} for _ in range(count)]
    body, is_cut = shortened({"messages": messages}, 500)
    assert body["messages"][-1] == messages[-1]
    assert is_cut == (count == 3)


def test_what_is_short_is_left_as_it_is():
    body = {"messages": [{"role": "user", "content": "hi"}]}
    assert shortened(body, 10_000) == (body, False)
    assert shortened({"prompt": "hi"}, 10) == ({"prompt": "hi"}, False)
