"""What is known of a model beforehand: prices, window, capabilities. Read from LiteLLM's table as data.

The table ships inside the litellm package as JSON; litellm itself is not imported. Only the fields below are kept.
Prices are US dollars per token there, and per million tokens in `core.model.Prices`.
"""

from __future__ import annotations

import asyncio
import functools
import importlib.util
import logging
from pathlib import Path
from typing import Any

import msgspec

from ai_assistant.core import model as core
from ai_assistant.core.model import ModelConfig
from ai_assistant.core.usage import Usage

_LOG = logging.getLogger(__name__)
_TABLE_FILE = "model_prices_and_context_window_backup.json"


class ModelFacts(msgspec.Struct, frozen=True, gc=False):
    """One entry of the table. `None`: the table does not say."""

    litellm_provider: str | None = None
    mode: str | None = None
    max_tokens: int | None = None
    max_input_tokens: int | None = None
    max_output_tokens: int | None = None
    input_cost_per_token: float | None = None
    output_cost_per_token: float | None = None
    output_cost_per_reasoning_token: float | None = None
    cache_read_input_token_cost: float | None = None
    cache_creation_input_token_cost: float | None = None
    input_cost_per_token_above_200k_tokens: float | None = None
    output_cost_per_token_above_200k_tokens: float | None = None
    cache_read_input_token_cost_above_200k_tokens: float | None = None
    input_cost_per_token_above_272k_tokens: float | None = None
    output_cost_per_token_above_272k_tokens: float | None = None
    cache_read_input_token_cost_above_272k_tokens: float | None = None
    supports_vision: bool | None = None
    supports_function_calling: bool | None = None
    supports_reasoning: bool | None = None
    supports_response_schema: bool | None = None
    supports_native_structured_output: bool | None = None
    supports_pdf_input: bool | None = None
    supports_audio_input: bool | None = None
    supports_adaptive_thinking: bool | None = None
    supports_sampling_params: bool | None = None
    supports_none_reasoning_effort: bool | None = None
    supports_minimal_reasoning_effort: bool | None = None
    supports_xhigh_reasoning_effort: bool | None = None
    supports_forced_tool_use: bool | None = None
    thinking_always_on: bool | None = None


class Capabilities(msgspec.Struct, frozen=True):
    """What a model can do, for the model list. `None`: not known."""

    vision: bool | None = None
    tools: bool | None = None
    reasoning: bool | None = None
    structured_output: bool | None = None
    pdf: bool | None = None
    audio: bool | None = None


@functools.lru_cache(maxsize=1)
def table() -> dict[str, ModelFacts]:
    """LiteLLM's table, read once (about 50 ms): call it in a thread from an event loop. Empty without litellm."""
    spec = importlib.util.find_spec("litellm")
    places = list(spec.submodule_search_locations or ()) if spec else []
    if not places:
        _LOG.warning("litellm is not installed: prices and context windows of models are not known")
        return {}
    try:
        raw = msgspec.json.decode((Path(places[0]) / _TABLE_FILE).read_bytes(), type=dict[str, msgspec.Raw])
    except (OSError, msgspec.MsgspecError) as error:
        _LOG.warning("LiteLLM's price table cannot be read: %s", error)
        return {}
    decoder = msgspec.json.Decoder(ModelFacts)
    facts: dict[str, ModelFacts] = {}
    skipped = 0
    for name, entry in raw.items():
        try:
            facts[name] = decoder.decode(entry)
        except msgspec.MsgspecError:
            skipped += 1
    _LOG.debug("price table: %d models, %d entries not understood", len(facts), skipped)
    return facts


async def load() -> None:
    """Read the table off the event loop, once; costs nothing after that."""
    if not table.cache_info().currsize:
        await asyncio.to_thread(table)


def facts(model: ModelConfig) -> ModelFacts | None:
    """The entry of a model: `provider/model`, or the bare model name where it is the same provider's."""
    known = table()
    entry = known.get(model.model)
    if entry is None:
        entry = known.get(model.model_id)
        if entry is not None and entry.litellm_provider != model.provider:
            entry = None
    return entry


def context_window(model: ModelConfig) -> int | None:
    """Tokens that prompt and answer may have together: the admin's figure, else the table's, else `None`."""
    if model.context_window:
        return model.context_window
    entry = facts(model)
    return (entry.max_input_tokens or entry.max_tokens) if entry else None


def max_output(model: ModelConfig) -> int | None:
    """Tokens that one answer may have, by the table."""
    entry = facts(model)
    return (entry.max_output_tokens or entry.max_tokens) if entry else None


def capabilities(model: ModelConfig) -> Capabilities:
    """For the model list. In the table an absent flag means no, except for a model that is not in it."""
    entry = facts(model)
    if entry is None:
        return Capabilities()
    return Capabilities(
        vision=bool(entry.supports_vision),
        tools=bool(entry.supports_function_calling),
        reasoning=bool(entry.supports_reasoning),
        structured_output=bool(entry.supports_response_schema),
        pdf=bool(entry.supports_pdf_input),
        audio=bool(entry.supports_audio_input),
    )


def public_facts(model: ModelConfig) -> core.ModelFacts:
    """What `get_models` tells of a model."""
    return core.ModelFacts(
        context_window=context_window(model), capabilities=msgspec.structs.asdict(capabilities(model))
    )


def cost(model: ModelConfig, usage: Usage, cache_write_tokens: int = 0) -> float | None:
    """US dollars of one answer: own prices first, then the table's; `None` where no price is known.

    Cached prompt tokens are read at their own price, `cache_write_tokens` (part of the prompt tokens) written at
    theirs. Reasoning tokens are part of the completion; a few models price them apart.
    """
    own = model.prices
    if own.input is not None or own.output is not None:
        return _own_cost(model, usage)
    entry = facts(model)
    if entry is None or entry.input_cost_per_token is None:
        return None
    price_in, price_out, price_cached = _tier(entry, usage.prompt_tokens)
    price_written = entry.cache_creation_input_token_cost
    price_thought = entry.output_cost_per_reasoning_token
    cached = min(usage.cached_tokens, usage.prompt_tokens)
    written = min(cache_write_tokens, usage.prompt_tokens - cached)
    thought = min(usage.reasoning_tokens, usage.completion_tokens)
    return (
        (usage.prompt_tokens - cached - written) * price_in
        + cached * (price_in if price_cached is None else price_cached)
        + written * (price_in if price_written is None else price_written)
        + (usage.completion_tokens - thought) * price_out
        + thought * (price_out if price_thought is None else price_thought)
    )


def _own_cost(model: ModelConfig, usage: Usage) -> float:
    price_in = model.prices.input or 0.0
    price_cached = price_in if model.prices.cached_input is None else model.prices.cached_input
    cached = min(usage.cached_tokens, usage.prompt_tokens)
    total = (usage.prompt_tokens - cached) * price_in + cached * price_cached
    return (total + usage.completion_tokens * (model.prices.output or 0.0)) / 1_000_000


def _tier(entry: ModelFacts, prompt_tokens: int) -> tuple[float, float, float | None]:
    """Prices for input, output and cached input: long prompts cost more with some providers."""
    price_in = entry.input_cost_per_token or 0.0
    price_out = entry.output_cost_per_token or 0.0
    cached = entry.cache_read_input_token_cost
    for limit, above in (
        (200_000, _above(entry, "200k")),
        (272_000, _above(entry, "272k")),
    ):
        if prompt_tokens > limit and above[0] is not None:
            price_in = above[0]
            price_out = above[1] if above[1] is not None else price_out
            cached = above[2] if above[2] is not None else cached
    return price_in, price_out, cached


def _above(entry: ModelFacts, size: str) -> tuple[Any, Any, Any]:
    return (
        getattr(entry, f"input_cost_per_token_above_{size}_tokens"),
        getattr(entry, f"output_cost_per_token_above_{size}_tokens"),
        getattr(entry, f"cache_read_input_token_cost_above_{size}_tokens"),
    )
