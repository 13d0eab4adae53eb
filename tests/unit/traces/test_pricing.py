"""What calls cost whose program did not say."""

from __future__ import annotations

import pytest

from ai_assistant.core.trace_event import TraceEvent
from ai_assistant.traces.fold import checked
from ai_assistant.traces.pricing import cost_of

TOKENS = {"prompt_tokens": 1000, "completion_tokens": 500}


@pytest.mark.parametrize(
    ("provider", "model", "dollars"),
    [
        ("openai", "gpt-4o-mini", 1000 * 0.15e-6 + 500 * 0.6e-6),
        ("", "gpt-4o-mini", 1000 * 0.15e-6 + 500 * 0.6e-6),
        ("", "openai/gpt-4o-mini", 1000 * 0.15e-6 + 500 * 0.6e-6),
        ("anthropic", "claude-3-haiku-20240307", 1000 * 0.25e-6 + 500 * 1.25e-6),
    ],
)
def test_a_known_model_has_a_price(provider, model, dollars):
    assert cost_of({"provider": provider, "model": model, **TOKENS}) == pytest.approx(dollars)


@pytest.mark.parametrize(
    "said",
    [
        {"model": "gpt-4o-mini", "provider": "openai"},
        {"model": "gpt-4o-mini", "provider": "a-server-of-ours", **TOKENS},
        {"model": "m-large", "provider": "openai", **TOKENS},
        {"model": "m-large", **TOKENS},
        {"model": "gpt-4o-mini", "provider": "openai", "cost": 0.5, **TOKENS},
        {"model": "gpt-4o-mini", "provider": "openai", "attempt": 1, **TOKENS},
        dict(TOKENS),
        {"model": "gpt-4o-mini", "provider": "openai", "prompt_tokens": 0, "completion_tokens": 0},
    ],
)
def test_otherwise_the_cost_is_not_known(said):
    assert cost_of(said) is None


def test_the_cost_comes_with_the_end():
    fields = {"type": "generation", "provider": "openai", "model": "gpt-4o-mini", **TOKENS}
    event = TraceEvent(1, "end", 1_700_000_000_000_000, "a" * 32, 1, 1, "b" * 16, dict(fields))
    assert checked(event).values["cost"] == pytest.approx(0.00045)
    event = TraceEvent(1, "update", 1_700_000_000_000_000, "a" * 32, 1, 1, "b" * 16, dict(fields))
    assert "cost" not in checked(event).values
