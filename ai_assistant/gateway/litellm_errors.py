"""LiteLLM's exceptions as the wire contract's codes."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping

import httpx

from ai_assistant.core.errors import ChatError
from ai_assistant.core.model import ModelConfig
from ai_assistant.gateway import failures
from ai_assistant.gateway.retry import parse_retry_after

_LOG = logging.getLogger(__name__)
#: Class names, which are part of LiteLLM's interface; the classes themselves would need the import.
_KINDS = {
    "ContextWindowExceededError": "context_length_exceeded",
    "ContentPolicyViolationError": "content_filter",
}
_PREFIX = re.compile(r"^(?:litellm\.)?\w+(?:Error|Exception)?: ")


def from_litellm(model: ModelConfig, error: Exception) -> ChatError:
    """Map an exception that came out of LiteLLM, whatever it is."""
    inner = getattr(error, "original_exception", None)
    if isinstance(inner, Exception) and type(error).__name__ == "MidStreamFallbackError":
        return from_litellm(model, inner)
    name = type(error).__name__
    status = _status(error)
    if name in ("Timeout", "APITimeoutError"):
        return failures.timed_out(model, "total", model.timeouts.total)
    if status is None:
        _LOG.info("LiteLLM failed for %s: %s", model.name, name)
        return ChatError(
            "stream_interrupted",
            f"{failures.name_of(model)} cannot be reached or broke off. "
            f"Check api_base of {model.label}, and that the provider is up.",
        )
    words = _PREFIX.sub("", _PREFIX.sub("", str(getattr(error, "message", error))))
    if "LLM Provider NOT provided" in words:
        return ChatError(
            "provider_unavailable",
            f"LiteLLM knows no provider {model.provider!r}. Check model of {model.label}: provider/model.",
            retryable=False,
        )
    return failures.from_status(model, status, _KINDS.get(name, ""), words, retry_after=_retry_after(error))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The exception and those that it was made from."""
    seen = 0
    while error is not None and seen < 20:
        yield error
        error = error.__cause__ or error.__context__
        seen += 1


def _retry_after(error: Exception) -> float | None:
    """What the provider asked for, in seconds: its headers are kept in one of the exceptions."""
    for cause in _causes(error):
        own = [getattr(cause, "litellm_response_headers", None), getattr(cause, "headers", None)]
        for headers in (*own, getattr(getattr(cause, "response", None), "headers", None)):
            if isinstance(headers, Mapping):
                seconds = parse_retry_after(httpx.Headers(dict(headers)))
                if seconds is not None:
                    return seconds
    return None


def _status(error: Exception) -> int | None:
    """The provider's HTTP status. LiteLLM's `APIConnectionError` says 500 whatever happened: then it is that of the
    exception that it was made from."""
    for cause in _causes(error):
        status = getattr(cause, "status_code", None)
        if isinstance(status, int) and type(cause).__name__ != "APIConnectionError" and 300 <= status < 600:
            return status
    return None
