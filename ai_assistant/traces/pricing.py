"""What a call cost whose program did not say: by its model and tokens, from LiteLLM's table, which is read as data."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from ai_assistant.core.model import ModelConfig
from ai_assistant.core.usage import Usage
from ai_assistant.gateway import prices

PROVIDERS: Final = {
    "anthropic": "anthropic",
    "aws.bedrock": "bedrock",
    "azure.ai.openai": "azure",
    "azure.ai.inference": "azure_ai",
    "cohere": "cohere_chat",
    "deepseek": "deepseek",
    "gcp.gemini": "gemini",
    "gcp.gen_ai": "gemini",
    "gcp.vertex_ai": "vertex_ai",
    "google": "gemini",
    "groq": "groq",
    "mistral_ai": "mistral",
    "openai": "openai",
    "perplexity": "perplexity",
    "x_ai": "xai",
}
"""LiteLLM's names of those that OpenTelemetry's conventions name otherwise (GenAI attributes registry,
`gen_ai.provider.name`); any other name is taken as it is."""


def cost_of(said: Mapping[str, Any]) -> float | None:
    """US dollars of what an observation's event says; `None` where its model has no known price, or it says the cost.

    Attempts of this app's own chats are left alone: their prices are the administrator's to know.
    """
    if "cost" in said or "attempt" in said or not said.get("model"):
        return None
    tokens = {name: said[name] for name in Usage.__struct_fields__ if name.endswith("_tokens") and name in said}
    if not (tokens.get("prompt_tokens") or tokens.get("completion_tokens")):
        return None
    model = priced(str(said.get("provider") or ""), str(said["model"]))
    return prices.cost(model, Usage(**tokens)) if model is not None else None


@lru_cache(maxsize=2000)
def priced(provider: str, model: str) -> ModelConfig | None:
    """The model under a name that the table has; `None` where it has none. Without a provider the name alone must say
    it: `provider/model`, or one that the table knows by itself."""
    litellm = PROVIDERS.get(provider, provider)
    names = [f"{litellm}/{model}"] if litellm else [model] if "/" in model else []
    if not litellm and (entry := prices.table().get(model)) is not None and entry.litellm_provider:
        names.append(f"{entry.litellm_provider}/{model}")
    for name in names:
        config = ModelConfig(name=model, model=name)
        entry = prices.facts(config)
        if entry is not None and entry.input_cost_per_token is not None:
            return config
    return None
