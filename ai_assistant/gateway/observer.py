"""Who may watch the attempts of an answer: what went to which model, when it answered, and how it ended."""

from __future__ import annotations

import re
from typing import Any, Final, Protocol
from urllib.parse import urlsplit, urlunsplit

import msgspec

from ai_assistant.core.errors import ChatError
from ai_assistant.core.model import ModelConfig
from ai_assistant.gateway.chunks import Finish

HIDDEN: Final = "***"
"""What stands in the place of a secret."""
_SHORTEST_KEY = 6
"""Characters of a key, below which it is no secret but a word, which texts hold by chance."""
_SECRET_NAME = re.compile(
    r"(?i)api_?key|secret|passw|credential|authoriz|headers|cookie|access_key|(?:^|[_-])token$|bearer"
)


_CONTENT: Final = frozenset({"messages", "input", "system", "tools", "response_format", "text", "format"})
"""Parts of a body, in any dialect, whose names are an author's: a schema may have a property `password`."""


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt at one model."""

    model: str
    """The configured name."""
    model_id: str
    """The name that the provider knows."""
    provider: str
    number: int
    """1, and one more for each retry of the same model; a fallback begins at 1."""


class Sent:
    """The request of an attempt, as it went out: `body` is JSON, or the keyword arguments of LiteLLM.

    Nothing is copied or read before somebody asks: a body may be megabytes.
    """

    __slots__ = ("_body", "_key", "url")

    def __init__(self, url: str | None, body: bytes | dict[str, Any], model: ModelConfig):
        self.url = bare_url(url)
        """Where it went, without query and credentials; `None` where LiteLLM chooses."""
        self._body = body
        self._key = model.api_key

    @property
    def size(self) -> int | None:
        """Bytes of the body; `None` where LiteLLM writes it."""
        return len(self._body) if isinstance(self._body, bytes) else None

    def document(self) -> dict[str, Any]:
        """The body as an object of its own, without any key: takes about 2 ms per 100 KiB, so that a large one belongs
        into a thread."""
        body = self._body if isinstance(self._body, bytes) else _encode(self._body)
        key = (self._key or "").encode()
        if len(key) >= _SHORTEST_KEY:
            body = body.replace(key, HIDDEN.encode())
        found = msgspec.json.decode(body)
        return without_secrets(found) if isinstance(found, dict) else {"body": found}


class Observer(Protocol):
    """Told of every attempt, on the event loop: it must be quick, and must not raise.

    In order: `attempt_started`; `request_sent`, unless it failed before; `answer_began`, where there is an answer;
    `attempt_ended`, always.
    """

    def attempt_started(self, attempt: Attempt) -> None:
        """A model's turn has come: it has a free stream, and will be asked."""
        ...

    def request_sent(self, sent: Sent) -> None:
        """The request is about to go out."""
        ...

    def answer_began(self, status: int | None) -> None:
        """The first bytes of an answer have come, with this HTTP status (`None` where LiteLLM hides it)."""
        ...

    def attempt_ended(self, error: ChatError | None, finish: Finish | None, chunks: int) -> None:
        """The attempt is over: failed with `error`, else complete with `finish`, else left by its reader. `chunks`
        came of it, its `Finish` included."""
        ...


def bare_url(url: str | None) -> str | None:
    """A URL without query, fragment and credentials: keys are found in each of them."""
    if not url:
        return None
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return None
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def without_secrets(body: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a request, those hidden whose names speak of keys, credentials or headers. What is in messages
    and tools is content, and stays."""
    return {name: _shown(name, value) for name, value in body.items()}


def _shown(name: str, value: Any) -> Any:
    if _SECRET_NAME.search(name):
        return HIDDEN
    return without_secrets(value) if isinstance(value, dict) and name not in _CONTENT else value


def _encode(arguments: dict[str, Any]) -> bytes:
    """LiteLLM's arguments as JSON; what JSON has no form for becomes its type's name."""
    return msgspec.json.encode(arguments, enc_hook=lambda value: f"<{type(value).__name__}>")
