"""Properties of the parsers: however the network cuts the bytes, the answer is the same; whatever comes, they end in
a `Finish` or a `ChatError`."""

from __future__ import annotations

import contextlib
import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_assistant.core.errors import ChatError
from ai_assistant.core.model import ModelConfig
from ai_assistant.gateway.chunks import Finish
from ai_assistant.gateway.completion import AnswerCollector
from ai_assistant.gateway.lines import LineTooLongError
from ai_assistant.gateway.routing import WIRES
from ai_assistant.gateway.sse import SseParser

MODEL = ModelConfig(name="m", model="deepseek/m")
TEXTS = st.lists(st.text(min_size=1, max_size=12).filter(lambda t: t.strip() and "<" not in t), max_size=6)


def sse(*events: dict[str, Any] | str, end: str = "\n") -> bytes:
    """Events in their bytes, with a comment between them; `end` is the line end."""
    out = ""
    for event in events:
        name = f"event: {event['type']}{end}" if isinstance(event, dict) and "type" in event else ""
        data = event if isinstance(event, str) else json.dumps(event, ensure_ascii=False)
        out += f"{name}data: {data}{end}: ping{end}{end}"
    return out.encode()


def openai_chat(thoughts: list[str], texts: list[str], end: str) -> bytes:
    """A stream of the chat form with a tool call in pieces."""

    def delta(**fields: Any) -> dict[str, Any]:
        return {"choices": [{"index": 0, "delta": fields}]}

    call = {"index": 0, "id": "c1", "function": {"name": "f", "arguments": ""}}
    more = {"index": 0, "function": {"arguments": '{"a": "ü"}'}}
    return sse(
        delta(role="assistant"),
        *(delta(reasoning_content=thought) for thought in thoughts),
        *(delta(content=text) for text in texts),
        delta(tool_calls=[call]),
        delta(tool_calls=[more]),
        {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]},
        {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}},
        "[DONE]",
        end=end,
    )


def openai_responses(thoughts: list[str], texts: list[str], end: str) -> bytes:
    """The same over Responses."""
    item = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": ""}
    return sse(
        {"type": "response.created", "response": {"status": "in_progress"}},
        *(
            {"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 0, "delta": t}
            for t in thoughts
        ),
        *({"type": "response.output_text.delta", "output_index": 1, "delta": t} for t in texts),
        {"type": "response.output_item.added", "output_index": 2, "item": item},
        {"type": "response.function_call_arguments.delta", "output_index": 2, "delta": '{"a": "ü"}'},
        {"type": "response.output_item.done", "output_index": 2, "item": {**item, "arguments": '{"a": "ü"}'}},
        {
            "type": "response.completed",
            "response": {"status": "completed", "usage": {"input_tokens": 1, "output_tokens": 2}},
        },
        end=end,
    )


def anthropic(thoughts: list[str], texts: list[str], end: str) -> bytes:
    """The same over Messages."""

    def delta(index: int, kind: str, **fields: str) -> dict[str, Any]:
        return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **fields}}

    def start(index: int, **block: Any) -> dict[str, Any]:
        return {"type": "content_block_start", "index": index, "content_block": block}

    return sse(
        {"type": "message_start", "message": {"model": "m", "usage": {"input_tokens": 1}}},
        start(0, type="thinking", thinking=""),
        {"type": "ping"},
        *(delta(0, "thinking_delta", thinking=thought) for thought in thoughts),
        delta(0, "signature_delta", signature="sig"),
        {"type": "content_block_stop", "index": 0},
        start(1, type="text", text=""),
        *(delta(1, "text_delta", text=text) for text in texts),
        {"type": "content_block_stop", "index": 1},
        start(2, type="tool_use", id="c1", name="f", input={}),
        delta(2, "input_json_delta", partial_json='{"a": '),
        delta(2, "input_json_delta", partial_json='"ü"}'),
        {"type": "content_block_stop", "index": 2},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 2}},
        {"type": "message_stop"},
        end=end,
    )


def ollama(thoughts: list[str], texts: list[str], end: str) -> bytes:
    """The same over Ollama."""
    lines: list[dict[str, Any]] = [{"message": {"content": "", "thinking": thought}} for thought in thoughts]
    lines += [{"message": {"content": text}} for text in texts]
    lines += [{"message": {"content": "", "tool_calls": [{"function": {"name": "f", "arguments": {"a": "ü"}}}]}}]
    lines += [{"message": {"content": ""}, "done": True, "prompt_eval_count": 1, "eval_count": 2}]
    return b"".join(json.dumps(line, ensure_ascii=False).encode() + end.encode() for line in lines)


STREAMS = {
    "openai-chat": openai_chat,
    "openai-responses": openai_responses,
    "anthropic": anthropic,
    "ollama": ollama,
}


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """The bytes cut at these places, taken modulo their length."""
    marks = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[a:b] for a, b in itertools.pairwise(marks)]


def read(wire: str, pieces: list[bytes]) -> Any:
    """Feed pieces to a fresh parser and return the whole answer. Raises the parser's failure."""
    parser = WIRES[wire].parser(MODEL)
    collector = AnswerCollector()
    finishes = 0
    for piece in [*pieces, None]:
        if parser.writer.finished:
            break
        chunks = parser.close() if piece is None else parser.feed(piece)
        finishes += sum(isinstance(chunk, Finish) for chunk in chunks)
        collector.add(chunks)
        if parser.failure is not None:
            raise parser.failure
    assert finishes == 1
    return collector.completion(model="m", provider="p")


@pytest.mark.parametrize("wire", sorted(STREAMS))
@given(
    thoughts=TEXTS,
    texts=TEXTS,
    places=st.lists(st.integers(0, 10_000), max_size=40),
    end=st.sampled_from(["\n", "\r\n"]),
)
@settings(max_examples=60, deadline=None)
def test_cutting_changes_nothing(wire: str, thoughts: list[str], texts: list[str], places: list[int], end: str):
    got = read(wire, cut(STREAMS[wire](thoughts, texts, end), places))
    assert got.text == "".join(texts)
    assert got.reasoning == "".join(thoughts)
    assert got.finish_reason == "tool_calls"
    assert [call["function"]["name"] for call in got.tool_calls] == ["f"]
    assert json.loads(got.tool_calls[0]["function"]["arguments"]) == {"a": "ü"}
    assert got.usage.total_tokens == 3


@pytest.mark.parametrize("wire", sorted(STREAMS))
@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_byte_by_byte(wire: str, size: int):
    data = STREAMS[wire](["Ich überlege 思考 🎉"], ["Größe ", "世界"], "\r\n")
    got = read(wire, [data[n : n + size] for n in range(0, len(data), size)])
    assert (got.reasoning, got.text) == ("Ich überlege 思考 🎉", "Größe 世界")


@pytest.mark.parametrize("wire", sorted(STREAMS))
@given(share=st.floats(0.0, 0.97))
@settings(max_examples=40, deadline=None)
def test_a_cut_stream_is_never_taken_for_a_whole_one(wire: str, share: float):
    data = STREAMS[wire](["thought"], ["a longer text than the rest " * 20], "\n")
    last = {"ollama": b'"done"', "openai-responses": b"completed"}.get(wire, b"tool")
    whole = data[: data.rindex(last)]
    with pytest.raises(ChatError) as caught:
        read(wire, [whole[: int(len(whole) * share)]])
    assert caught.value.code == "stream_interrupted"


_FIELDS = [
    "choices",
    "delta",
    "message",
    "content",
    "index",
    "error",
    "usage",
    "type",
    "item",
    "response",
    "text",
    "thinking",
    "tool_calls",
    "function",
    "name",
    "arguments",
    "id",
    "done",
    "summary",
    "output",
    "content_block",
    "reasoning_details",
    "finish_reason",
    "model",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(_FIELDS),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


@pytest.mark.parametrize("wire", sorted(STREAMS))
@given(values=st.lists(JSON, max_size=4))
@settings(max_examples=150, deadline=None)
def test_any_json_ends_in_an_answer_or_a_chat_error(wire: str, values: list[Any]):
    end = b"\n" if wire == "ollama" else b"\n\n"
    start = b"" if wire == "ollama" else b"data: "
    pieces = [start + json.dumps(value).encode() + end for value in values]
    with contextlib.suppress(ChatError):
        read(wire, pieces)
    for value in values:
        with contextlib.suppress(ChatError):
            WIRES[wire].parser(MODEL).parse_body(json.dumps(value).encode())


@pytest.mark.parametrize("wire", sorted(STREAMS))
@given(pieces=st.lists(st.binary(max_size=60), max_size=6))
@settings(max_examples=100, deadline=None)
def test_any_bytes_end_in_an_answer_or_a_chat_error(wire: str, pieces: list[bytes]):
    with pytest.raises(ChatError):
        read(wire, pieces)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@given(places=st.lists(st.integers(0, 500), max_size=20))
@settings(max_examples=60, deadline=None)
def test_sse_fields(end: str, places: list[int]):
    lines = ["\ufeff: hi", "event: a", "data: one", "data:two", "data", "id: 7", "", "data: ü", "retry: 5", ""]
    data = end.join([*lines, "data: no last line"]).encode()
    parser = SseParser()
    events = [event for piece in cut(data, places) for event in parser.feed(piece)] + parser.close()
    assert [(event.name, event.data.decode()) for event in events] == [
        ("a", "one\ntwo\n"),
        ("", "ü"),
        ("", "no last line"),
    ]


def test_sse_bounds():
    with pytest.raises(LineTooLongError):
        SseParser(max_bytes=100).feed(b"data: " + b"x" * 200)
    parser = SseParser(max_bytes=100)
    parser.feed(b"data: " + b"x" * 50 + b"\n")
    with pytest.raises(LineTooLongError):
        parser.feed(b"data: " + b"x" * 60 + b"\n")
