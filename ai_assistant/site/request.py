"""The RequestHost of one web request on a site."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import frappe

from ai_assistant.core.metrics import Family
from ai_assistant.core.model import ModelConfig, ModelFacts
from ai_assistant.core.session import GUEST, User
from ai_assistant.core.task import TaskRef
from ai_assistant.core.trace_pipe import TracePipe
from ai_assistant.gateway.prices import public_facts
from ai_assistant.site import bench
from ai_assistant.site.access import SiteStores
from ai_assistant.site.tracing import trace_pipe
from ai_assistant.site.waiting import wait_for_end

TRACE_DOCTYPES = ("AI Trace", "AI Observation")
PAYLOAD_LEVEL = 1
"""The permission level of prompts, reasoning and responses."""


class SiteRequest:
    """`core.ports.RequestHost` over `frappe.local`: its user, its transaction."""

    def __init__(self, *, is_outsider: bool = False):
        """`is_outsider`: whether the user has no part in the assistant, and is told what guests are told."""
        self._is_outsider = is_outsider

    @property
    def site(self) -> str:
        """The site's name."""
        return frappe.local.site

    def user(self) -> User:
        """The user that Frappe authenticated; Guest for one without a role."""
        return self._user

    @cached_property
    def _user(self) -> User:
        name = GUEST if self._is_outsider else frappe.session.user
        return User(name=name, roles=frozenset(frappe.get_roles(name)))

    def access(self) -> SiteStores:
        """The stores, in the request's transaction; models come without their keys."""
        return self._stores

    @cached_property
    def _stores(self) -> SiteStores:
        return SiteStores(with_keys=False)

    def tasks(self) -> bench.SiteTasks:
        """The bench's tasks."""
        return bench.tasks()

    def facts(self, model: ModelConfig) -> ModelFacts:
        """Context window and capabilities, from LiteLLM's table."""
        return public_facts(model)

    def wait(self, ref: TaskRef, timeout: float) -> dict[str, Any]:
        """The view of the ended task, or of the running one; see `core.ports.RequestHost.wait`."""
        return wait_for_end(ref, timeout, self._stores.settings()).view()

    def metrics(self) -> list[Family]:
        """Those of the bench's tasks and of its realtime server."""
        from ai_assistant.site.metrics import families

        return families()

    def raw_body(self) -> tuple[str, bytes]:
        """The media type and the bytes of the body; Frappe has read it before and keeps it."""
        request = getattr(frappe.local, "request", None)
        return (request.mimetype, request.get_data()) if request else ("", b"")

    def trace_pipe(self) -> TracePipe:
        """The pipeline of the site's traces."""
        return trace_pipe()

    def sees_trace_payloads(self) -> bool:
        """Whether the roles of the user include level 1 of both DocTypes, as the role permission manager has them
        now. Who may see the trace at all is not asked here."""
        return all(
            PAYLOAD_LEVEL in frappe.get_meta(doctype).get_permlevel_access("read", user=self._user.name)
            for doctype in TRACE_DOCTYPES
        )
