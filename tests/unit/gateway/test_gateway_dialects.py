"""Requests in every provider's dialect."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ai_assistant.core.errors import ChatError, ConfigError
from ai_assistant.core.model import ModelConfig
from ai_assistant.gateway.litellm_wire import arguments
from ai_assistant.gateway.request import GatewayRequest
from ai_assistant.gateway.routing import WIRES, route, wire_name
from ai_assistant.gateway.wires.base import WireCall

PNG = "data:image/png;base64,iVBORw0KGgo="
WEB = "https://example.com/cat.png"
TOOL = {"type": "function", "function": {"name": "look", "description": "Looks", "parameters": {"type": "object"}}}
USER = {"role": "user", "content": "hello"}


def call(id: str, arguments: str = "{}") -> dict[str, Any]:
    """A tool call of an assistant message."""
    return {"id": id, "type": "function", "function": {"name": "look", "arguments": arguments}}


TURN = [
    {"role": "system", "content": "Be brief."},
    USER,
    {"role": "assistant", "content": "Let me see.", "tool_calls": [call("a", '{"n":1}'), call("b")]},
    {"role": "tool", "tool_call_id": "a", "content": "one"},
    {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "two"}]},
]


def build(model: str | ModelConfig, messages: list[dict[str, Any]] | None = None, **options: Any) -> WireCall:
    """What is sent for a request to this model."""
    config = model if isinstance(model, ModelConfig) else ModelConfig(name="m", model=model, api_key="KEY")
    wire = route(config)
    assert wire is not None
    return wire.build(GatewayRequest(messages=messages or [USER], **options), config)


def body(*args: Any, **options: Any) -> dict[str, Any]:
    """Its JSON body."""
    return json.loads(build(*args, **options).body)


def image(url: str) -> list[dict[str, Any]]:
    """A user message with an image."""
    content = [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": url, "detail": "low"}}]
    return [{"role": "user", "content": content}]


# Routing


@pytest.mark.parametrize(
    ("model", "api_base", "wire"),
    [
        ("gpt-4o", None, "openai-chat"),
        ("openai/gpt-4o", None, "openai-chat"),
        ("openai/gpt-5", None, "openai-responses"),
        ("openai/gpt-5.1-codex", None, "openai-responses"),
        ("openai/o3-mini", "https://api.openai.com/v1/", "openai-responses"),
        ("openai/o4-mini", "https://eu.api.openai.com/v1", "openai-responses"),
        ("openai/gpt-5-chat-latest", None, "openai-chat"),
        ("openai/o3", "https://proxy.example.com/v1", "openai-chat"),
        ("openai/o3", "https://api.openai.com.evil.example/v1", "openai-chat"),
        ("deepseek/deepseek-reasoner", None, "openai-chat"),
        ("openrouter/openai/o3", None, "openai-chat"),
        ("hosted_vllm/qwen", "http://127.0.0.1:8000/v1", "openai-chat"),
        ("anthropic/claude-sonnet-4-5", None, "anthropic"),
        ("ollama/llama3", None, "ollama"),
        ("ollama_chat/llama3", None, "ollama"),
        ("bedrock/anthropic.claude", None, None),
        ("vertex_ai/gemini-2.5-pro", None, None),
        ("azure/gpt-4o", None, None),
    ],
)
def test_routes(model: str, api_base: str | None, wire: str | None):
    config = ModelConfig(name="m", model=model, api_base=api_base)
    assert wire_name(config) == wire
    found = route(config)
    assert (found.name if found else None) == wire


def test_forced_paths():
    assert route(ModelConfig(name="m", model="openai/gpt-4o", transport="litellm")) is None
    forced = route(ModelConfig(name="m", model="bedrock/x", wire="openai-chat", api_base="http://x"))
    assert forced is WIRES["openai-chat"]
    for config, key in (
        (ModelConfig(name="m", model="bedrock/x", transport="direct"), "transport"),
        (ModelConfig(name="m", model="openai/x", wire="nonsense"), "wire"),
        (ModelConfig(name="m", model="openai/x", wire="ollama", transport="litellm"), "wire"),
    ):
        with pytest.raises(ConfigError) as caught:
            route(config)
        assert caught.value.key == key


@pytest.mark.parametrize(
    ("model", "api_base", "url"),
    [
        ("openai/gpt-4o", None, "https://api.openai.com/v1/chat/completions"),
        ("openai/gpt-4o", "http://x/v1/", "http://x/v1/chat/completions"),
        ("openai/gpt-4o", "http://x/v1/chat/completions", "http://x/v1/chat/completions"),
        ("groq/x", None, "https://api.groq.com/openai/v1/chat/completions"),
        ("openai/o3", None, "https://api.openai.com/v1/responses"),
        ("anthropic/claude-x", None, "https://api.anthropic.com/v1/messages"),
        ("anthropic/claude-x", "http://x/v1", "http://x/v1/messages"),
        ("anthropic/claude-x", "http://x", "http://x/v1/messages"),
        ("ollama/x", None, "http://127.0.0.1:11434/api/chat"),
        ("ollama/x", "http://x:1/v1", "http://x:1/api/chat"),
    ],
)
def test_addresses(model: str, api_base: str | None, url: str):
    assert build(ModelConfig(name="m", model=model, api_base=api_base)).url == url


def test_keys():
    assert build("openai/gpt-4o").headers == {"authorization": "Bearer KEY"}
    assert build("openai/o3").headers == {"authorization": "Bearer KEY"}
    assert build("anthropic/claude-x").headers["x-api-key"] == "KEY"
    assert build(ModelConfig(name="m", model="ollama/x")).headers == {}


# OpenAI-compatible


def test_chat_passes_the_conversation_on():
    sent = body("openai/gpt-4o", TURN, tools=[TOOL], tool_choice="required", stop=["x"], temperature=0.5)
    assert sent["model"] == "gpt-4o"
    assert sent["stream"] is True
    assert sent["stream_options"] == {"include_usage": True}
    assert sent["messages"][2] == TURN[2]
    assert sent["messages"][3] == TURN[3]
    assert (sent["tools"], sent["tool_choice"], sent["stop"], sent["temperature"]) == ([TOOL], "required", ["x"], 0.5)


def test_servers_that_are_not_openais_get_plain_messages():
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    messages = [{"role": "developer", "content": parts}, {"role": "user", "content": parts}]
    assert body("openai/gpt-4o", messages)["messages"] == messages
    assert body("deepseek/x", messages)["messages"] == [
        {"role": "system", "content": "one\ntwo"},
        {"role": "user", "content": "one\ntwo"},
    ]
    assert len(body("deepseek/x", image(PNG))["messages"][0]["content"]) == 2


def test_max_tokens_is_named_as_the_provider_does():
    assert body("openai/gpt-4o", max_tokens=5)["max_completion_tokens"] == 5
    assert body("groq/x", max_tokens=5)["max_tokens"] == 5
    assert body("openai/o3", max_tokens=5)["max_output_tokens"] == 5
    assert body("anthropic/claude-x", max_tokens=5)["max_tokens"] == 5
    assert body("ollama/x", max_tokens=5)["options"]["num_predict"] == 5


def test_images_by_reference_and_as_data():
    for url in (WEB, PNG):
        part = body("openai/gpt-4o", image(url))["messages"][0]["content"][1]
        assert part == {"type": "image_url", "image_url": {"url": url, "detail": "low"}}
        part = body("openai/o3", image(url))["input"][0]["content"][1]
        assert part == {"type": "input_image", "image_url": url, "detail": "low"}
    assert body("anthropic/c", image(WEB))["messages"][0]["content"][1]["source"] == {"type": "url", "url": WEB}
    assert body("anthropic/c", image(PNG))["messages"][0]["content"][1]["source"] == {
        "type": "base64",
        "media_type": "image/png",
        "data": "iVBORw0KGgo=",
    }
    assert body("ollama/x", image(PNG))["messages"] == [{"role": "user", "content": "see", "images": ["iVBORw0KGgo="]}]
    with pytest.raises(ChatError) as caught:
        build("ollama/x", image(WEB))
    assert "messages[0].content[1]" in caught.value.message


@pytest.mark.parametrize(
    ("model", "effort", "expected"),
    [
        ("openai/unknown", "low", {"reasoning_effort": "low"}),
        ("deepseek/unknown", "high", {"thinking": {"type": "enabled"}}),
        ("deepseek/unknown", "none", {"thinking": {"type": "disabled"}}),
        ("openrouter/a/unknown", "xhigh", {"reasoning": {"effort": "xhigh"}}),
        ("xai/unknown", "medium", {"reasoning_effort": "high"}),
        ("xai/unknown", "minimal", {"reasoning_effort": "low"}),
        ("mistral/unknown", "none", {"reasoning_effort": "none"}),
        ("dashscope/unknown", "none", {"enable_thinking": False}),
        ("openai/gpt-4o", "low", {}),  # known not to reason: the parameter would be refused
        ("openai/o3", "high", {"reasoning": {"summary": "auto", "effort": "high"}}),
        ("openai/gpt-5", "none", {"reasoning": {"summary": "auto", "effort": "minimal"}}),
        ("openai/gpt-5.1", "none", {"reasoning": {"effort": "none"}}),
        ("openai/o3", None, {"reasoning": {"summary": "auto"}}),
        ("ollama/unknown", "none", {"think": False}),
        ("ollama/unknown", "high", {"think": True}),
        ("ollama/gpt-oss:20b", "medium", {"think": "medium"}),
        ("anthropic/claude-sonnet-4-5", "low", {"thinking": {"type": "enabled", "budget_tokens": 2048}}),
        ("anthropic/claude-sonnet-4-5", "none", {}),
        ("anthropic/claude-3-haiku-20240307", "high", {}),
        (
            "anthropic/claude-opus-4-6",
            "high",
            {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "high"}},
        ),
    ],
)
def test_effort_in_each_providers_words(
    model: str, effort: Any, expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    from ai_assistant.gateway import prices

    # the facts that matter here, whichever table the installed litellm has
    table = {
        "gpt-4o": prices.ModelFacts(litellm_provider="openai", supports_reasoning=None),
        "o3": prices.ModelFacts(litellm_provider="openai", supports_reasoning=True),
        "gpt-5": prices.ModelFacts(
            litellm_provider="openai", supports_reasoning=True, supports_minimal_reasoning_effort=True
        ),
        "gpt-5.1": prices.ModelFacts(
            litellm_provider="openai", supports_reasoning=True, supports_none_reasoning_effort=True
        ),
        "claude-sonnet-4-5": prices.ModelFacts(litellm_provider="anthropic", supports_reasoning=True),
        "claude-3-haiku-20240307": prices.ModelFacts(litellm_provider="anthropic"),
        "claude-opus-4-6": prices.ModelFacts(
            litellm_provider="anthropic", supports_reasoning=True, supports_adaptive_thinking=True
        ),
    }
    monkeypatch.setattr(prices, "table", lambda: table)
    sent = body(model, reasoning_effort=effort)
    names = ("reasoning_effort", "thinking", "reasoning", "enable_thinking", "think", "output_config")
    assert {name: sent[name] for name in names if name in sent} == expected


def test_reasoning_goes_back_to_providers_that_want_it():
    blocks = [{"type": "reasoning_content", "text": "why"}, {"type": "reasoning.text", "text": "how"}]
    assistant = {"role": "assistant", "content": None, "tool_calls": [call("a")], "thinking_blocks": blocks}
    sent = body("deepseek/x", [USER, assistant, TURN[3]])["messages"][1]
    assert sent["reasoning_content"] == "why"
    assert sent["reasoning_details"] == [{"type": "reasoning.text", "text": "how"}]
    assert "thinking_blocks" not in sent
    sent = body("deepseek/x", [USER, {**assistant, "tool_calls": None, "content": "Hi"}])["messages"][1]
    assert "reasoning_content" not in sent, "only with tool calls"


# OpenAI Responses


def test_responses_items():
    block = {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "e"}
    foreign = {"type": "thinking", "thinking": "x", "signature": "y"}
    messages = [TURN[0], TURN[1], {**TURN[2], "thinking_blocks": [block, foreign]}, *TURN[3:]]
    sent = body("openai/o3", messages, tools=[TOOL], tool_choice={"type": "function", "function": {"name": "look"}})
    assert sent["store"] is False
    assert sent["include"] == ["reasoning.encrypted_content"]
    assert [item["type"] for item in sent["input"]] == [
        "message",
        "message",
        "reasoning",
        "message",
        "function_call",
        "function_call",
        "function_call_output",
        "function_call_output",
    ]
    assert sent["input"][2] == block
    assert sent["input"][3]["content"] == [{"type": "output_text", "text": "Let me see."}]
    assert sent["input"][4] == {"type": "function_call", "call_id": "a", "name": "look", "arguments": '{"n":1}'}
    assert sent["input"][7] == {"type": "function_call_output", "call_id": "b", "output": "two"}
    assert sent["tools"][0]["name"] == "look"
    assert sent["tool_choice"] == {"type": "function", "name": "look"}


def test_responses_format_and_what_it_cannot_do():
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": True}}
    sent = body("openai/o3", response_format=form, temperature=0.3)
    assert sent["text"]["format"] == {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}
    assert "temperature" not in sent, "reasoning models refuse it"
    with pytest.raises(ChatError) as caught:
        build("openai/o3", stop=["x"])
    assert caught.value.message.startswith("stop:")


# Anthropic


def test_anthropic_conversation():
    sent = body("anthropic/claude-sonnet-4-5", [*TURN, {"role": "user", "content": "go on"}], tools=[TOOL])
    assert sent["system"] == "Be brief."
    assert [message["role"] for message in sent["messages"]] == ["user", "assistant", "user"]
    assert sent["messages"][1]["content"] == [
        {"type": "text", "text": "Let me see."},
        {"type": "tool_use", "id": "a", "name": "look", "input": {"n": 1}},
        {"type": "tool_use", "id": "b", "name": "look", "input": {}},
    ]
    assert [block["type"] for block in sent["messages"][2]["content"]] == ["tool_result", "tool_result", "text"]
    assert sent["tools"][0]["input_schema"] == {"type": "object"}
    assert sent["max_tokens"] > 1000


def test_anthropic_thinking_comes_first_and_unsigned_is_left_out():
    blocks = [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "redacted_thinking", "data": "x"},
        {"type": "thinking", "thinking": "cut", "signature": ""},
        {"type": "reasoning", "id": "of another provider"},
    ]
    messages = [*TURN[:2], {**TURN[2], "thinking_blocks": blocks}, *TURN[3:]]
    sent = body("anthropic/claude-sonnet-4-5", messages, tools=[TOOL], reasoning_effort="low")
    assert sent["messages"][1]["content"][:2] == blocks[:2]
    assert [block["type"] for block in sent["messages"][1]["content"][2:]] == ["text", "tool_use", "tool_use"]
    assert sent["thinking"]["type"] == "enabled"


def test_anthropic_does_not_think_where_it_may_not():
    model = "anthropic/claude-sonnet-4-5"
    assert "thinking" not in body(model, TURN, tools=[TOOL], reasoning_effort="high"), "the turn began without"
    forced = body(model, tools=[TOOL], tool_choice="required", reasoning_effort="high")
    assert "thinking" not in forced
    assert forced["tool_choice"] == {"type": "any"}


@pytest.mark.parametrize(
    ("max_tokens", "effort", "budget"),
    [(None, "low", 2048), (None, "xhigh", 32_000), (4000, "high", 2000), (1500, "low", 1024), (900, "low", None)],
)
def test_anthropic_budget_stays_below_max_tokens(max_tokens: int | None, effort: Any, budget: int | None):
    sent = body("anthropic/claude-sonnet-4-5", max_tokens=max_tokens, reasoning_effort=effort, temperature=0.2)
    if budget is None:
        assert "thinking" not in sent
        assert sent["temperature"] == 0.2
    else:
        assert sent["thinking"]["budget_tokens"] == budget
        assert sent["max_tokens"] > budget
        assert "temperature" not in sent
    if max_tokens:
        assert sent["max_tokens"] == max_tokens


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", {"type": "auto"}),
        ("none", {"type": "none"}),
        ("required", {"type": "any"}),
        ({"type": "function", "function": {"name": "look"}}, {"type": "tool", "name": "look"}),
    ],
)
def test_anthropic_tool_choice(choice: Any, expected: dict[str, Any]):
    assert body("anthropic/claude-x", tools=[TOOL], tool_choice=choice)["tool_choice"] == expected


def test_anthropic_tools_of_the_past_are_named():
    sent = body("anthropic/claude-x", TURN)
    assert [tool["name"] for tool in sent["tools"]] == ["look"]
    assert sent["tool_choice"] == {"type": "none"}


def test_anthropic_corner_cases():
    broken = {"role": "assistant", "content": "", "tool_calls": [call("a/b:c", "not json")]}
    result = {"role": "tool", "tool_call_id": "a/b:c", "content": ""}
    sent = body("anthropic/claude-x", [broken, result, {"role": "assistant", "content": "And so "}])
    first, second, third, last = sent["messages"]
    assert first["role"] == "user", "the first message is a user's"
    assert second["content"] == [
        {"type": "tool_use", "id": "a_b_c", "name": "look", "input": {"arguments": "not json"}}
    ]
    assert third["content"] == [{"type": "tool_result", "tool_use_id": "a_b_c"}]
    assert last["content"][-1]["text"] == "And so", "no white space at the end of a prefill"
    with pytest.raises(ChatError) as caught:
        build("anthropic/claude-x", [{"role": "system", "content": "x"}])
    assert "user message" in caught.value.message


def test_anthropic_files():
    def file(**fields: str) -> list[dict[str, Any]]:
        return [{"role": "user", "content": [{"type": "file", "file": fields}]}]

    pdf = body("anthropic/c", file(file_data="data:application/pdf;base64,JVBERi0=", filename="a.pdf"))
    assert pdf["messages"][0]["content"][0] == {
        "type": "document",
        "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
        "title": "a.pdf",
    }
    text = body("anthropic/c", file(file_data="data:text/plain;base64,aGk="))["messages"][0]["content"][0]
    assert text["source"] == {"type": "text", "media_type": "text/plain", "data": "hi"}
    assert "anthropic-beta" in build("anthropic/c", file(file_id="file_1")).headers


@pytest.mark.parametrize(
    ("name", "thinks", "adaptive", "sampling", "structured"),
    [
        ("claude-3-5-haiku-20241022", False, False, True, False),
        ("claude-3-7-sonnet-20250219", True, False, True, False),
        ("claude-sonnet-4-20250514", True, False, True, False),
        ("claude-sonnet-4-5-20250929", True, False, True, True),
        ("claude-opus-4-6", True, True, True, True),
        ("claude-opus-4-7-20260416", True, True, False, True),
        ("claude-sonnet-5", True, True, False, True),
        ("a-name-of-ones-own", True, False, True, False),
    ],
)
def test_claude_by_its_name(
    name: str, thinks: bool, adaptive: bool, sampling: bool, structured: bool, monkeypatch: pytest.MonkeyPatch
):
    from ai_assistant.gateway import prices

    monkeypatch.setattr(prices, "table", dict)  # a table that does not know it
    form = {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}
    model = f"anthropic/{name}"
    sent = body(model, reasoning_effort="high", response_format=form)
    assert sent.get("thinking", {}).get("type") == (("adaptive" if adaptive else "enabled") if thinks else None)
    assert ("format" in sent.get("output_config", {})) is structured
    assert ("JSON Schema" in sent.get("system", "")) is not structured
    assert ("temperature" in body(model, temperature=1.7)) is sampling
    if sampling:
        assert body(model, temperature=1.7)["temperature"] == 1.0


# Ollama


def test_ollama_conversation():
    sent = body("ollama/x", TURN, tools=[TOOL], temperature=0.1, stop=["x"], extra={"num_ctx": 99, "keep_alive": "5m"})
    assert sent["messages"][2]["tool_calls"][0] == {"function": {"name": "look", "arguments": {"n": 1}}}
    assert sent["messages"][3] == {"role": "tool", "content": "one", "tool_name": "look"}
    assert sent["options"] == {"temperature": 0.1, "stop": ["x"], "num_ctx": 99}
    assert sent["keep_alive"] == "5m"
    assert sent["tools"] == [TOOL]


def test_ollama_tool_choice_and_format():
    other = {"type": "function", "function": {"name": "other"}}
    named = {"type": "function", "function": {"name": "other"}}
    assert "tools" not in body("ollama/x", tools=[TOOL], tool_choice="none")
    assert body("ollama/x", tools=[TOOL, other], tool_choice=named)["tools"] == [other]
    with pytest.raises(ChatError):
        build("ollama/x", tools=[TOOL], tool_choice="required")
    schema = {"type": "object"}
    form = {"type": "json_schema", "json_schema": {"schema": schema}}
    assert body("ollama/x", response_format=form)["format"] == schema
    assert body("ollama/x", response_format={"type": "json_object"})["format"] == "json"


# All


@pytest.mark.parametrize("model", ["openai/gpt-4o", "openai/o3", "anthropic/claude-x", "ollama/x"])
def test_what_every_wire_refuses(model: str):
    with pytest.raises(ChatError) as caught:
        build(model, [{"role": "user", "content": "half \ud83c of it"}])
    assert caught.value.code == "invalid_request"
    assert "surrogate" in caught.value.message
    with pytest.raises(ChatError) as caught:
        build(model, tools=[{"type": "mcp", "server_url": "https://example.com"}])
    assert caught.value.message.startswith("tools[0]")
    with pytest.raises(ChatError) as caught:
        build(model, [{"role": "user", "content": [{"type": "text"}]}])
    assert caught.value.message.startswith("messages[0].content[0]")


@pytest.mark.parametrize("model", ["openai/gpt-4o", "openai/o3", "anthropic/claude-x", "ollama/x"])
def test_parameters_of_the_model_and_of_the_request(model: str):
    config = ModelConfig(name="m", model=model, api_key="KEY", parameters={"max_tokens": 11, "seed": 3})
    text = json.dumps(body(config))
    assert "11" in text
    assert '"seed": 3' in text
    text = json.dumps(body(config, max_tokens=12, extra={"seed": 4}))
    assert "11" not in text
    assert '"seed": 4' in text


def test_litellm_arguments():
    config = ModelConfig(name="m", model="bedrock/x", api_key="KEY", parameters={"top_p": 0.5})
    sent = arguments(GatewayRequest(messages=TURN, tools=[TOOL], reasoning_effort="low"), config, stream=True)
    assert (sent["model"], sent["api_key"], sent["top_p"]) == ("bedrock/x", "KEY", 0.5)
    assert (sent["num_retries"], sent["max_retries"]) == (0, 0), "retries are the gateway's"
    assert sent["reasoning_effort"] == "low"
    assert sent["messages"][3] == TURN[3]
