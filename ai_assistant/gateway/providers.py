"""The OpenAI-compatible providers: LiteLLM's names, default addresses and accents.

Sources: each provider's own API reference; the names are LiteLLM's, so that a configured model keeps its meaning.
"""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

import msgspec

from ai_assistant.core.model import ModelConfig

EffortStyle = Literal["openai", "low_high", "openrouter", "thinking", "enable_thinking", "high_or_none", "none"]


class ChatProvider(msgspec.Struct, frozen=True):
    """How one provider speaks chat completions."""

    base: str | None
    """Default address; `None` where the admin must give `api_base`."""
    effort: EffortStyle = "openai"
    """How `reasoning_effort` is said: see `dialects.openai_chat`."""
    include_usage: bool = True
    """Whether `stream_options.include_usage` is understood (the others send usage unasked)."""
    echo_reasoning: bool = False
    """Whether the reasoning before a tool call must come back with the tool's result."""


CHAT_PROVIDERS: dict[str, ChatProvider] = {
    "openai": ChatProvider("https://api.openai.com/v1"),
    "deepseek": ChatProvider("https://api.deepseek.com/v1", effort="thinking", echo_reasoning=True),
    "openrouter": ChatProvider("https://openrouter.ai/api/v1", effort="openrouter"),
    "groq": ChatProvider("https://api.groq.com/openai/v1"),
    "mistral": ChatProvider("https://api.mistral.ai/v1", effort="high_or_none", include_usage=False),
    "codestral": ChatProvider("https://codestral.mistral.ai/v1", effort="none", include_usage=False),
    "xai": ChatProvider("https://api.x.ai/v1", effort="low_high"),
    "together_ai": ChatProvider("https://api.together.xyz/v1"),
    "fireworks_ai": ChatProvider("https://api.fireworks.ai/inference/v1"),
    "perplexity": ChatProvider("https://api.perplexity.ai", include_usage=False),
    "cerebras": ChatProvider("https://api.cerebras.ai/v1"),
    "moonshot": ChatProvider("https://api.moonshot.ai/v1", effort="thinking", echo_reasoning=True),
    "dashscope": ChatProvider("https://dashscope-intl.aliyuncs.com/compatible-mode/v1", effort="enable_thinking"),
    "nvidia_nim": ChatProvider("https://integrate.api.nvidia.com/v1"),
    "sambanova": ChatProvider("https://api.sambanova.ai/v1"),
    "deepinfra": ChatProvider("https://api.deepinfra.com/v1/openai"),
    "novita": ChatProvider("https://api.novita.ai/v3/openai"),
    "nebius": ChatProvider("https://api.studio.nebius.ai/v1"),
    "hyperbolic": ChatProvider("https://api.hyperbolic.xyz/v1"),
    "zai": ChatProvider("https://api.z.ai/api/paas/v4", effort="thinking", echo_reasoning=True),
    "minimax": ChatProvider("https://api.minimax.io/v1"),
    "volcengine": ChatProvider("https://ark.cn-beijing.volces.com/api/v3", effort="thinking"),
    "featherless_ai": ChatProvider("https://api.featherless.ai/v1"),
    "friendliai": ChatProvider("https://api.friendli.ai/serverless/v1"),
    "lambda_ai": ChatProvider("https://api.lambda.ai/v1"),
    "lm_studio": ChatProvider("http://127.0.0.1:1234/v1"),
    "llamafile": ChatProvider("http://127.0.0.1:8080/v1"),
    "xinference": ChatProvider("http://127.0.0.1:9997/v1"),
    "vllm": ChatProvider(None),
    "hosted_vllm": ChatProvider(None),
    "openai_like": ChatProvider(None),
    "custom_openai": ChatProvider(None),
    "litellm_proxy": ChatProvider(None),
}

#: Of a provider that is not in the table and whose `wire` is forced to `openai-chat`.
UNKNOWN = ChatProvider(None)


def chat_provider(model: ModelConfig) -> ChatProvider:
    """The accent of a model's provider."""
    return CHAT_PROVIDERS.get(model.provider, UNKNOWN)


def is_openai_itself(model: ModelConfig) -> bool:
    """Whether the model is served by OpenAI's own API, not by a server that imitates it."""
    if model.provider != "openai":
        return False
    host = urlsplit(model.api_base).hostname if model.api_base else "api.openai.com"
    return host is not None and (host == "openai.com" or host.endswith(".openai.com"))


def endpoint(model: ModelConfig, default: str | None) -> str | None:
    """The address that a model's requests go to, without a trailing slash; streams are limited per endpoint."""
    base = model.api_base or default
    return base.rstrip("/") if base else None
