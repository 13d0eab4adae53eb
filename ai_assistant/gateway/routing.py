"""Which path a model takes: one of the direct wires, or LiteLLM."""

from __future__ import annotations

import re

from ai_assistant.core.errors import ConfigError
from ai_assistant.core.model import ModelConfig
from ai_assistant.gateway.providers import CHAT_PROVIDERS, is_openai_itself
from ai_assistant.gateway.wires.anthropic import AnthropicWire
from ai_assistant.gateway.wires.base import Wire
from ai_assistant.gateway.wires.ollama import OllamaWire
from ai_assistant.gateway.wires.openai_chat import OpenAIChatWire
from ai_assistant.gateway.wires.openai_responses import OpenAIResponsesWire

_ALL: tuple[Wire, ...] = (OpenAIChatWire(), OpenAIResponsesWire(), AnthropicWire(), OllamaWire())
WIRES: dict[str, Wire] = {wire.name: wire for wire in _ALL}
_OLLAMA = ("ollama", "ollama_chat")
#: OpenAI's reasoning models, which show their reasoning only on the Responses API. The `-chat` ones do not reason.
_REASONS = re.compile(r"(?:o[134]|gpt-[5-9]|codex|computer-use)(?!.*-chat)")


def wire_name(model: ModelConfig) -> str | None:
    """The name of the direct wire that `transport = auto` takes, or `None` for LiteLLM."""
    if model.wire is not None:
        return model.wire
    if is_openai_itself(model) and _REASONS.match(model.model_id):
        return "openai-responses"
    if model.provider == "anthropic":
        return "anthropic"
    if model.provider in _OLLAMA:
        return "ollama"
    return "openai-chat" if model.provider in CHAT_PROVIDERS else None


def route(model: ModelConfig) -> Wire | None:
    """The direct wire of a model, or `None` for LiteLLM. Raises `ConfigError` for a setting that cannot be met:
    call it when the configuration is loaded, too."""
    if model.transport == "litellm":
        if model.wire is not None:
            raise ConfigError("wire", f"model {model.name} has transport = litellm; leave wire out, or use direct")
        return None
    name = wire_name(model)
    if name is None:
        if model.transport == "direct":
            raise ConfigError(
                "transport",
                f"there is no direct wire for {model.provider} (model {model.name}); use transport = auto or "
                f"litellm, or set wire to one of {', '.join(WIRES)}",
            )
        return None
    if name not in WIRES:
        raise ConfigError("wire", f"{name!r} of model {model.name} is none of {', '.join(WIRES)}")
    return WIRES[name]
