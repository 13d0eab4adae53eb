"""`chat_completion`: waiting or not, what reaches the provider, what comes back."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from .chunks import DONE, answer, finish, piece, sse, text, thought, used
from .client import Client, new_id
from .events import check_timings, check_usage
from .script import Gate, Script

Ask = Callable[..., tuple[dict[str, Any], Script]]
Scripts = Callable[..., Script]
TASK_FIELDS = [
    "task_id",
    "status",
    "message",
    "finish_reason",
    "model",
    "provider",
    "usage",
    "timings",
    "conversation",
    "message_id",
    "trace_id",
    "error",
]


def sent(played: Script, call: int = 0) -> list[dict[str, Any]]:
    """The messages that the provider received, without the mode's own prompt."""
    return [m for m in played.calls[call].body["messages"] if m["role"] not in ("system", "developer")]


def test_a_waiting_call_gives_the_whole_task(ask: Ask) -> None:
    task, played = ask(answer("Hello there.", reasoning="A greeting."))
    assert set(TASK_FIELDS) <= task.keys()
    assert task["status"] == "completed"
    message = task["message"]
    assert (message["role"], message["content"], message["reasoning"]) == ("assistant", "Hello there.", "A greeting.")
    assert not message["tool_calls"]
    assert task["finish_reason"] == "stop"
    assert (task["conversation"], task["error"]) == (None, None)
    assert isinstance(task["trace_id"], str)
    assert len(played.calls) == 1


def test_the_task_can_be_read_again(user: Client, ask: Ask) -> None:
    task, _ = ask(answer("Once more."))
    assert user.call("get_task", task_id=task["task_id"]) == task
    assert user.get("get_task", task_id=task["task_id"]) == task


def test_a_call_that_does_not_wait_answers_at_once(user: Client, script: Scripts) -> None:
    gate = Gate()
    played = script([gate, *answer("Later.")])
    accepted = user.chat(played.messages(), wait=False)
    assert accepted["status"] in ("queued", "running")
    assert user.call("get_task", task_id=accepted["task_id"])["status"] in ("queued", "running")
    gate.open()
    assert user.finished(accepted["task_id"])["message"]["content"] == "Later."


def test_a_wait_that_is_too_short_gives_the_running_task(user: Client, script: Scripts) -> None:
    gate = Gate()
    played = script([text("Some"), gate, *answer("thing.")])
    task = user.chat(played.messages(), timeout=0.3)
    assert task["status"] in ("queued", "running")
    assert set(TASK_FIELDS) <= task.keys()
    gate.open()
    assert user.finished(task["task_id"])["message"]["content"] == "Something."


def test_a_failed_task_is_still_200(ask: Ask) -> None:
    task, _ = ask([text("Half an ans"), sse({"error": {"message": "overloaded", "code": 503}})])
    assert task["status"] == "failed"
    assert task["message"]["content"] == "Half an ans"
    assert task["error"]["code"]


def test_without_a_conversation_the_call_is_stateless(ask: Ask) -> None:
    """Sent as the caller sent it, and nothing of it is kept for the next call."""
    first, _ = ask(answer("One."))
    second, played = ask(answer("Two."))
    assert first["conversation"] is None
    assert second["conversation"] is None
    assert sent(played) == played.messages()


def test_history_of_the_caller_is_sent_as_it_is(user: Client, script: Scripts) -> None:
    played = script(answer())
    history = [
        {"role": "user", "content": "What is 2 + 2?"},
        {"role": "assistant", "content": "4"},
        *played.messages("And 3 + 3?"),
    ]
    user.chat(history)
    assert sent(played) == history


def test_each_mode_has_its_own_prompt_and_a_system_message_replaces_it(user: Client, script: Scripts) -> None:
    prompts = {}
    for mode in ("ask", "agent"):
        played = script(answer())
        user.chat(played.messages(), mode=mode)
        prompts[mode] = [m["content"] for m in played.calls[0].body["messages"] if m["role"] in ("system", "developer")]
    assert prompts["ask"] != prompts["agent"]
    played = script(answer())
    own = [{"role": "system", "content": "Speak like a pirate."}, *played.messages()]
    user.chat(own)
    assert "Speak like a pirate." in str(played.calls[0].body["messages"][0])


def test_parameters_reach_the_provider(user: Client, script: Scripts) -> None:
    played = script(answer())
    user.chat(
        played.messages(),
        temperature=0.7,
        max_tokens=321,
        stop=["END"],
        response_format={"type": "json_object"},
        reasoning_effort="high",
    )
    body = played.calls[0].body
    assert body["stream"] is True
    assert body["temperature"] == 0.7
    assert 321 in (body.get("max_tokens"), body.get("max_completion_tokens"))
    assert body["stop"] in (["END"], "END")
    assert body["response_format"] == {"type": "json_object"}
    assert body["reasoning_effort"] == "high"
    assert "metadata" not in body


def test_parameters_of_the_model_and_of_the_request(user: Client, script: Scripts) -> None:
    own, asked = script(answer()), script(answer())
    user.chat(own.messages(), model="tuned")
    user.chat(asked.messages(), model="tuned", temperature=1.1)
    assert own.calls[0].body["temperature"] == 0.3
    assert 55 in (own.calls[0].body.get("max_tokens"), own.calls[0].body.get("max_completion_tokens"))
    assert asked.calls[0].body["temperature"] == 1.1


def test_the_key_goes_to_the_provider_only(user: Client, ask: Ask) -> None:
    task, played = ask(answer())
    assert played.calls[0].headers["authorization"].startswith("Bearer wire-test-key")
    assert "wire-test-key" not in json.dumps(task)
    assert "wire-test-key" not in json.dumps(user.events(task["task_id"]))


def test_the_providers_usage_is_given(ask: Ask) -> None:
    task, _ = ask([*answer("Counted.", usage=None)[:-1], used(100, 40, reasoning=25, cached=60), DONE])
    usage = task["usage"]
    check_usage(usage)
    assert usage["estimated"] is False
    counts = [usage[name] for name in ("prompt_tokens", "completion_tokens", "reasoning_tokens", "cached_tokens")]
    assert counts == [100, 40, 25, 60]


def test_usage_is_estimated_when_the_provider_gives_none(ask: Ask) -> None:
    task, _ = ask(answer("A few words that were counted here.", usage=None))
    check_usage(task["usage"])
    assert task["usage"]["estimated"] is True
    assert task["usage"]["prompt_tokens"] > 0
    assert 3 <= task["usage"]["completion_tokens"] <= 20


def test_the_cost_follows_the_models_own_prices(ask: Ask) -> None:
    """2, 10 and 0.5 dollars a million tokens for input, output and cached input."""
    task, _ = ask([text("Dear."), finish(), used(1000, 100, cached=400), DONE], model="priced")
    assert task["usage"]["cost"] == pytest.approx((600 * 2 + 400 * 0.5 + 100 * 10) / 1e6)


def test_timings_are_measured(ask: Ask) -> None:
    task, _ = ask(answer("Timed.", reasoning="Thinking of time."))
    check_timings(task["timings"])
    assert task["timings"]["ttft_ms"] is not None
    assert task["timings"]["queue_ms"] is not None


def test_text_of_any_script_comes_through(ask: Ask) -> None:
    words = 'Grüße, 世界! 👩‍👩‍👧 \u2028 \\ " </script> \t\r\n مرحبا é'
    task, _ = ask([text(character) for character in words] + [finish(), DONE], content=words)
    assert task["message"]["content"] == words


def test_thinking_tags_in_content_are_reasoning(ask: Ask) -> None:
    pieces = ["<th", "ink>Let me", " see</thi", "nk>", "The answer", " is <", "b>."]
    task, _ = ask([*map(text, pieces), finish(), DONE])
    assert task["message"]["reasoning"].strip() == "Let me see"
    assert task["message"]["content"].strip() == "The answer is <b>."


def test_other_names_of_reasoning_are_read(ask: Ask) -> None:
    details = {"reasoning_details": [{"type": "reasoning.text", "text": "detail"}]}
    task, _ = ask([piece({"reasoning": "plain "}), text("A"), finish(), DONE])
    assert task["message"]["reasoning"] == "plain "
    task, _ = ask([piece(details), text("A"), finish(), DONE])
    assert task["message"]["reasoning"] == "detail"


@pytest.mark.parametrize("reason", ["length", "stop"])
def test_the_finish_reason_is_the_providers(ask: Ask, reason: str) -> None:
    task, _ = ask([text("Cut he"), finish(reason), DONE])
    assert (task["status"], task["finish_reason"]) == ("completed", reason)


def test_reasoning_alone_is_an_answer_without_text(ask: Ask) -> None:
    task, _ = ask([thought("Only thinking."), finish("length"), DONE])
    assert (task["status"], task["message"]["content"]) == ("completed", "")
    assert task["message"]["reasoning"] == "Only thinking."


def test_an_image_is_passed_on_by_reference(user: Client, script: Scripts) -> None:
    """URLs in messages are never fetched by the server."""
    played, bait = script(answer()), script(answer())
    url = f"https://example.invalid/{bait.key}.png"
    parts = [{"type": "text", "text": f"Look {played.key}"}, {"type": "image_url", "image_url": {"url": url}}]
    parts.append({"type": "text", "text": f"again {played.key}"})
    user.chat([{"role": "user", "content": parts}])
    assert url in json.dumps(sent(played))
    assert not bait.calls


def test_a_form_carries_the_same_as_json(user: Client, script: Scripts) -> None:
    played = script(answer("By form."))
    form = {
        "messages": json.dumps(played.messages()),
        "temperature": "0.5",
        "max_tokens": "99",
        "metadata": json.dumps({"from": "a form"}),
        "wait": "1",
    }
    response = user.request("chat_completion", data=form)
    assert response.status_code == 200, response.text
    assert response.json()["message"]["message"]["content"] == "By form."
    assert played.calls[0].body["temperature"] == 0.5


def test_metadata_up_to_4_kib_is_taken(ask: Ask) -> None:
    task, _ = ask(answer(), metadata={"k": "x" * 4000})
    assert task["status"] == "completed"


def test_a_client_may_choose_the_task_id(ask: Ask) -> None:
    task_id = new_id()
    task, _ = ask(answer(), task_id=task_id)
    assert task["task_id"] == task_id
