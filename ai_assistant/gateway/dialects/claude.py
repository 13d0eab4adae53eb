"""What a Claude model takes: by LiteLLM's table where that says it, else by the version in the model's name.

The table that fits Frappe v15's pins is older than the newest models; Anthropic's documents name the versions.
"""

from __future__ import annotations

import re

import msgspec

from ai_assistant.core.model import ModelConfig
from ai_assistant.gateway.prices import ModelFacts, facts, max_output

#: `claude-sonnet-4-5-20250929`, `claude-opus-5`: family, major, minor; a date is no minor version.
_VERSION = re.compile(r"claude-[a-z]+-(\d{1,2})(?:-(\d{1,2}))?(?![\d])")
_THINKS = (3, 7)
_STRUCTURED = (4, 5)
_ADAPTIVE = (4, 6)
_NO_SAMPLING = (4, 7)


class ClaudeTraits(msgspec.Struct, frozen=True):
    """What a model can do, and what it refuses."""

    thinks: bool
    adaptive: bool
    """Takes an effort instead of a budget; from 4.7 on a budget is refused."""
    always_thinks: bool
    xhigh: bool
    sampling: bool
    """Takes `temperature` and `top_p`."""
    structured: bool
    """Takes a JSON schema for its answer."""
    forced_tools: bool
    max_output: int | None


def traits(model: ModelConfig) -> ClaudeTraits:
    """The traits of a model. One that neither the table nor the pattern knows is taken for a 4.x of old."""
    known = facts(model)
    version = _version(model.model_id)
    fact = known or ModelFacts()
    return ClaudeTraits(
        thinks=_either(fact.supports_reasoning, known is None and version >= _THINKS),
        adaptive=_either(fact.supports_adaptive_thinking, version >= _ADAPTIVE),
        always_thinks=bool(fact.thinking_always_on),
        xhigh=_either(fact.supports_xhigh_reasoning_effort, False),
        sampling=_either(fact.supports_sampling_params, version < _NO_SAMPLING),
        structured=_either(fact.supports_native_structured_output, version >= _STRUCTURED),
        forced_tools=_either(fact.supports_forced_tool_use, True),
        max_output=max_output(model),
    )


def _either(told: bool | None, guessed: bool) -> bool:
    return guessed if told is None else told


def _version(name: str) -> tuple[int, int]:
    found = _VERSION.search(name)
    if found is not None:
        return int(found[1]), int(found[2] or 0)
    return (3, 7) if "claude-3-7" in name else (3, 0) if "claude-3" in name else (4, 0)
