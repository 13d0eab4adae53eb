"""What is told of OpenTelemetry out: where finished observations go as spans, and the figures of calls as metrics.

The names of the variables are OpenTelemetry's own (https://opentelemetry.io/docs/specs/otel/protocol/exporter/).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import msgspec

from ai_assistant.core.errors import ConfigError

log = logging.getLogger("ai_assistant.otel")

SERVICE: Final = "ai-assistant"
VARIABLES: Final = {
    "endpoint": "OTEL_EXPORTER_OTLP_ENDPOINT",
    "traces_endpoint": "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "metrics_endpoint": "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    "headers": "OTEL_EXPORTER_OTLP_HEADERS",
    "service": "OTEL_SERVICE_NAME",
}
PROTOCOL: Final = "OTEL_EXPORTER_OTLP_PROTOCOL"
DISABLED: Final = "OTEL_SDK_DISABLED"
HTTP: Final = "http/protobuf"
TIMEOUT_S: Final = 10.0
MAX_TIMEOUT_S: Final = 60.0


class OtelConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Where to send, and what. Nothing is sent while there is no address."""

    traces_url: str | None = None
    metrics_url: str | None = None
    headers: dict[str, str] = {}
    """Of every request: keys of a backend."""
    service: str = SERVICE
    """`service.name` of traces that name no service of their own."""
    content: bool = False
    """Whether prompts, responses, reasoning, metadata and users' names go out too."""
    timeout_s: float = TIMEOUT_S
    """Of one request."""

    @property
    def is_on(self) -> bool:
        """Whether anything is to be sent."""
        return bool(self.traces_url or self.metrics_url)

    def __repr__(self) -> str:
        """Without addresses and headers, which may hold keys."""
        return f"OtelConfig(on={self.is_on}, content={self.content}, service={self.service!r})"


def otel_config(given: Mapping[str, Any], key: str = "otel.{}") -> OtelConfig:
    """The configuration of these values: `endpoint` (the base address, to which `/v1/traces` and `/v1/metrics` are
    added), `traces_endpoint`, `metrics_endpoint` (whole addresses), `headers` (a table, or text as OpenTelemetry has
    it: `name=value,…`), `service`, `content`, `traces`, `metrics` (whether to send them), `timeout_s`.

    `key`: how a setting is called in an error. Raises ConfigError.
    """
    known = {*VARIABLES, "content", "traces", "metrics", "timeout_s"}
    for name in given:
        if name not in known:
            raise ConfigError(key.format(name), f"there is no such key; there are: {', '.join(sorted(known))}")
    urls = {name: url_of(given, name, key) for name in ("endpoint", "traces_endpoint", "metrics_endpoint")}
    base = urls["endpoint"]
    traces = urls["traces_endpoint"] or (f"{base}/v1/traces" if base else None)
    metrics = urls["metrics_endpoint"] or (f"{base}/v1/metrics" if base else None)
    return OtelConfig(
        traces_url=traces if flag(given, "traces", key, True) else None,
        metrics_url=metrics if flag(given, "metrics", key, True) else None,
        headers=headers_of(given.get("headers"), key.format("headers")),
        service=text_of(given, "service", key) or SERVICE,
        content=flag(given, "content", key, False),
        timeout_s=seconds(given, key),
    )


def otel_of_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """The values that OpenTelemetry's variables give: none, and a warning, where they ask for a protocol that is not
    spoken here. They are meant for every program of a machine, and must not keep this one from starting."""
    if environ.get(DISABLED, "").strip().lower() == "true":
        return {}
    found: dict[str, Any] = {
        name: environ[variable].strip() for name, variable in VARIABLES.items() if environ.get(variable, "").strip()
    }
    if not any(name.endswith("endpoint") for name in found):
        return {}
    protocol = environ.get(PROTOCOL, "").strip() or HTTP
    if protocol != HTTP:
        log.warning("%s is %r, but only %s is spoken here: nothing is sent", PROTOCOL, protocol[:40], HTTP)
        return {}
    return found


def url_of(given: Mapping[str, Any], name: str, key: str) -> str | None:
    """An address, which is not shown in the error: it may hold a password."""
    text = text_of(given, name, key)
    if not text:
        return None
    try:
        parts = urlsplit(text)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(key.format(name), "must be an address that begins with http:// or https://")
    return text.rstrip("/")


def text_of(given: Mapping[str, Any], name: str, key: str) -> str:
    """A text; empty where it is not there."""
    value = given.get(name)
    if value is not None and not isinstance(value, str):
        raise ConfigError(key.format(name), "must be text")
    return (value or "").strip()


def flag(given: Mapping[str, Any], name: str, key: str, default: bool) -> bool:
    """A switch; a site's configuration has 0 and 1."""
    value = given.get(name)
    if value is None:
        return default
    if value not in (0, 1):
        raise ConfigError(key.format(name), "must be true or false")
    return bool(value)


def seconds(given: Mapping[str, Any], key: str) -> float:
    """The limit of one request."""
    value = given.get("timeout_s", TIMEOUT_S)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= MAX_TIMEOUT_S:
        raise ConfigError(key.format("timeout_s"), f"must be seconds, more than 0 and at most {MAX_TIMEOUT_S:g}")
    return float(value)


def headers_of(value: Any, key: str) -> dict[str, str]:
    """Headers from a table, or from `name=value,name=value` with escapes as in URLs. Values are not shown in errors."""
    if value in (None, ""):
        return {}
    pairs: dict[Any, Any] = {}
    if isinstance(value, str):
        for part in value.split(","):
            name, equals, text = part.partition("=")
            if not equals:
                raise ConfigError(key, "must be name=value, with commas between several")
            pairs[name.strip()] = unquote(text.strip())
    elif isinstance(value, Mapping):
        pairs = dict(value)
    else:
        raise ConfigError(key, "must be a table of names and values")
    for name, text in pairs.items():
        if not (isinstance(name, str) and name.isascii() and name.replace("-", "").replace("_", "").isalnum()):
            raise ConfigError(key, f"{str(name)[:60]!r} is no name of a header")
        if not (isinstance(text, str) and text.isprintable()):
            raise ConfigError(f"{key}.{name}", "must be text of one line")
    return pairs
