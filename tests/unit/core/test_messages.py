"""The checks of a request's messages: what is refused is named, what passes can be sent on."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_assistant.core.errors import ValidationError
from ai_assistant.core.messages import check_results, checked_messages

CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
USER = {"role": "user", "content": "Hello"}


def checked(messages: Any, **limits: int) -> list[dict[str, Any]]:
    return checked_messages(messages, **{"max_messages": 100, "max_bytes": 10_000} | limits)


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        (None, "messages: must hold at least one message"),
        ([], "messages: must hold at least one message"),
        ({"role": "user"}, "messages: must be a list, not an object"),
        (["hi"], "messages[0]: must be an object, not a string"),
        ([{"content": "hi"}], "messages[0].role: must be one of system, developer, user, assistant, tool, not None"),
        ([{"role": "robot", "content": "hi"}], "messages[0].role: must be one of"),
        ([{"role": ["user"], "content": "hi"}], "messages[0].role: must be one of"),
        ([USER, {"role": "user"}], "messages[1].content: is missing"),
        ([{"role": "user", "content": 5}], "messages[0].content: must be a string or a list of parts, not a number"),
        ([{"role": "user", "content": []}], "messages[0].content: must hold 1 to 500 parts, not 0"),
        ([{"role": "user", "content": [{"type": "video"}]}], "messages[0].content[0].type: must be one of"),
        ([{"role": "user", "content": [{"type": "text"}]}], "messages[0].content[0].text: must be a string, not null"),
        (
            [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]}],
            "messages[0].content[0].image_url.url: must begin with https://, http:// or data:image/",
        ),
        ([{"role": "user", "content": "a\x00b"}], "messages[0].content: contains a NUL character at position 1"),
        ([{"role": "user", "content": "a\ud800"}], "messages[0].content: contains a lone surrogate"),
        ([{"role": "user", "content": [{"type": "text", "text": "\ud800"}]}], "messages[0].content[0].text: contains"),
        ([{"role": "user", "content": "hi", "x": {"\ud800": 1}}], "messages[0].x: contains a lone surrogate"),
        ([{"role": "assistant"}], "messages[0].content: is missing, and there are no tool_calls"),
        ([{"role": "assistant", "tool_calls": "c"}], "messages[0].tool_calls: must be a list, not a string"),
        ([{"role": "assistant", "tool_calls": [{}]}], "messages[0].tool_calls[0].id: must be a string that is not"),
        ([{"role": "assistant", "tool_calls": [{"id": "1"}]}], "messages[0].tool_calls[0].function: must be an object"),
        ([{"role": "user", "content": "x", "tool_calls": [CALL]}], "messages[0].tool_calls: belong to an assistant's"),
        ([{"role": "tool", "content": "x"}], "messages[0].tool_call_id: must be a string that is not empty, not null"),
        ([{"role": "user", "content": "x", "name": 5}], "messages[0].name: must be a string"),
    ],
)
def test_what_is_wrong_is_named(messages: Any, words: str) -> None:
    with pytest.raises(ValidationError) as error:
        checked(messages)
    assert words in error.value.message


def test_too_many_and_too_large_are_refused() -> None:
    with pytest.raises(ValidationError, match="messages: 101 messages; at most 100 are allowed"):
        checked([USER] * 101)
    with pytest.raises(ValidationError, match=r"messages: 10\.0 MB in all; at most 0\.0 MB"):
        checked([{"role": "user", "content": "x" * 10_000_000}])


def test_nesting_is_bounded() -> None:
    deep: Any = "x"
    for _ in range(40):
        deep = [deep]
    with pytest.raises(ValidationError, match="nested too deeply"):
        checked([{"role": "user", "content": "x", "metadata": deep}])


def test_unknown_fields_and_those_of_other_roles_are_dropped() -> None:
    user = checked([{"role": "user", "content": "x", "tool_call_id": "c", "reasoning": "r", "extra": 1}])
    assert user == [{"role": "user", "content": "x"}]
    assistant = {"role": "assistant", "content": None, "tool_calls": [CALL], "thinking_blocks": [{"type": "thinking"}]}
    assert checked([assistant]) == [assistant]


def test_a_result_answers_a_call_made_before_it() -> None:
    call = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    result = {"role": "tool", "content": "found", "tool_call_id": "c1"}
    check_results(checked([USER, call, result]))
    check_results([result], {"c1"})
    for wrong in ([result, call], [USER, {**result, "tool_call_id": "c2"}]):
        with pytest.raises(ValidationError, match=r"messages\[\d\]\.tool_call_id: no earlier assistant message"):
            check_results(wrong)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
near_messages = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "role": st.sampled_from(["user", "assistant", "tool", "system", "x", 1, None]),
            "content": json_values,
            "tool_calls": json_values | st.just([CALL]),
            "tool_call_id": json_values,
            "thinking_blocks": json_values,
            "name": json_values,
        },
    ),
    max_size=4,
)


@given(json_values | near_messages)
def test_anything_is_either_refused_by_name_or_can_be_sent_on(messages: Any) -> None:
    try:
        kept = checked(messages)
        check_results(kept)
    except ValidationError as error:
        assert error.message.startswith("messages")
        return
    assert msgspec.json.decode(msgspec.json.encode(kept)) == kept
    assert all(message["role"] in ("system", "developer", "user", "assistant", "tool") for message in kept)
