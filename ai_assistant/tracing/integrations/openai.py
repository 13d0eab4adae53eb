"""Observes clients of OpenAI's Python SDK, and thereby of every server that speaks like OpenAI."""

from __future__ import annotations

from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from ai_assistant.tracing.integrations.openai_answers import ChatAnswer, EmbeddingsAnswer, ResponsesAnswer
from ai_assistant.tracing.integrations.sdk_client import Endpoint, Observed, checked, observe, options_from

C = TypeVar("C")

ENDPOINTS: Final = {
    "/chat/completions": Endpoint("chat", ChatAnswer),
    "/completions": Endpoint("text_completion", ChatAnswer),
    "/responses": Endpoint("chat", ResponsesAnswer),
    "/embeddings": Endpoint("embeddings", EmbeddingsAnswer),
}
PROVIDERS: Final = {
    "openrouter.ai": "openrouter",
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral",
    "api.x.ai": "xai",
    "api.together.xyz": "together_ai",
    "api.fireworks.ai": "fireworks_ai",
    "api.perplexity.ai": "perplexity",
    "generativelanguage.googleapis.com": "gemini",
}
"""By host, under LiteLLM's names."""


def observe_openai(
    client: C,
    *,
    name: str | None = None,
    provider: str | None = None,
    metadata: dict[str, Any] | None = None,
    **options: Any,
) -> C:
    """Makes each call of an `OpenAI`, `AsyncOpenAI` or Azure client a generation: chat completions, Responses,
    completions and embeddings, streamed or not.

    Gives the same client. `name`: of the observations, else the operation and the model. `provider`: else told by the
    client's address. `options`: `capture_input`, `capture_output`, `capture_reasoning`, `reasoning_max_length`. What
    `with_streaming_response` gives is not observed. Raises TypeError for another object, ValueError for an option.
    """
    checked("observe_openai", client, ("chat",), "an OpenAI or AsyncOpenAI client of the package openai")
    found = provider or provider_of(client)
    return observe(client, Observed(ENDPOINTS, found, options_from("observe_openai", options), name, metadata))


def provider_of(client: Any) -> str:
    """The provider behind the client's address; `openai` where it is not known."""
    if "Azure" in type(client).__name__:
        return "azure"
    host = urlsplit(str(getattr(client, "base_url", ""))).hostname or ""
    return next((name for known, name in PROVIDERS.items() if host == known or host.endswith(f".{known}")), "openai")
