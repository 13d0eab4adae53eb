"""Token counts and requests of every form that providers document, as columns and as input."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ai_assistant.tracing.integrations.options import DEFAULT, Options
from ai_assistant.tracing.integrations.payload import Message, in_short, listed, split_request
from ai_assistant.tracing.integrations.usage import anthropic_usage, langchain_usage, openai_usage


def test_openai_chat() -> None:
    usage = {
        "prompt_tokens": 30,
        "completion_tokens": 9,
        "total_tokens": 39,
        "prompt_tokens_details": {"cached_tokens": 20, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 4},
    }
    expected = {
        "prompt_tokens": 30, "completion_tokens": 9, "total_tokens": 39, "cached_tokens": 20, "reasoning_tokens": 4,
    }  # fmt: skip
    assert openai_usage(usage) == expected
    objects = {name: SimpleNamespace(**value) if isinstance(value, dict) else value for name, value in usage.items()}
    assert openai_usage(SimpleNamespace(**objects)) == expected


def test_openai_responses() -> None:
    usage = {
        "input_tokens": 30,
        "output_tokens": 9,
        "total_tokens": 39,
        "input_tokens_details": {"cached_tokens": 20},
        "output_tokens_details": {"reasoning_tokens": 4},
    }
    assert openai_usage(usage)["prompt_tokens"] == 30
    assert openai_usage(usage)["reasoning_tokens"] == 4


def test_anthropic_counts_cached_tokens_beside_the_prompt() -> None:
    usage = {
        "input_tokens": 5,
        "output_tokens": 7,
        "cache_read_input_tokens": 20,
        "cache_creation_input_tokens": 3,
        "output_tokens_details": {"thinking_tokens": 2},
    }
    assert anthropic_usage(usage) == {
        "prompt_tokens": 28, "completion_tokens": 7, "cached_tokens": 20, "reasoning_tokens": 2,
    }  # fmt: skip
    assert anthropic_usage({"output_tokens": 7, "cache_read_input_tokens": None}) == {"completion_tokens": 7}


def test_langchain() -> None:
    usage = {
        "input_tokens": 30,
        "output_tokens": 9,
        "total_tokens": 39,
        "input_token_details": {"cache_read": 20},
        "output_token_details": {"reasoning": 4},
    }
    assert langchain_usage(usage)["cached_tokens"] == 20
    assert langchain_usage({"input_tokens": 1}) == {"prompt_tokens": 1}


@pytest.mark.parametrize("read", [openai_usage, anthropic_usage, langchain_usage])
@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": "many", "input_tokens": None}, {"total_tokens": True}])
def test_what_is_no_count_is_left_out(read: object, usage: object) -> None:
    assert read(usage) == {}  # type: ignore[operator]


def test_a_request_is_its_messages_and_its_parameters() -> None:
    class NotGiven:
        pass

    body = {"model": "m", "messages": [1], "temperature": 0, "top_p": None, "stop": NotGiven(), "stream": True}
    assert split_request(body) == ([1], {"temperature": 0})
    assert split_request({"messages": [1], "tools": [2]}) == ({"messages": [1], "tools": [2]}, {})
    assert listed({"messages": iter([1, 2]), "model": "m"}) == {"messages": [1, 2], "model": "m"}


def test_media_and_signatures_are_told_in_short() -> None:
    data = "QUJD" * 1000
    said = in_short([
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}},
        {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64," + data}},
        {"type": "thinking", "thinking": "hm", "signature": data},
    ])  # fmt: skip
    assert said[0]["source"]["data"] == "<data: 4000 characters>"
    assert said[1]["input_audio"] == {"data": "<data: 4000 characters>", "format": "wav"}
    assert said[2]["file"]["file_data"] == "<data:application/pdf;base64: 4028 characters>"
    assert said[3] == {"type": "thinking", "thinking": "hm"}


@pytest.mark.parametrize(
    "message",
    [
        {"type": "text", "text": "data: " + "a" * 5000},
        {"role": "user", "content": "data:text," + "a" * 5000},
        {"data": "x" * 5000},
        {"properties": {"signature": {"type": "string"}}},
    ],
)
def test_texts_are_not_taken_for_media(message: dict[str, object]) -> None:
    assert in_short(message) == message


def test_a_message_grows() -> None:
    message = Message()
    message.texts += ["a", "b"]
    assert message.value() == "ab"
    message.call(1, "c1", "f", '{"x"')
    message.call(1, arguments=":1}")
    message.add_extra("refusal", "no")
    assert message.value() == {
        "role": "assistant",
        "content": "ab",
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}],
        "refusal": "no",
    }


def test_options_only_take_away() -> None:
    node = Options(capture_reasoning=False, reasoning_max_length=10)
    assert DEFAULT.below(node) == Options(capture_reasoning=False, reasoning_max_length=10)
    assert Options(reasoning_max_length=5).below(node).reasoning_max_length == 5
    assert Options(capture_input=False).below(DEFAULT) == Options(capture_input=False)
    with pytest.raises(ValueError, match="here: capture_input must be True or False, not 1"):
        DEFAULT.merged({"capture_input": 1}, "here")
