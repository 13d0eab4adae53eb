"""What the core needs of a host. A Frappe site and the embedded host implement these.

Stores are synchronous: on a site each call runs inside a unit of work of the one thread that owns Frappe, in a web
request inside that request; in the embedded host on SQLAlchemy. None of them is called on an event loop.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Protocol

from ai_assistant.core.conversation import ConversationSummary, FinalMessage, StoredMessage, Turn, Unfinished
from ai_assistant.core.metrics import Family
from ai_assistant.core.model import ModelConfig, ModelFacts
from ai_assistant.core.otel import OtelConfig
from ai_assistant.core.session import User
from ai_assistant.core.settings import Settings
from ai_assistant.core.task import TaskRef
from ai_assistant.core.trace_pipe import TracePipe
from ai_assistant.core.trace_ports import TraceStore


class ConversationStore(Protocol):
    """Conversations of one site. Every read takes the user and shows only what that user may see."""

    def exists(self, user: User, name: str) -> bool:
        """Whether `user` may continue this conversation."""
        ...

    def list(self, user: User, *, limit: int, before: str | None, search: str | None) -> list[ConversationSummary]:
        """The user's own conversations, newest first; `before` is a `modified` to page back from; `search` is
        looked for in titles and in the text of messages."""
        ...

    def get(self, user: User, name: str) -> tuple[ConversationSummary, list[StoredMessage]]:
        """A conversation and its messages in order. Raises DoesNotExistError also for another user's."""
        ...

    def rename(self, user: User, name: str, title: str) -> None:
        """Raises DoesNotExistError as `get` does."""
        ...

    def delete(self, user: User, name: str) -> None:
        """Removes it with its messages. Raises DoesNotExistError as `get` does."""
        ...

    def begin(self, turn: Turn) -> list[StoredMessage]:
        """Writes the new messages and the placeholder, and returns the messages before them, in order.

        Idempotent by `turn.message_id`. Called only by the worker.
        """
        ...

    def finish(self, final: FinalMessage) -> None:
        """Writes the outcome into the placeholder. A message that already is `completed` stays as it is; a
        deleted one is left alone. Called only by the worker."""
        ...

    def unfinished(self, limit: int = 1000) -> list[Unfinished]:
        """Placeholders of all users that still say `streaming`, oldest first. Called only by the worker."""
        ...


class SiteAccess(Protocol):
    """One unit of work on a site: what the worker may ask of it."""

    def settings(self) -> Settings:
        """The site's settings as they are now."""
        ...

    def models(self) -> dict[str, ModelConfig]:
        """Every configured model by name, disabled ones too, in the admin's order."""
        ...

    @property
    def conversations(self) -> ConversationStore:
        """The site's conversations."""
        ...

    @property
    def traces(self) -> TraceStore:
        """The site's traces."""
        ...

    @property
    def otel(self) -> OtelConfig | None:
        """Where the site's observations go as spans of OpenTelemetry; `None`: nowhere. Raises ConfigError."""
        ...

    @property
    def trace_redis_url(self) -> str | None:
        """The Redis of the site's stream of traces; `None`: that of its tasks."""
        ...


class SiteOpener(Protocol):
    """Opens units of work. Called from the one thread that belongs to the site."""

    def open(self, site: str) -> AbstractContextManager[SiteAccess]:
        """A unit of work: committed when it ends well, rolled back when it raises."""
        ...


class RequestHost(Protocol):
    """The host of the request that is being answered; what `api/` delegates with."""

    @property
    def site(self) -> str:
        """The site's name: the Socket.IO namespace without its slash, and part of every Redis key."""
        ...

    def user(self) -> User:
        """The authenticated user of this request."""
        ...

    def access(self) -> SiteAccess:
        """The stores, inside the request's own transaction."""
        ...

    def tasks(self) -> Any:
        """The site's `streams.tasks.Tasks`."""
        ...

    def facts(self, model: ModelConfig) -> ModelFacts:
        """What is known of a model beforehand."""
        ...

    def wait(self, ref: TaskRef, timeout: float) -> Any:
        """Waits up to `timeout` seconds for the task's end and gives its view; the running task's view when time
        passes first or no thread can be spared. May return an awaitable where the host is asynchronous."""
        ...

    def metrics(self) -> list[Family]:
        """The figures for monitoring; that a part is away is one of them."""
        ...

    def raw_body(self) -> tuple[str, bytes]:
        """The media type of the body, in lower case and without parameters, and its bytes."""
        ...

    def trace_pipe(self) -> TracePipe:
        """The pipeline of the site's traces."""
        ...

    def sees_trace_payloads(self) -> bool:
        """Whether permission level 1 of traces, their prompts, reasoning and responses, is open to the user, as far
        as the trace itself is."""
        ...
