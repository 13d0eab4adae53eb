"""The accents of providers that speak chat completions, and the finer points of the other wires."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ai_assistant.core.errors import ChatError
from ai_assistant.core.model import ModelConfig
from ai_assistant.gateway.chunks import Chunk, Finish, ThinkingBlock
from ai_assistant.gateway.completion import AnswerCollector, Completion
from ai_assistant.gateway.routing import WIRES


def feed(wire: str, *events: Any, model: str = "openai_like/m", end: bool = True) -> tuple[Completion, list[Chunk]]:
    """The answer that these events make."""
    config = ModelConfig(name="m", model=model)
    parser = WIRES[wire].parser(config)
    chunks: list[Chunk] = []
    for event in events:
        text = event if isinstance(event, str) else json.dumps(event)
        chunks += parser.feed(f"data: {text}\n\n".encode() if wire != "ollama" else f"{text}\n".encode())
    if end and not parser.writer.finished:
        chunks += parser.close()
    if parser.failure:
        raise parser.failure
    collector = AnswerCollector()
    collector.add(chunks)
    return collector.completion(model="m", provider="p"), chunks


def delta(**fields: Any) -> dict[str, Any]:
    """One chunk of the chat form."""
    return {"choices": [{"index": 0, "delta": fields}]}


def end(reason: str = "stop", **fields: Any) -> dict[str, Any]:
    """The chunk that names the reason of the end."""
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": reason}]}


def calls_of(*pieces: dict[str, Any]) -> list[tuple[str, str]]:
    """Names and arguments of the tool calls in these pieces."""
    answer, _ = feed("openai-chat", *(delta(tool_calls=[piece]) for piece in pieces), end("tool_calls"))
    assert all(call["id"] for call in answer.tool_calls)
    assert len({call["id"] for call in answer.tool_calls}) == len(answer.tool_calls)
    return [(call["function"]["name"], call["function"]["arguments"]) for call in answer.tool_calls]


def piece(name: str | None = None, arguments: Any = None, **more: Any) -> dict[str, Any]:
    """A piece of a tool call."""
    return {"function": {"name": name, "arguments": arguments}, **more}


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([piece("f", "", index=0, id="a"), piece(None, "{}", index=0)], [("f", "{}")]),
        ([piece("f", '{"a"', index=0, id="a"), piece("f", ":1}", index=0, id="a")], [("f", '{"a":1}')]),
        ([piece("f", "{}", index=0, id="a"), piece("g", "[]", index=1, id="b")], [("f", "{}"), ("g", "[]")]),
        # every call has index 0, and an id of its own (Gemini's compatible endpoint)
        ([piece("f", "{}", index=0, id="a"), piece("g", "[]", index=0, id="b")], [("f", "{}"), ("g", "[]")]),
        # no index
        ([piece("f", "", id="a"), piece(None, "{}", id="a"), piece("g", "1", id="b")], [("f", "{}"), ("g", "1")]),
        ([piece("f", "{", id="a"), piece(None, "}"), piece("g", "1", id="b")], [("f", "{}"), ("g", "1")]),
        # neither index nor id: whole calls
        ([piece("f", "{}"), piece("f", "[]")], [("f", "{}"), ("f", "[]")]),
        # the name comes late
        ([piece(None, "{", index=0, id="a"), piece("f", "}", index=0)], [("f", "{}")]),
        # arguments as an object
        ([piece("f", {"a": 1}, index=0, id="a")], [("f", '{"a":1}')]),
        # indexes out of order, interleaved
        (
            [
                piece("f", "", index=1, id="b"),
                piece("g", "", index=0, id="a"),
                piece(None, "1", index=1),
                piece(None, "0", index=0),
            ],
            [("f", "1"), ("g", "0")],
        ),
        ([piece("f", None, index=0, id="")], [("f", "")]),
    ],
)
def test_tool_calls_in_pieces(pieces: list[dict[str, Any]], expected: list[tuple[str, str]]):
    assert calls_of(*pieces) == expected


def test_legacy_function_call():
    answer, _ = feed(
        "openai-chat",
        delta(function_call={"name": "f", "arguments": '{"a"'}),
        delta(function_call={"arguments": ":1}"}),
        end("function_call"),
    )
    assert answer.finish_reason == "tool_calls"
    assert answer.tool_calls[0]["function"] == {"name": "f", "arguments": '{"a":1}'}


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("stop", "stop"),
        ("eos", "stop"),
        ("length", "length"),
        ("content_filter", "content_filter"),
        ("tool_calls", "stop"),
    ],
)
def test_finish_reasons(reason: str, expected: str):
    assert feed("openai-chat", delta(content="x"), end(reason))[0].finish_reason == expected


def test_refusal_is_shown_and_told():
    answer, _ = feed("openai-chat", delta(refusal="I will "), delta(refusal="not."), end())
    assert (answer.text, answer.finish_reason) == ("I will not.", "content_filter")


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_fields(field: str):
    answer, _ = feed("openai-chat", delta(**{field: "hm "}), delta(**{field: "so", "content": ""}), end())
    assert answer.reasoning == "hm so"


def test_reasoning_details_are_joined_and_kept():
    text = {"type": "reasoning.text", "index": 0, "format": "anthropic-claude-v1"}
    answer, _ = feed(
        "openai-chat",
        delta(reasoning="One ", reasoning_details=[{**text, "text": "One "}]),
        delta(reasoning="two", reasoning_details=[{**text, "text": "two"}]),
        delta(reasoning_details=[{**text, "signature": "sig"}]),
        delta(reasoning_details=[{"type": "reasoning.encrypted", "index": 1, "data": "xyz"}]),
        end(),
    )
    assert answer.reasoning == "One two"
    assert answer.thinking_blocks == [
        {**text, "text": "One two", "signature": "sig"},
        {"type": "reasoning.encrypted", "index": 1, "data": "xyz"},
    ]


def test_reasoning_details_alone_are_shown():
    answer, _ = feed("openai-chat", delta(reasoning_details=[{"type": "reasoning.summary", "summary": "Sum"}]), end())
    assert answer.reasoning == "Sum"


def test_mistral_parts():
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    answer, _ = feed("openai-chat", delta(content=[thinking]), delta(content=[{"type": "text", "text": "ok"}]), end())
    assert (answer.reasoning, answer.text) == ("hm", "ok")


def test_reasoning_is_kept_for_providers_that_want_it_back():
    events = [delta(reasoning_content="why"), delta(tool_calls=[piece("f", "{}", index=0, id="a")]), end("tool_calls")]
    assert feed("openai-chat", *events, model="deepseek/m")[0].thinking_blocks == [
        {"type": "reasoning_content", "text": "why"}
    ]
    assert feed("openai-chat", *events)[0].thinking_blocks == []


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (
            {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15,
             "prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 3}},
            (10, 5, 3, 4, 15, None),
        ),
        ({"prompt_tokens": 10, "completion_tokens": 5, "prompt_cache_hit_tokens": 6}, (10, 5, 0, 6, 15, None)),
        # xAI: reasoning beside the completion
        ({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 22,
          "completion_tokens_details": {"reasoning_tokens": 7}}, (10, 12, 7, 0, 22, None)),
        ({"prompt_tokens": 1, "completion_tokens": 1, "cost": 0.5}, (1, 1, 0, 0, 2, 0.5)),
    ],
)  # fmt: skip
def test_usage_of_the_chat_form(usage: dict[str, Any], expected: tuple[Any, ...]):
    got = feed("openai-chat", delta(content="x"), end(), {"choices": [], "usage": usage}, "[DONE]")[0].usage
    assert (
        got.prompt_tokens, got.completion_tokens, got.reasoning_tokens, got.cached_tokens, got.total_tokens, got.cost
    ) == expected  # fmt: skip


def test_groq_usage():
    got = feed("openai-chat", end() | {"x_groq": {"usage": {"prompt_tokens": 2, "completion_tokens": 3}}})[0].usage
    assert got.total_tokens == 5


def test_end_without_done_mark_is_whole_once_a_reason_came():
    assert feed("openai-chat", delta(content="x"), end())[0].text == "x"


def test_done_mark_without_a_reason_is_whole():
    assert feed("openai-chat", delta(content="x"), "[DONE]", end=False)[0].finish_reason == "stop"


def test_further_choices_are_passed_over():
    second = {"choices": [{"index": 1, "delta": {"content": "no"}}]}
    assert feed("openai-chat", delta(content="x"), second, end())[0].text == "x"


def test_what_came_before_an_error_is_handed_out():
    parser = WIRES["openai-chat"].parser(ModelConfig(name="m", model="openai/m"))
    data = [delta(content="Hel"), delta(content="lo"), {"error": {"message": "boom", "type": "server_error"}}]
    chunks = parser.feed(b"".join(b"data: %s\n\n" % json.dumps(item).encode() for item in data))
    assert "".join(chunk.text for chunk in chunks) == "Hello"  # type: ignore[union-attr]
    assert parser.failure is not None
    assert parser.failure.code == "provider_unavailable"


def test_halves_of_an_emoji():
    # as JavaScript servers cut it; json.dumps writes the same escapes
    answer, _ = feed("openai-chat", delta(content="a\ud83c"), delta(content="\udf89b"), end())
    assert answer.text == "a🎉b"


# Anthropic


def block(index: int, **fields: Any) -> dict[str, Any]:
    """The start of a content block."""
    return {"type": "content_block_start", "index": index, "content_block": fields}


def stop(index: int) -> dict[str, Any]:
    """The end of a content block."""
    return {"type": "content_block_stop", "index": index}


def last(reason: str = "end_turn", **usage: int) -> list[dict[str, Any]]:
    """The end of a message."""
    return [
        {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": usage},
        {"type": "message_stop"},
    ]


def test_anthropic_redacted_thinking_and_signature():
    answer, _ = feed(
        "anthropic",
        block(0, type="thinking", thinking="", signature=""),
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "sig"}},
        stop(0),
        block(1, type="redacted_thinking", data="secret"),
        stop(1),
        block(2, type="text", text="Hi"),
        stop(2),
        *last(),
    )
    assert (answer.reasoning, answer.text) == ("hm", "Hi")
    assert answer.thinking_blocks == [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "redacted_thinking", "data": "secret"},
    ]


def test_anthropic_call_without_arguments():
    answer, _ = feed("anthropic", block(0, type="tool_use", id="t", name="now", input={}), stop(0), *last("tool_use"))
    assert answer.tool_calls[0]["function"] == {"name": "now", "arguments": "{}"}


def test_anthropic_cache_tokens():
    start = {"input_tokens": 10, "cache_read_input_tokens": 30, "cache_creation_input_tokens": 5, "output_tokens": 1}
    answer, chunks = feed(
        "anthropic",
        {"type": "message_start", "message": {"model": "claude-x", "usage": start}},
        block(0, type="text", text="Hi"),
        stop(0),
        *last(output_tokens=7),
    )
    usage = answer.usage
    assert (usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens) == (45, 30, 7)
    finish = chunks[-1]
    assert isinstance(finish, Finish)
    assert (finish.cache_write_tokens, finish.model) == (5, "claude-x")


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("overloaded_error", "provider_unavailable"),
        ("rate_limit_error", "provider_rate_limited"),
        ("authentication_error", "provider_auth"),
        ("invalid_request_error", "invalid_request"),
        ("api_error", "provider_unavailable"),
        ("something_new", "stream_interrupted"),
    ],
)
def test_anthropic_error_events(kind: str, code: str):
    with pytest.raises(ChatError) as caught:
        feed("anthropic", {"type": "error", "error": {"type": kind, "message": "Sorry"}})
    assert caught.value.code == code


def test_anthropic_unknown_events_are_passed_over():
    answer, _ = feed("anthropic", {"type": "new_thing", "x": 1}, block(0, type="text", text="Hi"), stop(0), *last())
    assert answer.text == "Hi"


@pytest.mark.parametrize(
    ("reason", "expected"),
    [("end_turn", "stop"), ("max_tokens", "length"), ("refusal", "content_filter"), ("stop_sequence", "stop")],
)
def test_anthropic_stop_reasons(reason: str, expected: str):
    assert feed("anthropic", block(0, type="text", text="x"), stop(0), *last(reason))[0].finish_reason == expected


# OpenAI Responses


def done(status: str = "completed", **fields: Any) -> dict[str, Any]:
    """The last event of a response."""
    return {"type": f"response.{status}", "response": {"status": status, "model": "gpt-x", **fields}}


def test_responses_summaries_in_parts():
    def summary(part: int, text: str) -> dict[str, Any]:
        return {
            "type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": part, "delta": text
        }  # fmt: skip

    item = {
        "type": "reasoning",
        "id": "rs",
        "summary": [{"text": "One"}],
        "encrypted_content": "e",
    }
    answer, chunks = feed(
        "openai-responses",
        summary(0, "One"),
        summary(1, "Two"),
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.output_text.delta", "output_index": 1, "delta": "Hi"},
        done(),
    )
    assert (answer.reasoning, answer.text) == ("One\n\nTwo", "Hi")
    assert answer.thinking_blocks == [
        {"type": "reasoning", "id": "rs", "summary": item["summary"], "encrypted_content": "e"}
    ]
    assert sum(isinstance(chunk, ThinkingBlock) for chunk in chunks) == 1


def test_responses_call_without_deltas():
    item = {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a":1}'}
    answer, _ = feed(
        "openai-responses",
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "arguments": ""}},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        done(),
    )
    assert answer.tool_calls == [{"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}]


@pytest.mark.parametrize(("why", "expected"), [("max_output_tokens", "length"), ("content_filter", "content_filter")])
def test_responses_incomplete(why: str, expected: str):
    answer, _ = feed(
        "openai-responses",
        {"type": "response.output_text.delta", "delta": "Hi"},
        done("incomplete", incomplete_details={"reason": why}),
    )
    assert answer.finish_reason == expected


@pytest.mark.parametrize(
    "event",
    [
        done("failed", error={"code": "server_error", "message": "boom"}),
        {"type": "error", "code": "server_error", "message": "boom"},
    ],
)
def test_responses_failed(event: dict[str, Any]):
    with pytest.raises(ChatError) as caught:
        feed("openai-responses", event)
    assert caught.value.code == "provider_unavailable"


# Ollama


def test_ollama_error_line():
    with pytest.raises(ChatError) as caught:
        feed("ollama", {"message": {"content": "Hi"}}, {"error": "llama runner process has terminated"})
    assert caught.value.code == "stream_interrupted"


def test_ollama_length():
    answer, _ = feed("ollama", {"message": {"content": "Hi"}, "done": True, "done_reason": "length", "eval_count": 2})
    assert answer.finish_reason == "length"
