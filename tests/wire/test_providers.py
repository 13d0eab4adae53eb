"""Each provider's protocol over real HTTP: aimock's, and the failures that a provider may show."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.aimock.server import AiMock

from .chunks import DONE, answer, finish, sse, text, thought
from .client import Client
from .events import check_error, checked
from .script import Cut, Hold, Pause, Reply, Script, page, refusal

Ask = Callable[..., tuple[dict[str, Any], Script]]
Scripts = Callable[..., Script]
SDK = ("mock-chat", "mock-responses", "mock-anthropic", "mock-ollama", "mock-gemini")
PATHS = {
    "mock-chat": "/v1/chat/completions",
    "mock-responses": "/v1/responses",
    "mock-anthropic": "/v1/messages",
    "mock-ollama": "/api/chat",
    "mock-gemini": "/v1beta/models/",
}
PROVIDERS = dict(zip(SDK, ("openai", "openai", "anthropic", "ollama", "gemini"), strict=True))
#: aimock's Ollama names its reasoning as OpenAI's servers do, not `thinking` as Ollama does; `local` shows the latter.
THINKING = ("mock-chat", "mock-responses", "mock-anthropic", "mock-gemini")
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather",
        "parameters": {"type": "object", "properties": {"town": {"type": "string"}}},
    },
}


@pytest.fixture
def mock(aimock: AiMock) -> Iterator[AiMock]:
    aimock.reset()
    yield aimock
    aimock.reset()


def say(words: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": words}]


@pytest.mark.parametrize("model", SDK)
def test_text_over_each_protocol(user: Client, mock: AiMock, model: str) -> None:
    words = "A text of several pieces, with ünïcödé 世界 and a 👩‍🚀."
    mock.on("tell me", content=words)
    task = user.chat(say("Please tell me"), model=model)
    assert task["status"] == "completed", task["error"]
    assert task["message"]["content"] == words
    assert task["finish_reason"] == "stop"
    assert task["provider"] == PROVIDERS[model]
    record = checked(user.events(task["task_id"]), task["task_id"])
    assert record.text == words
    asked = mock.requests()[-1]
    assert PATHS[model] in asked.path


@pytest.mark.parametrize("model", THINKING)
def test_reasoning_over_each_protocol(user: Client, mock: AiMock, model: str) -> None:
    mock.on("think about", content="Forty-two.", reasoning="What is six times seven? It is 42.")
    task = user.chat(say("think about it"), model=model, reasoning_effort="medium")
    assert task["status"] == "completed", task["error"]
    assert task["message"]["content"] == "Forty-two."
    assert task["message"]["reasoning"].strip() == "What is six times seven? It is 42."
    record = checked(user.events(task["task_id"]))
    assert len(record.closings) == 1


@pytest.mark.parametrize("model", SDK)
def test_tool_calls_over_each_protocol(user: Client, mock: AiMock, model: str) -> None:
    call = {"name": "weather", "arguments": {"town": "Paris"}, "id": "call_x1"}
    mock.on(match={"userMessage": "in Paris", "hasToolResult": False}, toolCalls=[call])
    mock.on(match={"userMessage": "in Paris", "hasToolResult": True}, content="It is warm.")
    # aimock does not see the names under which LiteLLM sends Gemini's tool results
    mock.on(match={"model": "gemini-2.5-flash", "turnIndex": 1}, content="It is warm.")
    question = say("How is it in Paris?")
    task = user.chat(question, model=model, tools=[WEATHER])
    assert (task["status"], task["finish_reason"]) == ("completed", "tool_calls"), task["error"]
    (made,) = task["message"]["tool_calls"]
    assert made["function"]["name"] == "weather"
    assert json.loads(made["function"]["arguments"]) == {"town": "Paris"}
    assert made["id"]
    checked(user.events(task["task_id"]))
    result = {"role": "tool", "tool_call_id": made["id"], "content": '{"celsius": 25}'}
    after = user.chat([*question, task["message"], result], model=model, tools=[WEATHER])
    assert after["message"]["content"] == "It is warm.", after["error"]


@pytest.mark.parametrize("model", ["mock-chat", "mock-responses", "mock-anthropic", "mock-gemini"])
def test_usage_over_each_protocol(user: Client, mock: AiMock, model: str) -> None:
    usage = {"prompt_tokens": 321, "completion_tokens": 45, "total_tokens": 366}
    mock.on("count this", content="Counted.", usage={**usage, "input_tokens": 321, "output_tokens": 45})
    task = user.chat(say("count this"), model=model)
    assert task["usage"]["estimated"] is False
    assert task["usage"]["completion_tokens"] == 45
    assert task["usage"]["prompt_tokens"] == 321


@pytest.mark.parametrize(
    ("chaos", "codes"),
    [
        ({"dropRate": 1}, {"provider_unavailable"}),
        ({"rateLimitRate": 1}, {"provider_rate_limited"}),
        ({"malformedRate": 1}, {"provider_unavailable", "stream_interrupted"}),
        ({"disconnectRate": 1}, {"provider_unavailable", "stream_interrupted"}),
    ],
)
@pytest.mark.parametrize("model", SDK)
def test_chaos(user: Client, mock: AiMock, model: str, chaos: dict[str, float], codes: set[str]) -> None:
    mock.on("be chaotic", content="Never seen.", fixture={"chaos": chaos})
    mock.on("be good", content="Well behaved.")
    task = user.chat(say("be chaotic"), model=model)
    assert task["status"] == "failed"
    check_error(task["error"])
    assert task["error"]["code"] in codes, task["error"]
    assert task["error"]["retryable"] is True
    checked(user.events(task["task_id"]))
    assert user.chat(say("be good"), model=model)["message"]["content"] == "Well behaved."


@pytest.mark.parametrize("model", ["mock-chat", "mock-responses", "mock-anthropic", "mock-ollama", "mock-gemini"])
def test_a_stream_cut_short_keeps_what_had_arrived(user: Client, mock: AiMock, model: str) -> None:
    whole = "This text is cut short after some of its pieces, and the rest of it is never sent."
    mock.on("cut it", content=whole, fixture={"truncateAfterChunks": 8, "latency": 5})
    mock.on("be good", content="Well behaved.")
    task = user.chat(say("cut it"), model=model)
    assert task["status"] == "failed"
    assert task["error"]["code"] == "stream_interrupted"
    assert task["message"]["content"]
    assert whole.startswith(task["message"]["content"])
    record = checked(user.events(task["task_id"]))
    assert record.end["text"] == task["message"]["content"]
    user.chat(say("be good"), model=model)


def test_ollamas_thinking(user: Client, ask: Ask) -> None:
    """Lines of JSON, as Ollama's /api/chat sends them (github.com/ollama/ollama/blob/main/docs/api.md)."""
    said = [{"thinking": "Hm, "}, {"thinking": "easy."}, {"content": "Four"}, {"content": "."}]
    lines: list[dict[str, Any]] = [{"message": {"role": "assistant", "content": "", **m}, "done": False} for m in said]
    lines.append({"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"})
    lines[-1] |= {"prompt_eval_count": 9, "eval_count": 6}
    steps = [json.dumps({"model": "qwen3", **line}).encode() + b"\n" for line in lines]
    task, played = ask(Reply(steps, headers={"Content-Type": "application/x-ndjson"}), model="local")
    assert (task["message"]["reasoning"], task["message"]["content"]) == ("Hm, easy.", "Four."), task["error"]
    assert task["usage"]["total_tokens"] == 15
    assert played.calls[0].path.endswith("/api/chat")
    checked(user.events(task["task_id"]))


def test_litellm_gives_the_same_as_the_direct_wire(user: Client, script: Scripts) -> None:
    steps = answer("The same both ways.", reasoning="Compare them.")
    played = script(steps)
    direct = user.chat(played.messages())
    other = user.chat(played.messages(), model="through-litellm")
    assert other["status"] == "completed", other["error"]
    assert other["message"] == direct["message"]
    assert other["usage"]["total_tokens"] == direct["usage"]["total_tokens"]
    checked(user.events(other["task_id"]))


def test_cancelling_closes_litellms_connection_too(user: Client, script: Scripts) -> None:
    played = script([text("Some"), Hold()])
    task_id = user.start(played.messages(), model="through-litellm")
    user.events_until(task_id, lambda events: any(event["type"] == "text" for event in events))
    assert user.call("cancel", task_id=task_id)["status"] == "cancelled"
    assert played.calls[0].closed.wait(5)


FAILURES: list[tuple[str, Any, str, bool]] = [
    ("401", refusal(401, "Incorrect API key provided: wire-test-key-0123"), "provider_auth", False),
    ("403", refusal(403, "Your account may not"), "provider_auth", False),
    ("429", refusal(429, "Rate limit reached", Retry_After="1"), "provider_rate_limited", True),
    ("500", refusal(500, "Internal error"), "provider_unavailable", True),
    ("503", refusal(503, "Overloaded"), "provider_unavailable", True),
    ("529", refusal(529, "Overloaded"), "provider_unavailable", True),
    (
        "context",
        refusal(400, "This model's maximum context length is 8192 tokens", code="context_length_exceeded"),
        "context_length_exceeded",
        False,
    ),
    (
        "filter",
        refusal(400, "The response was filtered due to the content management policy", code="content_filter"),
        "content_filtered",
        False,
    ),
    ("400", refusal(400, "Unsupported parameter", type="invalid_request_error"), "invalid_request", False),
    ("404", refusal(404, "The model does not exist", code="model_not_found"), "provider_unavailable", False),
]


@pytest.mark.parametrize("model", ["shaky", "through-litellm"])
@pytest.mark.parametrize(
    ("reply", "code", "retryable"), [case[1:] for case in FAILURES], ids=[case[0] for case in FAILURES]
)
def test_each_refusal_has_its_code(ask: Ask, user: Client, model: str, reply: Any, code: str, retryable: bool) -> None:
    task, played = ask(reply, model=model)
    ask(answer(), model=model)
    assert task["status"] == "failed"
    check_error(task["error"])
    assert (task["error"]["code"], task["error"]["retryable"]) == (code, retryable), task["error"]
    assert len(played.calls) == 1
    record = checked(user.events(task["task_id"]))
    assert (record.end["type"], record.end["text"]) == ("error", "")


def test_nobody_listens_at_the_address(user: Client) -> None:
    task = user.chat(say("Anybody there?"), model="unreachable")
    check_error(task["error"])
    assert task["error"]["code"] in ("provider_unavailable", "provider_timeout")
    assert "127.0.0.1:9" not in task["error"]["message"]


def test_a_filter_in_mid_stream(ask: Ask) -> None:
    task, _ = ask([text("I will not s"), finish("content_filter"), DONE])
    if task["status"] == "failed":
        assert task["error"]["code"] == "content_filtered"
    else:
        assert task["finish_reason"] == "content_filter"
    assert task["message"]["content"] == "I will not s"


def test_an_error_in_mid_stream(user: Client, ask: Ask) -> None:
    broken = sse({"error": {"message": "The server had an error", "type": "server_error"}})
    task, _ = ask([text("So far "), text("so good"), broken], model="shaky")
    ask(answer(), model="shaky")
    check_error(task["error"])
    assert task["error"]["code"] in ("stream_interrupted", "provider_unavailable")
    assert task["message"]["content"] == "So far so good"
    checked(user.events(task["task_id"]))


@pytest.mark.parametrize("first", [refusal(500, "Oops"), refusal(429, "Slowly", Retry_After="1"), Reply([Cut()])])
def test_a_failure_before_the_first_delta_is_tried_again(user: Client, ask: Ask, first: Reply) -> None:
    task, played = ask(first, answer("At the second try."), model="retrying")
    assert task["message"]["content"] == "At the second try.", task["error"]
    assert len(played.calls) == 2
    record = checked(user.events(task["task_id"]))
    assert "retrying" in record.states
    retry = next(event for event in record.of("status") if event["state"] == "retrying")
    assert retry["attempt"] == 2
    assert retry["detail"]


def test_what_cannot_succeed_is_not_tried_again(ask: Ask) -> None:
    task, played = ask(refusal(401, "No"), answer("Never."), model="retrying")
    assert task["error"]["code"] == "provider_auth"
    assert len(played.calls) == 1


def test_after_the_first_delta_nothing_is_tried_again(user: Client, ask: Ask) -> None:
    task, played = ask([text("Half"), Cut()], answer("Never."), model="retrying")
    assert (task["status"], task["message"]["content"]) == ("failed", "Half")
    assert len(played.calls) == 1
    checked(user.events(task["task_id"]))
    ask(answer(), model="retrying")


def test_a_fallback_answers_in_its_place(user: Client, ask: Ask) -> None:
    task, played = ask(refusal(503, "Down"), answer("From the other one."), model="falling")
    assert task["message"]["content"] == "From the other one.", task["error"]
    record = checked(user.events(task["task_id"]))
    (fallback,) = [event for event in record.of("status") if event["state"] == "fallback"]
    assert fallback["model"] == "plain"
    assert record.end["model"] == task["model"] == "plain"
    assert len(played.calls) == 2


def test_a_slow_provider_is_waited_for(ask: Ask) -> None:
    """Within its time limits, each pause by itself."""
    task, _ = ask([Pause(0.6), thought("Slow"), Pause(0.6), *answer("but sure.")], model="impatient")
    assert task["message"]["content"] == "but sure."


def test_a_page_of_html_for_an_error(ask: Ask) -> None:
    task, _ = ask(page(status=502), model="shaky")
    ask(answer(), model="shaky")
    assert task["error"]["code"] == "provider_unavailable"
    assert "<html" not in task["error"]["message"]
