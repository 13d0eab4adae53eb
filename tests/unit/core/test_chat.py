"""The checks of the other arguments of `chat_completion`."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_assistant.core.chat import checked_request
from ai_assistant.core.errors import ValidationError
from ai_assistant.core.settings import Settings

MESSAGES = [{"role": "user", "content": "Hello"}]
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


def checked(**arguments: Any) -> Any:
    return checked_request({"messages": MESSAGES, **arguments}, Settings())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"messages": "[{]"}, "messages: not valid JSON"),
        ({"messages": '"hello"'}, "messages: must be a list, not a string"),
        ({"mode": "yolo"}, "mode: must be one of ask, agent, not 'yolo'"),
        ({"mode": 3}, "mode: must be one of ask, agent, not 3"),
        ({"model": ["x"]}, "model: must be a string, not a list"),
        ({"model": "m" * 141}, "model: 141 characters; at most 140"),
        ({"temperature": "warm"}, "temperature: must be a number, not 'warm'"),
        ({"temperature": 3}, "temperature: must be between 0 and 2, not 3"),
        ({"temperature": float("nan")}, "temperature: must be a number"),
        ({"temperature": True}, "temperature: must be a number"),
        ({"max_tokens": -1}, "max_tokens: must be between 1 and 1000000, not -1"),
        ({"max_tokens": 1.5}, "max_tokens: must be a whole number, not 1.5"),
        ({"max_tokens": "9" * 5000}, "max_tokens: must be a whole number"),
        ({"reasoning_effort": "extreme"}, "reasoning_effort: must be one of none, minimal, low, medium, high, xhigh"),
        ({"tools": {}}, "tools: must be a list, not an object"),
        ({"tools": [{"type": "web"}]}, "tools[0].type: must be 'function', not 'web'"),
        ({"tools": [{"type": "function"}]}, "tools[0].function: must be an object, not null"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools[0].function.name: must be 1 to 64"),
        ({"tools": [TOOL, TOOL]}, "tools[1].function.name: 'look' is there twice"),
        ({"tools": [TOOL] * 129}, "tools: 129 tools; at most 128"),
        ({"tool_choice": "maybe"}, "tool_choice: must be one of auto, none, required"),
        ({"tool_choice": {"type": "function", "function": {"name": "x"}}}, "tool_choice.function.name: there is no"),
        ({"tool_choice": {"a": 1}}, "tool_choice: must be auto, none, required or"),
        ({"response_format": {"type": "xml"}}, "response_format.type: must be text, json_object or json_schema"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema: must be an object with name"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop: 5 strings; at most 4"),
        ({"stop": [1]}, "stop: must be a string or a list of strings"),
        ({"metadata": "{"}, "metadata: not valid JSON"),
        ({"metadata": {"a": "x" * 5000}}, "metadata: 5008 bytes; at most 4096"),
        ({"metadata": []}, "metadata: must be an object, not a list"),
        ({"conversation": 5}, "conversation: must be a string, not a number"),
    ],
)
def test_what_is_wrong_is_named(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as error:
        checked(**arguments)
    assert words in error.value.message


def test_forms_carry_everything_as_text() -> None:
    request = checked_request(
        {
            "messages": '[{"role": "user", "content": "Hello"}]',
            "temperature": "0.5",
            "max_tokens": "100",
            "tools": '[{"type": "function", "function": {"name": "look"}}]',
            "tool_choice": '{"type": "function", "function": {"name": "look"}}',
            "stop": '["a", "b"]',
            "metadata": '{"file": "x.py"}',
            "response_format": '{"type": "json_object"}',
        },
        Settings(),
    )
    assert (request.temperature, request.max_tokens, request.stop) == (0.5, 100, ["a", "b"])
    assert request.tool_choice == {"type": "function", "function": {"name": "look"}}
    assert request.metadata == {"file": "x.py"}


def test_the_fingerprint_is_of_the_meaning_not_of_the_form() -> None:
    assert checked(metadata={"a": 1, "b": 2}).fingerprint() == checked(metadata='{"b": 2, "a": 1}').fingerprint()
    assert checked(temperature=1).fingerprint() == checked(temperature="1.0").fingerprint()
    assert checked().fingerprint() != checked(temperature=0).fingerprint()


values = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text()) | st.just({"a": 1})
NAMES = [
    "messages",
    "mode",
    "model",
    "provider",
    "temperature",
    "max_tokens",
    "reasoning_effort",
    "tools",
    "tool_choice",
    "response_format",
    "stop",
    "conversation",
    "metadata",
]


@given(st.dictionaries(st.sampled_from(NAMES), values))
def test_anything_is_either_refused_by_name_or_a_request(arguments: dict[str, Any]) -> None:
    try:
        request = checked(**arguments)
    except ValidationError as error:
        assert error.message.split(":")[0].split(".")[0].split("[")[0] in NAMES
        error.message.encode()
        return
    assert len(request.fingerprint()) == 64
