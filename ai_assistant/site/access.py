"""The stores of a site, in the unit of work that is open: `core.ports.SiteAccess`."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import frappe

from ai_assistant.core.model import ModelConfig
from ai_assistant.core.otel import OtelConfig
from ai_assistant.core.ports import ConversationStore
from ai_assistant.core.settings import Limits, Mode, Settings
from ai_assistant.core.trace_ports import TraceStore
from ai_assistant.site.conversations import SiteConversations
from ai_assistant.site.models import known_models, parsed_parameters, stored_models
from ai_assistant.site.otel import site_otel
from ai_assistant.site.traces import SiteTraces
from ai_assistant.site.tracing import REDIS_KEY

SETTINGS = "AI Assistant Settings"


class SiteStores:
    """Settings, models and conversations of `frappe.local.site`, read once in each unit of work."""

    def __init__(self, *, with_keys: bool):
        """`with_keys`: whether models bring their API keys. Only a worker needs them."""
        self._with_keys = with_keys

    def settings(self) -> Settings:
        """The settings document; what it leaves empty is the built-in default."""
        return self._settings

    @cached_property
    def _settings(self) -> Settings:
        document = frappe.get_cached_doc(SETTINGS)
        fields = {name for name in Settings.__struct_fields__ if name not in ("modes", "limits")}
        return Settings(
            **given(document, fields),
            modes=modes_of(document),
            limits=Limits(**given(document, set(Limits.__struct_fields__))),
        )

    def models(self) -> dict[str, ModelConfig]:
        """Every AI Model by name, in the order of their making."""
        return self._models

    @cached_property
    def _models(self) -> dict[str, ModelConfig]:
        return stored_models(with_keys=True) if self._with_keys else known_models()

    @property
    def otel(self) -> OtelConfig:
        """Where the site's observations go as spans, by its configuration."""
        return site_otel()

    @property
    def trace_redis_url(self) -> str | None:
        """The site's own Redis for traces, where its configuration names one."""
        return frappe.conf.get(REDIS_KEY) or None

    @property
    def conversations(self) -> ConversationStore:
        """The site's conversations."""
        return self._conversations

    @cached_property
    def _conversations(self) -> SiteConversations:
        return SiteConversations()

    @property
    def traces(self) -> TraceStore:
        """The site's traces."""
        return self._traces

    @cached_property
    def _traces(self) -> SiteTraces:
        return SiteTraces()


def given(document: Any, fields: set[str]) -> dict[str, Any]:
    """The fields that have a value; a field that is younger than the stored document has none."""
    return {name: document.get(name) for name in fields if document.get(name) not in (None, "")}


def modes_of(document: Any) -> dict[str, Mode]:
    """The rows of the table Modes; a mode without a row keeps its built-in prompt."""
    rows = {
        row.mode: Mode(
            system_prompt=row.system_prompt or "",
            model=row.model or None,
            parameters=parsed_parameters(row.parameters),
        )
        for row in document.modes
    }
    return Settings().modes | rows
