"""Every endpoint under generated input: no 500, no hang, no stack trace. The embedded host describes its endpoints."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from .client import Client
from .conftest import Host
from .script import Script
from .traces import Program

EXAMPLES = 12
#: An answer that takes longer than this hangs; the default model answers at once.
PATIENCE = 20.0
QUIET = settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)
METHODS = [
    "chat_completion",
    "cancel",
    "get_task",
    "get_events",
    "get_models",
    "get_conversations",
    "get_conversation",
    "rename_conversation",
    "delete_conversation",
    "status",
    "metrics",
    "get_traces",
    "get_trace",
    "get_trace_payload",
    "export_trace",
    "delete_trace",
    "acknowledge",
    "ingest_traces",
    "otlp_traces",
    "get_dead_letters",
    "retry_dead_letters",
]
ARGUMENTS = [
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
    "task_id",
    "wait",
    "timeout",
    "after_seq",
    "limit",
    "before",
    "search",
    "title",
    "user",
    "status",
    "since",
    "until",
    "session",
    "tag",
    "min_cost",
    "max_cost",
    "min_duration_ms",
    "max_duration_ms",
    "reference_doctype",
    "reference_name",
    "environment",
    "service",
    "source",
    "complete",
    "cursor",
    "trace",
    "span",
    "field",
    "format",
    "seq",
    "producer",
    "entries",
    "beat",
    "ids",
]


def check_answer(response: httpx.Response | Any, host: Host) -> None:
    """A plain answer, whatever was asked. What Frappe answers before the app is reached may be a 500 and, where System
    Settings allow it, show a traceback; the app must not be in it."""
    body = json.loads(response.content) if "json" in response.headers.get("content-type", "") else {}
    if not host.is_embedded and isinstance(body, dict) and "exc" in body:
        assert "ai_assistant/" not in body["exc"], body["exc"][-1500:]
        return
    assert response.status_code < 500, f"{response.status_code} {response.text[:500]}"
    assert "Traceback" not in response.text
    assert 'File "/' not in response.text


@pytest.fixture(scope="module")
def api_schema(host: Host) -> Any:
    if host.is_embedded:
        return schemathesis.openapi.from_url(f"{host.url}/openapi.json")
    # a site does not describe its endpoints; they are the same ones
    from ai_assistant import api  # noqa: F401 - registers them
    from ai_assistant.host.openapi import describe

    return schemathesis.openapi.from_dict(describe() | {"servers": [{"url": host.url}]})


@pytest.mark.parametrize("mode", GenerationMode)
@pytest.mark.parametrize("method", METHODS)
def test_what_the_description_allows(
    host: Host, api_schema: Any, user: Client, method: str, mode: GenerationMode
) -> None:
    """Requests that fit the description, and ones that do not."""
    name = f"/api/method/ai_assistant.api.{method}"
    path, verbs = api_schema[name], api_schema.raw_schema["paths"][name].keys() & {"get", "post"}
    assert verbs, "the description has this endpoint"
    for verb in sorted(verbs):

        @QUIET
        @given(path[verb.upper()].as_strategy(generation_mode=mode))
        def run(case: schemathesis.Case) -> None:
            response = case.call(base_url=user.base_url, cookies={"sid": user.sid}, timeout=PATIENCE)
            check_answer(_plain(response), host)
            if host.is_embedded or not _is_frappes_own(response):
                _check_described(response, case)

        try:
            run()
        except Unsatisfiable:
            assert mode is GenerationMode.NEGATIVE, "an endpoint without arguments has no wrong ones"


def _is_frappes_own(response: Any) -> bool:
    return '"exc"' in response.text


def _plain(response: Any) -> Any:
    return httpx.Response(response.status_code, headers=_flat(response.headers), content=response.content)


def _flat(headers: Any) -> dict[str, str]:
    dropped = ("content-encoding", "transfer-encoding")
    return {name: ", ".join(value) for name, value in headers.items() if name.lower() not in dropped}


def _check_described(response: Any, case: schemathesis.Case) -> None:
    """The status is one that the description names."""
    known = set(case.operation.definition.raw["responses"])
    if response.status_code != 405:  # a verb that schemathesis made up
        assert str(response.status_code) in known, f"{response.status_code} is not described: {sorted(known)}"


TEXTS = st.text(st.characters(codec=None, categories=None), max_size=20) | st.sampled_from(
    [
        "",
        "new",
        "user",
        "\x00",
        "\ud800",
        "[]",
        "{}",
        "null",
        "NaN",
        "1e999",
        "-1",
        "0",
        "true",
        "../../etc/passwd",
        "x" * 5000,
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4), max_leaves=12
)
PARTS = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "image_url", "input_audio", "file", "refusal"]) | TEXTS},
    optional={"text": VALUES, "image_url": VALUES, "file": VALUES},
)
CALLS = st.fixed_dictionaries(
    {"id": TEXTS, "type": st.just("function"), "function": st.fixed_dictionaries({"name": TEXTS, "arguments": VALUES})}
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "developer", "user", "assistant", "tool"]) | TEXTS},
        optional={
            "content": TEXTS | st.lists(PARTS, max_size=3) | VALUES,
            "name": VALUES,
            "tool_calls": st.lists(CALLS, max_size=3) | VALUES,
            "tool_call_id": TEXTS | VALUES,
            "thinking_blocks": VALUES,
            "reasoning": VALUES,
        },
    ),
    max_size=4,
)
BODIES = st.dictionaries(st.sampled_from(ARGUMENTS) | TEXTS, VALUES, max_size=5)
CHATS = st.builds(lambda body, messages: {**body, "messages": messages}, BODIES, MESSAGES)


@pytest.mark.parametrize("method", METHODS)
def test_any_json(user: Client, host: Host, method: str) -> None:
    @settings(QUIET, max_examples=EXAMPLES * 2)
    @given(CHATS if method == "chat_completion" else BODIES)
    def run(body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        check_answer(user.request(method, content=content, headers=headers, timeout=PATIENCE), host)

    run()


@pytest.mark.parametrize("method", METHODS)
def test_any_query_and_form(user: Client, host: Host, method: str) -> None:
    texts = st.text(st.characters(codec="utf-8"), max_size=30)

    @QUIET
    @given(st.dictionaries(st.sampled_from(ARGUMENTS), texts, max_size=4))
    def run(fields: dict[str, str]) -> None:
        check_answer(user.request(method, "GET", params=fields, timeout=PATIENCE), host)
        check_answer(user.request(method, "POST", data=fields, timeout=PATIENCE), host)

    run()


@pytest.mark.parametrize("method", ["chat_completion", "ingest_traces"])
@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "application/x-www-form-urlencoded",
        "application/x-msgpack",
        "multipart/form-data; boundary=x",
        "text/plain",
    ],
)
def test_any_bytes(user: Client, host: Host, kind: str, method: str) -> None:
    @QUIET
    @given(st.binary(max_size=300))
    def run(content: bytes) -> None:
        response = user.request(method, content=content, headers={"Content-Type": kind}, timeout=PATIENCE)
        check_answer(response, host)

    run()


PACKED = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.binary(max_size=20)
    | st.text(st.characters(codec="utf-8"), max_size=20),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.sampled_from(["b", "n", "z"]), inner, max_size=3),
    max_leaves=12,
)  # fmt: skip
EVENTS = st.lists(
    st.tuples(
        st.integers(0, 5) | PACKED,
        st.sampled_from(["trace", "start", "update", "end", "whole", "drop", "hello", "bye"]) | PACKED,
        st.integers(0, 2**51) | PACKED,
        st.just("0af7651916cd43dd8448eb211c80319c") | PACKED,
        st.integers(0, 3),
        st.integers(0, 5),
        st.just("00f067aa0ba902b7") | PACKED,
        st.dictionaries(
            st.sampled_from(["title", "input", "tags", "cost", "started_at", "ended_at", "status", "user", "ranges"])
            | st.text(st.characters(codec="utf-8"), max_size=8),
            PACKED,
            max_size=4,
        ),
    ),
    max_size=4,
)
ENTRIES = st.lists(
    PACKED
    | st.fixed_dictionaries(
        {"b": EVENTS.map(msgspec.msgpack.encode) | st.binary(max_size=40)}, optional={"n": PACKED, "z": PACKED}
    ),
    max_size=3,
)


def test_any_upload_of_traces(user: Client, host: Host) -> None:
    """Whatever a program sends, it is refused by name, stored, or a dead letter; and traces are stored afterwards."""

    @settings(QUIET, max_examples=60)
    @given(
        st.fixed_dictionaries(
            {"producer": st.just("fuzz") | PACKED}, optional={"entries": ENTRIES | PACKED, "beat": PACKED}
        )
    )
    def run(upload: dict[str, Any]) -> None:
        body = msgspec.msgpack.encode(upload)
        headers = {"Content-Type": "application/x-msgpack"}
        response = user.request("ingest_traces", content=body, headers=headers, timeout=PATIENCE)
        check_answer(response, host)
        assert response.status_code in (200, 417), response.text

    run()
    Program(user).traced()


HOSTILE_LINES = st.lists(
    st.sampled_from(
        [b"data: ", b"event: error\n", b"\n\n", b"data: [DONE]\n\n", b": ping\n", b"\x00", b"\xff", b"retry: x\n"]
    )
    | st.binary(max_size=40)
    | st.builds(lambda value: b"data: " + json.dumps(value).encode() + b"\n\n", VALUES)
    | st.builds(
        lambda delta, more: (
            b"data: " + json.dumps({"choices": [{"delta": delta, "index": 0}], **more}).encode() + b"\n\n"
        ),
        st.dictionaries(st.sampled_from(["content", "reasoning_content", "reasoning", "tool_calls", "role"]), VALUES),
        st.dictionaries(st.sampled_from(["usage", "error", "choices", "model"]), VALUES, max_size=2),
    ),
    max_size=8,
)


def test_any_stream_of_a_provider(user: Client, script: Callable[..., Script]) -> None:
    """Whatever a provider sends, the task ends and its events keep every promise."""
    from .chunks import answer
    from .events import checked

    @settings(QUIET, max_examples=40)
    @given(HOSTILE_LINES)
    def run(steps: list[bytes]) -> None:
        played = script([step for step in steps if step])
        task = user.chat(played.messages(), model="shaky")
        assert task["status"] in ("completed", "failed")
        assert task["status"] == "completed" or task["error"]["code"] != "internal", task["error"]
        checked(user.events(task["task_id"]), task["task_id"])
        user.chat(script(answer()).messages(), model="shaky")

    run()
