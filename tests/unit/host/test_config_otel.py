"""The table `[otel]` of the config file, and OpenTelemetry's own variables over it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ai_assistant.core.errors import ConfigError
from ai_assistant.core.otel import OtelConfig
from ai_assistant.host.config import load_config

Load = Callable[..., OtelConfig]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def loaded(text: str, **environ: str) -> OtelConfig:
        file = tmp_path / "config.toml"
        file.write_text(text)
        return load_config(file, environ={"HOME": str(tmp_path), **environ}).otel

    return loaded


def test_nothing_is_sent_by_default(load: Load) -> None:
    assert not load("").is_on
    assert not load("[otel]\ncontent = true\n").is_on


def test_the_table(load: Load) -> None:
    text = 'endpoint = "http://c:4318"\nservice = "desk"\nheaders = { Authorization = "env:KEY" }\nmetrics = false\n'
    found = load("[otel]\n" + text, KEY="Bearer x")
    assert (found.traces_url, found.metrics_url) == ("http://c:4318/v1/traces", None)
    assert (found.headers, found.service, found.content) == ({"Authorization": "Bearer x"}, "desk", False)


def test_opentelemetry_s_variables_win(load: Load) -> None:
    found = load('[otel]\nendpoint = "http://c:4318"\n', OTEL_EXPORTER_OTLP_ENDPOINT="http://other:4318")
    assert found.traces_url == "http://other:4318/v1/traces"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[otel]\nendpoint = "c:4318"\n', "otel.endpoint: must be an address that begins with http:// or https://"),
        ("[otel]\nendpoint = 5\n", "otel.endpoint: must be a string, not a number"),
        ('[otel]\nendpont = "http://c"\n', "otel.endpont: there is no such key; did you mean endpoint?"),
        ("[otel]\ncontent = 1\n", "otel.content: must be true or false, not a number"),
        ("[otel]\ntimeout_s = 90\n", "otel.timeout_s: must be seconds, more than 0 and at most 60"),
        ('[otel]\nheaders = { a = "env:NONE" }\n', "otel.headers.a: the environment variable NONE is not set"),
    ],
)
def test_errors_name_the_key(load: Load, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert str(caught.value) == message
