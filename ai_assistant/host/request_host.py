"""The RequestHost of one HTTP request."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from ai_assistant.core.metrics import Family
from ai_assistant.core.model import ModelConfig, ModelFacts
from ai_assistant.core.ports import SiteAccess, SiteOpener
from ai_assistant.core.session import User
from ai_assistant.core.task import TaskRef
from ai_assistant.core.trace_pipe import TracePipe
from ai_assistant.gateway.prices import public_facts
from ai_assistant.host.metrics import HostMeters

Wait = Callable[[TaskRef, float], Any]


class Services:
    """What requests share: the site, its stores, its tasks, and the waiting for a task's end."""

    def __init__(self, site: str, opener: SiteOpener, tasks: Any, wait: Wait, meters: HostMeters, pipe: TracePipe):
        self.site = site
        self.opener = opener
        self.tasks = tasks
        self.wait = wait
        self.meters = meters
        self.pipe = pipe


class EmbeddedRequest:
    """A request's user and its unit of work, which begins with the first `access()` and ends with the `with`."""

    def __init__(self, services: Services, user: User, media: str = "", body: bytes = b""):
        """`media` and `body`: what `raw_body` gives."""
        self._services = services
        self._user = user
        self._body = (media, body)
        self._work = ExitStack()
        self._access: SiteAccess | None = None

    def __enter__(self) -> EmbeddedRequest:
        return self

    def __exit__(self, *error: Any) -> None:
        self._work.__exit__(*error)

    @property
    def site(self) -> str:
        """The site's name."""
        return self._services.site

    def user(self) -> User:
        """The user of this request."""
        return self._user

    def access(self) -> SiteAccess:
        """The stores, all calls of the request in one unit of work."""
        if self._access is None:
            self._access = self._work.enter_context(self._services.opener.open(self.site))
        return self._access

    def tasks(self) -> Any:
        """The site's `streams.tasks.Tasks`."""
        return self._services.tasks

    def facts(self, model: ModelConfig) -> ModelFacts:
        """Context window and capabilities, from LiteLLM's table."""
        return public_facts(model)

    def wait(self, ref: TaskRef, timeout: float) -> Any:
        """An awaitable of the task's view; see `core.ports.RequestHost.wait`."""
        return self._services.wait(ref, timeout)

    def metrics(self) -> list[Family]:
        """Those of the scope, and those of this process."""
        return self._services.meters.collect(self._services.tasks)

    def raw_body(self) -> tuple[str, bytes]:
        """The media type and the bytes of the body."""
        return self._body

    def trace_pipe(self) -> TracePipe:
        """The pipeline of the site's traces."""
        return self._services.pipe

    def sees_trace_payloads(self) -> bool:
        """There are no permission levels here: who may see a trace may see all of it."""
        return True
