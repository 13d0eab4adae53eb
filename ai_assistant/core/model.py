"""A configured model: what an AI Model document or a `[[models]]` table becomes."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Transport = Literal["auto", "direct", "litellm"]
ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh"]


class Prices(msgspec.Struct, frozen=True, kw_only=True):
    """US dollars per million tokens; `None` means: take LiteLLM's table."""

    input: float | None = None
    output: float | None = None
    cached_input: float | None = None


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds that each phase of a provider call may take."""

    connect: float = 10.0
    first_token: float = 120.0
    idle: float = 60.0
    total: float = 900.0


class ModelConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One model as an admin configured it. Holds the key in clear: it lives in the worker's memory only."""

    name: str
    """The name that users choose and `fallbacks` refer to."""
    model: str
    """LiteLLM's `provider/model`, for example `anthropic/claude-sonnet-4-5`; no prefix means OpenAI."""
    title: str = ""
    api_base: str | None = None
    api_key: str | None = None
    transport: Transport = "auto"
    wire: str | None = None
    """Forces a direct wire: `openai-chat`, `openai-responses`, `anthropic` or `ollama`. Usually left out."""
    enabled: bool = True
    is_default: bool = False
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)
    """Sent with each request unless the request says otherwise (temperature, max_tokens, …)."""
    fallbacks: tuple[str, ...] = ()
    prices: Prices = Prices()
    roles: tuple[str, ...] = ()
    """Roles that may use it; empty means everybody who is logged in."""
    context_window: int | None = None
    """Tokens; `None` means LiteLLM's table, or a safe default."""
    max_streams: int = 64
    """Concurrent streams to this model's provider endpoint from one worker."""
    timeouts: Timeouts = Timeouts()
    retries: int = 2
    """Further attempts on the same model before the first delta."""
    demo: bool = False

    @property
    def provider(self) -> str:
        """LiteLLM's provider name: what stands before the first slash of `model`."""
        head, slash, _ = self.model.partition("/")
        return head if slash else "openai"

    @property
    def model_id(self) -> str:
        """The name that the provider knows: `model` without LiteLLM's provider prefix."""
        head, slash, tail = self.model.partition("/")
        return tail if slash else head

    @property
    def label(self) -> str:
        """What a person reads."""
        return self.title or self.name

    def __repr__(self) -> str:
        """Without the key: a config may land in a log line."""
        return f"ModelConfig(name={self.name!r}, model={self.model!r}, api_base={self.api_base!r})"


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a model can do, for the model list."""

    context_window: int | None = None
    """Tokens; `None`: not known."""
    capabilities: dict[str, bool | None] = msgspec.field(default_factory=dict)
    """`vision`, `tools`, `reasoning`, `structured_output`, `pdf`, `audio`; `None`: not known."""
