"""What the model is sent, for any conversation: whole, or trimmed so that no provider refuses it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from ai_assistant.core.chat import ChatRequest
from ai_assistant.core.conversation import StoredMessage
from ai_assistant.core.errors import ChatError
from ai_assistant.core.settings import Mode
from ai_assistant.gateway.tokens import estimate_tokens
from ai_assistant.worker.prompt import compose, gateway_request, omission

MODE = Mode(system_prompt="Be brief.")


def stored(role: str, content: Any = None, **fields: Any) -> StoredMessage:
    """A message of the history."""
    return StoredMessage(name="n", role=role, content=content, **fields)  # type: ignore[arg-type]


def calls(*ids: str) -> list[dict[str, Any]]:
    """Tool calls in OpenAI's form."""
    return [{"id": id_, "type": "function", "function": {"name": "look", "arguments": "{}"}} for id_ in ids]


def user(text: str = "go on") -> dict[str, Any]:
    """A user's message of a request."""
    return {"role": "user", "content": text}


def result(id_: str, content: str = "42") -> dict[str, Any]:
    """A tool's result of a request."""
    return {"role": "tool", "tool_call_id": id_, "content": content}


def composed(messages: list[dict[str, Any]], history: list[StoredMessage], window: int | None = None, **fields: Any):
    """The prompt of a request."""
    return compose(ChatRequest(messages=messages, **fields), MODE, history, window, estimate_tokens)


def check_calls(messages: list[dict[str, Any]]) -> None:
    """Every call is answered directly behind it, and every result answers one."""
    waiting: set[str] = set()
    for message in messages:
        if message["role"] == "tool":
            assert message["tool_call_id"] in waiting, "a result without its call"
            waiting.discard(message["tool_call_id"])
            continue
        assert not waiting, "a call without its result"
        waiting = {call["id"] for call in message.get("tool_calls", ())}
    assert not waiting


WORDS = st.text(alphabet="abc é漢", min_size=1, max_size=200)
ID = st.sampled_from(["a", "b", "c", "d"])
PAST = st.one_of(
    st.builds(lambda text: stored("user", text), WORDS),
    st.builds(lambda text: stored("assistant", text), WORDS),
    st.builds(lambda text: stored("system", text), st.sampled_from(["Rule one.", "Rule two."])),
    st.builds(
        lambda ids, text: stored("assistant", text, tool_calls=calls(*ids)),
        st.lists(ID, min_size=1, max_size=3, unique=True),
        st.one_of(st.none(), WORDS),
    ),
    st.builds(lambda id_, text: stored("tool", text, tool_call_id=id_), ID, WORDS),
    st.builds(lambda text: stored("assistant", text, status="streaming"), WORDS),
    st.just(stored("assistant", "")),
)
NEW = st.lists(
    st.one_of(
        st.builds(user, WORDS),
        st.builds(result, ID, WORDS),
        st.builds(lambda text: {"role": "system", "content": text}, WORDS),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=400, deadline=None)
@given(history=st.lists(PAST, max_size=14), new=NEW, window=st.one_of(st.none(), st.integers(50, 3_000)))
def test_any_conversation(history: list[StoredMessage], new: list[dict[str, Any]], window: int | None) -> None:
    known = {call["id"] for m in history if m.status != "streaming" for call in m.tool_calls}
    orphans = [m for m in new if m["role"] == "tool" and m["tool_call_id"] not in known]
    if orphans:
        with pytest.raises(ChatError) as caught:
            composed(new, history, window)
        assert caught.value.code == "invalid_request"
        return
    prompt = composed(new, history, window)
    messages = prompt.messages
    note(f"{[(m.role, m.content, [c['id'] for c in m.tool_calls], m.tool_call_id) for m in history]} {new} {messages}")
    told = [m for m in history if m.status != "streaming" and (m.content or m.tool_calls)]
    if not told:
        assert messages[-len(new) :] == new, "without a history the request goes as the caller sent it"
        return
    check_calls(messages)
    systems = [m["role"] == "system" for m in messages]
    assert systems == sorted(systems, reverse=True), "a system message behind another"
    assert systems[0] or not any(systems)
    check_trimming(prompt, told, new, window)


def check_trimming(prompt, told: list[StoredMessage], new: list[dict[str, Any]], window: int | None) -> None:
    """It fits, what was kept is the newest, and nothing was left out that would have fitted."""
    whole = composed(new, told).messages
    rest = [m for m in prompt.messages if m["role"] != "system"]
    whole_rest = [m for m in whole if m["role"] != "system"]
    new_rest = [m for m in new if m["role"] != "system"]
    if new_rest and not any(m["role"] == "tool" for m in new):
        assert [m["content"] for m in rest[-len(new_rest) :]] == [m["content"] for m in new_rest]
    assert prompt.trimmed == len(whole_rest) - len(rest)
    assert (omission(prompt.trimmed) in prompt.messages) == bool(prompt.trimmed)
    if window is None:
        assert not prompt.trimmed
        return
    budget = window - min(int(window * 0.25), window // 2)
    if not prompt.trimmed:
        assert rest == whole_rest
        return
    assert estimate_tokens(whole) > budget - estimate_tokens([omission(9)])
    suffix = 0
    while suffix < len(rest) and rest[-1 - suffix] == whole_rest[-1 - suffix]:
        suffix += 1
    assert len(rest) - suffix <= 1, "all but the message that began the turn are the newest"
    assert len(rest) == suffix or rest[0]["role"] == "user"
    mandatory = rest[-len(new_rest) :] if new_rest else []
    if len(rest) > len(mandatory) and rest[-len(mandatory) - 1 if mandatory else -1].get("tool_calls") is None:
        assert estimate_tokens(prompt.messages) <= budget


def test_the_modes_prompt_comes_first_and_yields_to_the_callers() -> None:
    assert composed([user()], []).messages[0] == {"role": "system", "content": "Be brief."}
    mine = {"role": "system", "content": "Mine."}
    assert composed([mine, user()], []).messages == [mine, user()]
    assert composed([user()], [stored("system", "Old."), stored("user", "x")]).messages[0]["content"] == "Old."
    again = composed([mine, user("two")], [stored("system", "Mine."), stored("user", "one"), stored("assistant", "1")])
    assert [m["content"] for m in again.messages] == ["Mine.", "one", "1", "two"]


def test_a_result_keeps_its_call_when_the_history_does_not_fit() -> None:
    history = [stored("user", "x" * 4_000), stored("assistant", None, tool_calls=calls("a", "b"))]
    prompt = composed([result("a"), result("b")], history, window=200)
    check_calls(prompt.messages)
    assert [m["role"] for m in prompt.messages] == ["system", "system", "assistant", "tool", "tool"]
    assert prompt.trimmed == 1


def test_one_of_two_calls_answered_is_told_as_text() -> None:
    history = [stored("user", "x"), stored("assistant", None, tool_calls=calls("a", "b"))]
    prompt = composed([result("a", "forty-two"), user()], history)
    check_calls(prompt.messages)
    assert "not run" in prompt.messages[2]["content"]
    assert prompt.messages[3] == {"role": "user", "content": "forty-two"}


def test_a_result_that_comes_too_late_is_told_as_text() -> None:
    history = [
        stored("assistant", None, tool_calls=calls("a")),
        stored("user", "never mind"),
        stored("assistant", "ok"),
    ]
    prompt = composed([result("a", "late"), user()], history)
    check_calls(prompt.messages)
    assert {"role": "user", "content": "late"} in prompt.messages


def test_a_history_that_begins_with_an_answer_is_whole_when_it_fits() -> None:
    prompt = composed(
        [user()], [stored("assistant", "Welcome."), stored("user", "x"), stored("assistant", "y")], 10_000
    )
    assert (prompt.trimmed, prompt.messages[1]["content"]) == (0, "Welcome.")


def test_a_long_agent_turn_keeps_its_task_and_its_last_steps() -> None:
    history = [stored("user", "older " * 200), stored("assistant", "done"), stored("user", "the task")]
    for i in range(40):
        history += [
            stored("assistant", None, tool_calls=calls(f"c{i}")),
            stored("tool", "r " * 40, tool_call_id=f"c{i}"),
        ]
    history.append(stored("assistant", None, tool_calls=calls("last")))
    prompt = composed([result("last")], history, window=1_200)
    check_calls(prompt.messages)
    assert prompt.messages[2]["content"] == "the task"
    kept = [m["tool_calls"][0]["id"] for m in prompt.messages if m.get("tool_calls")]
    assert kept == [f"c{i}" for i in range(40 - len(kept) + 1, 40)] + ["last"]
    assert 5 < len(kept) < 40
    assert estimate_tokens(prompt.messages) <= 900


def test_the_requests_own_parameters_win() -> None:
    mode = Mode(parameters={"temperature": 0.1, "max_tokens": 5, "stop": "x", "top_k": 3})
    request = ChatRequest(messages=[user()], temperature=0.0)
    asked = gateway_request(request, [user()], mode)
    assert (asked.temperature, asked.max_tokens, asked.stop, asked.extra) == (0.0, 5, ["x"], {"top_k": 3})
