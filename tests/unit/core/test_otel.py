"""What is told of OpenTelemetry out."""

from __future__ import annotations

from typing import Any

import pytest

from ai_assistant.core.errors import ConfigError
from ai_assistant.core.otel import OtelConfig, otel_config, otel_of_environment


def test_nothing_is_sent_without_an_endpoint() -> None:
    assert not otel_config({}).is_on
    assert not OtelConfig().is_on
    assert not otel_config({"content": True, "headers": {"a": "b"}}).is_on


@pytest.mark.parametrize(
    ("given", "traces", "metrics"),
    [
        ({"endpoint": "http://c:4318"}, "http://c:4318/v1/traces", "http://c:4318/v1/metrics"),
        ({"endpoint": "https://c/otlp/"}, "https://c/otlp/v1/traces", "https://c/otlp/v1/metrics"),
        ({"traces_endpoint": "https://c/t"}, "https://c/t", None),
        ({"endpoint": "http://c", "metrics_endpoint": "http://m/x"}, "http://c/v1/traces", "http://m/x"),
        ({"endpoint": "http://c", "metrics": False}, "http://c/v1/traces", None),
        ({"endpoint": "http://c", "traces": 0}, None, "http://c/v1/metrics"),
    ],
)
def test_addresses(given: dict[str, Any], traces: str | None, metrics: str | None) -> None:
    found = otel_config(given)
    assert (found.traces_url, found.metrics_url) == (traces, metrics)


def test_headers_are_a_table_or_opentelemetry_s_text() -> None:
    assert otel_config({"headers": {"Authorization": "Bearer x"}}).headers == {"Authorization": "Bearer x"}
    assert otel_config({"headers": "Authorization=Bearer%20x, x-team = a"}).headers == {
        "Authorization": "Bearer x",
        "x-team": "a",
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"endpoint": "c:4318"}, "otel.endpoint: must be an address that begins with http:// or https://"),
        ({"endpoint": "http://"}, "otel.endpoint: must be an address that begins with http:// or https://"),
        ({"endpoint": 5}, "otel.endpoint: must be text"),
        ({"headers": 5}, "otel.headers: must be a table of names and values"),
        ({"headers": "secret"}, "otel.headers: must be name=value, with commas between several"),
        ({"headers": {"a b": "c"}}, "otel.headers: 'a b' is no name of a header"),
        ({"headers": {"a": "secret\n"}}, "otel.headers.a: must be text of one line"),
        ({"content": "yes"}, "otel.content: must be true or false"),
        ({"timeout_s": 0}, "otel.timeout_s: must be seconds, more than 0 and at most 60"),
        ({"endpont": "http://c"}, "otel.endpont: there is no such key; there are: "),
    ],
)
def test_the_error_names_the_key_and_shows_no_value(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        otel_config(given)
    assert str(caught.value).startswith(message)
    assert "secret" not in str(caught.value)


def test_opentelemetry_s_variables(caplog: pytest.LogCaptureFixture) -> None:
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318",
        "OTEL_EXPORTER_OTLP_HEADERS": "api-key=k",
        "OTEL_SERVICE_NAME": "mine",
    }
    found = otel_config(otel_of_environment(environ))
    assert (found.traces_url, found.headers, found.service) == ("http://c:4318/v1/traces", {"api-key": "k"}, "mine")
    assert otel_of_environment({**environ, "OTEL_SDK_DISABLED": "true"}) == {}
    assert otel_of_environment({"OTEL_SERVICE_NAME": "mine"}) == {}
    assert otel_of_environment({**environ, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}) == {}
    assert "OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc', but only http/protobuf is spoken here" in caplog.text


def test_neither_addresses_nor_headers_are_shown() -> None:
    found = otel_config({"endpoint": "http://user:secret@c", "headers": {"a": "secret"}})
    assert "secret" not in repr(found)
