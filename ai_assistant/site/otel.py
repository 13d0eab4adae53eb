"""OpenTelemetry out of a site: what its configuration says, or that of the bench."""

from __future__ import annotations

import frappe

from ai_assistant.core.otel import OtelConfig, otel_config

PREFIX = "ai_assistant_otel_"
"""Keys of site_config.json or common_site_config.json, for example `ai_assistant_otel_endpoint`; the rest of each is a
name that `core.otel.otel_config` knows."""


def site_otel() -> OtelConfig:
    """The open site's. Raises ConfigError, naming the key."""
    given = {name.removeprefix(PREFIX): value for name, value in frappe.conf.items() if name.startswith(PREFIX)}
    return otel_config(given, PREFIX + "{}")
