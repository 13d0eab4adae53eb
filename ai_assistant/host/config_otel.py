"""The table `[otel]` of the config file: OpenTelemetry out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ai_assistant.core.otel import OtelConfig, otel_config, otel_of_environment
from ai_assistant.host.config_table import ConfigTable

WORDS = ("traces_endpoint", "metrics_endpoint", "service")
SWITCHES = ("content", "traces", "metrics")


def otel_of(root: ConfigTable, environ: Mapping[str, str]) -> OtelConfig:
    """`[otel]`, and over it OpenTelemetry's variables. Raises ConfigError."""
    table = root.table("otel")
    given: dict[str, Any] = {name: table.text(name) for name in WORDS}
    given["endpoint"] = table.text("endpoint")
    given |= {name: table.boolean(name, name != "content") for name in SWITCHES}
    given["headers"] = headers_of(table)
    given["timeout_s"] = table.number("timeout_s", OtelConfig().timeout_s, above=True)
    table.done()
    return otel_config(given | otel_of_environment(environ))


def headers_of(table: ConfigTable) -> dict[str, Any]:
    """`[otel.headers]`; a value such as `env:NAME` comes from the environment, since it is a key in most cases."""
    headers = table.table("headers")
    return {name: headers.secret(name) for name in table.mapping("headers")}
