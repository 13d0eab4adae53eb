"""Messages of every convention in one form, and back in that of the GenAI conventions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_assistant.traces.otlp_messages import answer_of, as_parts, messages_of

CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Paris"}'}}
ARGUMENTS = {"city": "Paris"}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"role": "user", "content": "hi"}, {"role": "user", "content": "hi"}),
        ({"role": "user", "parts": [{"type": "text", "content": "hi"}]}, {"role": "user", "content": "hi"}),
        ({"role": "user", "parts": ["hi", " there"]}, {"role": "user", "content": "hi there"}),
        ({"role": "user", "content": [{"type": "text", "text": "hi"}]}, {"role": "user", "content": "hi"}),
        ({"content": "hi"}, {"role": "user", "content": "hi"}),
        (
            {"role": "assistant", "parts": [{"type": "reasoning", "content": "hm"}, {"type": "text", "content": "hi"}]},
            {"role": "assistant", "content": "hi", "reasoning": "hm"},
        ),
        (
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "hi"}]},
            {"role": "assistant", "content": "hi", "reasoning": "hm"},
        ),
        (
            {"role": "assistant", "content": "hi", "reasoning_content": "hm"},
            {"role": "assistant", "content": "hi", "reasoning": "hm"},
        ),
        (
            {
                "role": "assistant",
                "parts": [{"type": "tool_call", "id": "c1", "name": "weather", "arguments": ARGUMENTS}],
            },
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
        ),
        (
            {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "weather", "input": ARGUMENTS}]},
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
        ),
        (
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
        ),
        (
            {
                "role": "assistant",
                "tool_calls": [{"tool_call": {"id": "c1", "function": CALL["function"]}}],
                "content": None,
            },
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
        ),
        ({"role": "tool", "content": "sunny", "id": "c1"}, {"role": "tool", "content": "sunny"}),
        (
            {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "sunny"}]},
            {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        ),
        (
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "sunny"}]},
            {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        ),
        (
            {"role": "user", "contents": [{"message_content": {"type": "text", "text": "hi"}}]},
            {"role": "user", "content": "hi"},
        ),
        (
            {
                "role": "user",
                "content": [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": "x"}}],
            },
            {
                "role": "user",
                "content": [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": "x"}}],
            },
        ),
        ({"message": {"role": "user", "content": "hi"}}, {"role": "user", "content": "hi"}),
        (json.dumps({"role": "user", "content": "hi"}), {"role": "user", "content": "hi"}),
        (
            {"role": "assistant", "content": "hi", "finish_reason": "stop"},
            {"role": "assistant", "content": "hi", "finish_reason": "stop"},
        ),
    ],
)
def test_one_form(message: Any, expected: Any) -> None:
    assert messages_of([message]) == [expected]


@pytest.mark.parametrize(
    "value", [None, "", "text", "[", "[1]", 5, [], [{}], [{"a": 1}], {"a": 1}, [{"role": "user"}, 5]]
)
def test_what_holds_no_messages(value: Any) -> None:
    found = messages_of(value)
    assert found is None or found == [{"role": "user", "content": None}]


def test_a_request_s_messages_are_found_within_it() -> None:
    assert messages_of('{"model":"m","messages":[{"role":"user","content":"hi"}]}') == [
        {"role": "user", "content": "hi"}
    ]


def test_several_results_become_several_messages() -> None:
    parts = [{"type": "tool_result", "tool_use_id": each, "content": f"r{each}"} for each in "ab"]
    found = messages_of([{"role": "user", "content": [*parts, {"type": "text", "text": "go on"}]}])
    assert found == [
        {"role": "user", "content": "go on"},
        {"role": "tool", "tool_call_id": "a", "content": "ra"},
        {"role": "tool", "tool_call_id": "b", "content": "rb"},
    ]


def test_an_answer_of_text_is_that_text() -> None:
    found = answer_of([{"role": "assistant", "content": "hi", "reasoning": "hm", "finish_reason": "stop"}])
    assert found == {"output": "hi", "reasoning": "hm", "finish_reason": "stop"}


def test_an_answer_with_calls_is_its_message() -> None:
    found = answer_of([{"role": "assistant", "content": None, "tool_calls": [CALL], "finish_reason": "tool_calls"}])
    assert json.loads(found["output"]) == {"role": "assistant", "content": None, "tool_calls": [CALL]}
    assert found["finish_reason"] == "tool_calls"


def test_several_choices_are_a_list() -> None:
    found = answer_of([{"role": "assistant", "content": each} for each in "ab"])
    assert [message["content"] for message in json.loads(found["output"])] == ["a", "b"]


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=10)
CALLS = st.builds(
    lambda id_, name, city: {
        "id": id_,
        "type": "function",
        "function": {"name": name, "arguments": json.dumps({"city": city}, ensure_ascii=False, separators=(",", ":"))},
    },
    TEXT, TEXT, TEXT,
)  # fmt: skip
MESSAGES = st.one_of(
    st.fixed_dictionaries({"role": st.sampled_from(["system", "user"]), "content": TEXT}),
    st.fixed_dictionaries(
        {"role": st.just("assistant"), "content": TEXT},
        optional={"reasoning": TEXT, "tool_calls": st.lists(CALLS, min_size=1, max_size=2)},
    ),
    st.fixed_dictionaries({"role": st.just("tool"), "tool_call_id": TEXT, "content": TEXT}),
)


@given(st.lists(MESSAGES, min_size=1, max_size=4))
def test_out_and_in_again_is_the_same(messages: list[dict[str, Any]]) -> None:
    assert messages_of([as_parts(message) for message in messages]) == messages


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda each: (
        st.lists(each, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "content", "parts", "type", "text", "tool_calls", "function"]), each)
    ),
    max_leaves=12,
)


@given(JSON)
def test_whatever_comes_is_read_without_an_error(value: Any) -> None:
    found = messages_of(value)
    if found:
        answer_of(found)
        [as_parts(message) for message in found]
