"""`otlp_traces`: spans of OpenTelemetry, made with its own protobuf definitions. And, on the embedded host, the address
that every exporter knows."""

from __future__ import annotations

import base64
import gzip
import json
import secrets
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from google.protobuf.json_format import MessageToDict
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from .client import Client, Refused
from .conftest import Host
from .traces import new_span, new_trace, stored

PROTOBUF, JSON = "application/x-protobuf", "application/json"


def export(trace: str, *, parent: str = "", question: str = "hi", **attributes: str | int) -> ExportTraceServiceRequest:
    """A chat below a root, or below `parent`."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.add(key="service.name").value.string_value = "shop"
    now = time.time_ns()
    root = parent or new_span()
    for name, span_id, above in (("work", root, ""), ("chat gpt", new_span(), root)):
        if name == "work" and parent:
            continue
        span = group.scope_spans.add().spans.add(
            trace_id=bytes.fromhex(trace),
            span_id=bytes.fromhex(span_id),
            parent_span_id=bytes.fromhex(above),
            name=name,
            start_time_unix_nano=now + (1_000_000 if above else 0),
            end_time_unix_nano=now + 50_000_000,
        )
        if above:
            said = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt", "gen_ai.usage.input_tokens": 7}
            asked = json.dumps([{"role": "user", "parts": [{"type": "text", "content": question}]}])
            for key, value in {**said, "gen_ai.input.messages": asked, **attributes}.items():
                kind = "int_value" if isinstance(value, int) else "string_value"
                setattr(span.attributes.add(key=key).value, kind, value)
    return request


def json_of(request: ExportTraceServiceRequest) -> bytes:
    """OTLP's JSON: protobuf's, with ids in hexadecimal."""

    def hexadecimal(value: Any) -> Any:
        if isinstance(value, list):
            return [hexadecimal(each) for each in value]
        if not isinstance(value, dict):
            return value
        return {
            key: base64.b64decode(each).hex() if key in ("traceId", "spanId", "parentSpanId") else hexadecimal(each)
            for key, each in value.items()
        }

    return json.dumps(hexadecimal(MessageToDict(request, use_integers_for_enums=True))).encode()


def post(client: Client, body: bytes, media: str = PROTOBUF, **headers: str) -> httpx.Response:
    """The bare answer of the endpoint."""
    return client.request("otlp_traces", content=body, headers={"Content-Type": media, **headers})


def check_stored(client: Client, trace: str) -> dict[str, Any]:
    """The trace, with the root and the chat in it."""
    found = stored(client, trace, lambda found: len(found["observations"]) == 2)
    root, chat = found["observations"]
    assert (root["title"], root["parent"], root["type"]) == ("work", "", "span")
    assert (chat["title"], chat["parent"], chat["type"]) == ("chat gpt", root["span"], "generation")
    assert (chat["model"], chat["prompt_tokens"]) == ("gpt", 7)
    expected = {"source": "otlp", "service": "shop", "status": "completed", "title": "work", "model": "gpt"}
    assert {name: found["trace"][name] for name in expected} == expected
    return found


@pytest.mark.parametrize("compress", [False, True])
def test_protobuf_is_stored(user: Client, compress: bool) -> None:
    trace = new_trace()
    body = export(trace).SerializeToString()
    headers = {"Content-Encoding": "gzip"} if compress else {}
    response = post(user, gzip.compress(body) if compress else body, **headers)
    assert (response.status_code, response.headers["content-type"].split(";")[0]) == (200, PROTOBUF)
    assert ExportTraceServiceResponse.FromString(response.content) == ExportTraceServiceResponse()
    found = check_stored(user, trace)
    assert found["trace"]["user"] == user.user
    payload = user.get("get_trace_payload", trace=trace, span=found["observations"][1]["span"], field="input")
    assert json.loads(payload["text"]) == [{"role": "user", "content": "hi"}]


def test_json_is_stored(user: Client) -> None:
    trace = new_trace()
    response = post(user, json_of(export(trace)), JSON)
    assert (response.status_code, response.json()) == (200, {})
    check_stored(user, trace)


def test_compressed_json_never_reaches_the_endpoint(user: Client, host: Host) -> None:
    """Frappe reads JSON bodies itself, before any app; the embedded host does likewise at this address."""
    response = post(user, gzip.compress(json_of(export(new_trace()))), JSON, **{"Content-Encoding": "gzip"})
    assert response.status_code in ((400,) if host.is_embedded else (400, 500))


def test_spans_that_cannot_be_kept_are_rejected_alone(user: Client) -> None:
    trace = new_trace()
    request = export(trace)
    request.resource_spans[0].scope_spans.add().spans.add(name="without ids")
    response = post(user, request.SerializeToString())
    partial = ExportTraceServiceResponse.FromString(response.content).partial_success
    assert (response.status_code, partial.rejected_spans) == (200, 1)
    assert partial.error_message == "a traceId must have 16 bytes that are not all zero"
    check_stored(user, trace)


@pytest.mark.parametrize(
    ("body", "media", "field"),
    [
        (b"\x0a\x05a", PROTOBUF, "body"),
        (b"\x1f\x8b\x08broken", PROTOBUF, "body"),
        (gzip.compress(b"\x0a\x05a"), PROTOBUF, "body"),
        (b'{"resourceSpans": 5}', JSON, "resourceSpans"),
        (b"hello", "text/plain", "content-type"),
        (b"hello", "application/octet-stream", "content-type"),
    ],
)
def test_what_is_no_export_is_417_and_named(user: Client, body: bytes, media: str, field: str) -> None:
    refused = Refused(post(user, body, media))
    assert (refused.status, refused.exc_type) == (417, "ValidationError")
    assert field in refused.message


def test_a_guest_may_not(guest: Client) -> None:
    assert post(guest, export(new_trace()).SerializeToString()).status_code == 403


def test_it_is_no_get(user: Client) -> None:
    assert user.request("otlp_traces", "GET").status_code == 403


def test_nobody_writes_into_another_s_trace(user: Client, other: Client) -> None:
    trace = new_trace()
    assert post(user, export(trace).SerializeToString()).status_code == 200
    found = check_stored(user, trace)
    root = found["observations"][0]["span"]
    assert post(other, export(trace, parent=root, question="mine").SerializeToString()).status_code == 200
    mine = new_trace()
    assert post(other, export(mine).SerializeToString()).status_code == 200
    check_stored(other, mine)  # by then the spans before it have been dealt with
    assert len(user.get("get_trace", trace=trace)["observations"]) == 2
    with pytest.raises(Refused) as caught:
        other.get("get_trace", trace=trace)
    assert caught.value.status == 404


def test_a_program_that_is_trusted_may_continue_another_s_trace(user: Client, keyed: Client) -> None:
    """One server's spans belong to the trace of the user that it serves, whose it stays."""
    trace = new_trace()
    assert post(user, export(trace).SerializeToString()).status_code == 200
    root = check_stored(user, trace)["observations"][0]["span"]
    response = post(keyed, export(trace, parent=root).SerializeToString())
    if response.status_code == 200 and is_trusted(keyed):
        found = stored(user, trace, lambda found: len(found["observations"]) == 3)
        assert found["trace"]["user"] == user.user


def is_trusted(client: Client) -> bool:
    """Whether the key is one of somebody who reviews traces or runs the site."""
    return client.request("get_dead_letters", "GET").status_code == 200


def test_a_trace_of_otlp_can_be_exported_as_such(user: Client) -> None:
    trace = new_trace()
    post(user, export(trace).SerializeToString())
    check_stored(user, trace)
    response = user.request("export_trace", "GET", params={"trace": trace, "format": "otlp"})
    spans = [
        span for group in response.json()["resourceSpans"] for part in group["scopeSpans"] for span in part["spans"]
    ]
    assert [(span["traceId"], span["name"]) for span in spans] == [(trace, "work"), (trace, "chat gpt")]
    again = response.content.replace(trace.encode(), (copy := new_trace()).encode())
    assert post(user, again, JSON).status_code == 200
    check_stored(user, copy)


# ------------------------------------------------------------------------------------ the address of every exporter


@pytest.fixture
def exporter(host: Host, only_embedded: None) -> Iterator[httpx.Client]:
    """A plain HTTP client with an API key, as an exporter is configured."""
    if not host.api_key:
        pytest.skip("no API key was given")
    headers = {"Authorization": f"token {host.api_key}", "Content-Type": PROTOBUF}
    with httpx.Client(base_url=host.url, headers=headers, trust_env=False, timeout=40) as client:
        yield client


@pytest.mark.parametrize("path", ["/v1/traces", "/api/public/otel/v1/traces"])
@pytest.mark.parametrize("media", [PROTOBUF, JSON])
@pytest.mark.parametrize("compress", [False, True])
def test_exporters_address(exporter: httpx.Client, keyed: Client, path: str, media: str, compress: bool) -> None:
    trace = new_trace()
    request = export(trace)
    body = request.SerializeToString() if media == PROTOBUF else json_of(request)
    headers = {"Content-Type": media} | ({"Content-Encoding": "gzip"} if compress else {})
    response = exporter.post(path, content=gzip.compress(body) if compress else body, headers=headers)
    assert (response.status_code, response.headers["content-type"]) == (200, media)
    assert response.content == (b"" if media == PROTOBUF else b"{}")
    check_stored(keyed, trace)


@pytest.mark.parametrize("scheme", ["token", "Bearer", "Basic"])
def test_schemes_that_exporters_send(exporter: httpx.Client, host: Host, scheme: str) -> None:
    key = base64.b64encode(host.api_key.encode()).decode() if scheme == "Basic" else host.api_key
    response = exporter.post(
        "/v1/traces", content=export(new_trace()).SerializeToString(), headers={"Authorization": f"{scheme} {key}"}
    )
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("headers", "body", "status", "code", "words"),
    [
        ({"Authorization": ""}, b"", 401, 16, "Authorization: token"),
        ({"Authorization": "token a:b"}, b"", 401, 16, "key or its secret is wrong"),
        ({}, b"\x0a\x05a", 400, 3, "it ends in the middle of a field"),
        ({"Content-Type": "text/plain"}, b"x", 415, 3, "content-type: must be"),
        ({"Content-Encoding": "zstd"}, b"x", 415, 3, "content-encoding: must be gzip or nothing, not 'zstd'"),
        ({}, gzip.compress(b"\x00" * (33 * 1024 * 1024)), 413, 3, "send fewer spans at once"),
        ({}, secrets.token_bytes(26 * 1024 * 1024), 413, 3, "larger than 25 MB"),
    ],
)
def test_errors_are_those_of_otlp(
    exporter: httpx.Client, headers: dict[str, str], body: bytes, status: int, code: int, words: str
) -> None:
    response = exporter.post("/v1/traces", content=body, headers=headers)
    assert (response.status_code, response.headers["content-type"]) == (status, PROTOBUF)
    said = Status.FromString(response.content)
    assert said.code == code
    assert words in said.message


def test_errors_in_json(exporter: httpx.Client) -> None:
    response = exporter.post("/v1/traces", content=b"{", headers={"Content-Type": JSON})
    assert (response.status_code, response.json()["code"]) == (400, 3)


def test_a_session_is_no_key(exporter: httpx.Client, user: Client) -> None:
    """A page of another origin could send with the user's cookie."""
    response = httpx.post(
        f"{user.base_url}/v1/traces",
        content=export(new_trace()).SerializeToString(),
        headers={"Content-Type": PROTOBUF, "Cookie": f"sid={user.sid}"},
        trust_env=False,
    )
    assert response.status_code == 401


def test_there_is_no_get(exporter: httpx.Client) -> None:
    assert exporter.get("/v1/traces").status_code == 404
