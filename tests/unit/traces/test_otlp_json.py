"""OTLP's JSON: what is written is read back, both spellings are read, and errors name the place."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from otlp_values import messages

from ai_assistant.traces import otlp_json
from ai_assistant.traces.otlp_json import JsonError, any_value, read_json, snake, to_json
from ai_assistant.traces.otlp_proto import MAX_DEPTH, TOO_DEEP
from ai_assistant.traces.otlp_schema import METRICS_REQUEST, SPAN, TRACE_REQUEST


def read(value: Any, message: Any = SPAN) -> dict[str, Any]:
    return read_json(message, json.dumps(value).encode())


@given(messages(TRACE_REQUEST))
@settings(max_examples=150)
def test_what_is_written_is_read_back(request: dict[str, Any]) -> None:
    assert read(to_json(TRACE_REQUEST, request), TRACE_REQUEST) == request


@given(messages(METRICS_REQUEST))
@settings(max_examples=50)
def test_metrics_too(request: dict[str, Any]) -> None:
    assert read(to_json(METRICS_REQUEST, request), METRICS_REQUEST) == request


def snaked(value: Any) -> Any:
    """The same with names as protobuf's files have them."""
    if isinstance(value, dict):
        return {snake(key): snaked(each) for key, each in value.items()}
    return [snaked(each) for each in value] if isinstance(value, list) else value


@given(messages(TRACE_REQUEST))
@settings(max_examples=50)
def test_names_with_underscores_are_read(request: dict[str, Any]) -> None:
    assert read(snaked(to_json(TRACE_REQUEST, request)), TRACE_REQUEST) == request


def test_the_specification_s_example_is_read() -> None:
    """https://github.com/open-telemetry/opentelemetry-proto/blob/main/examples/trace.json, in short."""
    span = {
        "traceId": "5B8EFFF798038103D269B633813FC60C",
        "spanId": "EEE19B7EC3C1B174",
        "parentSpanId": "EEE19B7EC3C1B173",
        "name": "I'm a server span",
        "startTimeUnixNano": "1544712660000000000",
        "endTimeUnixNano": "1544712661000000000",
        "kind": 2,
        "attributes": [{"key": "my.span.attr", "value": {"stringValue": "some value"}}],
    }
    found = read(span)
    assert found["traceId"] == "5b8efff798038103d269b633813fc60c"
    assert found["startTimeUnixNano"] == 1544712660000000000
    assert found["attributes"] == {"my.span.attr": "some value"}


def test_enumerations_may_be_names_and_integers_may_be_numbers() -> None:
    found = read(
        {"kind": "SPAN_KIND_CLIENT", "status": {"code": "STATUS_CODE_ERROR"}, "startTimeUnixNano": 5, "flags": 1.0}
    )
    assert found == {"kind": 3, "status": {"code": 2}, "startTimeUnixNano": 5, "flags": 1}


def test_integers_are_written_as_text() -> None:
    assert to_json(SPAN, {"startTimeUnixNano": 5, "kind": 3, "flags": 1}) == {
        "startTimeUnixNano": "5",
        "kind": 3,
        "flags": 1,
    }
    assert any_value(2**40) == {"intValue": str(2**40)}
    assert any_value(2**70) == {"stringValue": str(2**70)}


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_has_not_are_text(number: float) -> None:
    written = any_value(number)
    assert written["doubleValue"] in ("NaN", "Infinity", "-Infinity")
    assert repr(read({"attributes": [{"key": "a", "value": written}]})["attributes"]["a"]) == repr(number)


def test_unknown_members_are_ignored() -> None:
    assert read({"name": "x", "newer": {"a": 1}, "attributes": [{"key": "a", "value": {"newValue": 1}}]}) == {
        "name": "x",
        "attributes": {"a": None},
    }


def test_values_nested_too_deeply_are_replaced() -> None:
    value: Any = {"intValue": "1"}
    for _ in range(60):
        value = {"arrayValue": {"values": [value]}}
    found = read({"attributes": [{"key": "a", "value": value}]})["attributes"]["a"]
    for _ in range(MAX_DEPTH + 1):
        (found,) = found if isinstance(found, list) else (found,)
    assert found == TOO_DEEP


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "the body must be an object"),
        ({"name": 5}, "name must be text"),
        ({"traceId": "xyz"}, "traceId must be hexadecimal text"),
        ({"traceId": "abc"}, "traceId must be hexadecimal text"),
        ({"kind": "CLIENT"}, "kind must be an integer, as a number or as text"),
        ({"startTimeUnixNano": True}, "startTimeUnixNano must be an integer, as a number or as text"),
        ({"startTimeUnixNano": "-1"}, "startTimeUnixNano must be from 0 to 18446744073709551615"),
        ({"startTimeUnixNano": "9" * 5000}, "startTimeUnixNano must be from 0 to 18446744073709551615"),
        ({"events": {}}, "events must be a list"),
        ({"events": [{}, {"name": []}]}, "events[1].name must be text"),
        ({"status": "ok"}, "status must be an object"),
        ({"attributes": {"a": 1}}, "attributes must be a list"),
        ({"attributes": [5]}, "attributes[0] must be an object with a key and a value"),
        (
            {"attributes": [{"key": "a", "value": 5}]},
            'attributes[0].value must be an object such as {"stringValue": …}',
        ),
        (
            {"attributes": [{"key": "a", "value": {"arrayValue": {"values": [{"boolValue": 1}]}}}]},
            "attributes[0].value.arrayValue[0].boolValue must be true or false",
        ),
        (
            {"attributes": [{"key": "a", "value": {"bytesValue": "%"}}]},
            "attributes[0].value.bytesValue must be base64",
        ),
    ],
)
def test_the_error_names_the_place(value: Any, message: str) -> None:
    with pytest.raises(JsonError) as caught:
        read(value)
    assert str(caught.value) == message


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b'{"a":' * 100_000, b"nul"])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(JsonError):
        read_json(SPAN, body)


@given(st.binary(max_size=100))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        assert isinstance(read_json(SPAN, body), dict)
    except JsonError as error:
        assert str(error)


def test_a_body_of_countless_lists_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp_json, "MAX_CONTAINERS", 10)
    with pytest.raises(JsonError, match="more than 10 brackets"):
        read_json(SPAN, b'{"attributes":[{},{},{},{},{},{},{},{},{}]}')
