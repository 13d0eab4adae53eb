"""Prices, tokens, waits, breakers and slots."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time

import pytest

from ai_assistant.core.errors import ChatError
from ai_assistant.core.model import ModelConfig, Prices
from ai_assistant.core.usage import Usage
from ai_assistant.gateway import prices, tokens
from ai_assistant.gateway.breaker import CircuitBreaker
from ai_assistant.gateway.request import GatewayRequest
from ai_assistant.gateway.retry import Backoff, parse_retry_after
from ai_assistant.gateway.slots import Slots

FACTS = prices.ModelFacts(
    litellm_provider="anthropic",
    max_input_tokens=200_000,
    max_output_tokens=64_000,
    input_cost_per_token=3e-6,
    output_cost_per_token=15e-6,
    cache_read_input_token_cost=0.3e-6,
    cache_creation_input_token_cost=3.75e-6,
    output_cost_per_reasoning_token=20e-6,
    input_cost_per_token_above_200k_tokens=6e-6,
    output_cost_per_token_above_200k_tokens=22.5e-6,
    cache_read_input_token_cost_above_200k_tokens=0.6e-6,
    supports_vision=True,
)
MODEL = ModelConfig(name="m", model="anthropic/claude-test")


@pytest.fixture
def _table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prices, "table", lambda: {"claude-test": FACTS})


@pytest.mark.usefixtures("_table")
@pytest.mark.parametrize(
    ("usage", "written", "expected"),
    [
        (Usage(prompt_tokens=100, completion_tokens=10), 0, 100 * 3e-6 + 10 * 15e-6),
        (Usage(prompt_tokens=100, completion_tokens=10, cached_tokens=60), 0, 40 * 3e-6 + 60 * 0.3e-6 + 150e-6),
        (Usage(prompt_tokens=100, cached_tokens=60), 30, 10 * 3e-6 + 60 * 0.3e-6 + 30 * 3.75e-6),
        (Usage(completion_tokens=10, reasoning_tokens=4), 0, 6 * 15e-6 + 4 * 20e-6),
        (Usage(prompt_tokens=300_000, cached_tokens=100_000, completion_tokens=10), 0, 1.2 + 0.06 + 225e-6),
        (Usage(prompt_tokens=10, cached_tokens=99), 99, 10 * 0.3e-6),
    ],
)
def test_cost_by_the_table(usage: Usage, written: int, expected: float):
    assert prices.cost(MODEL, usage, written) == pytest.approx(expected)


@pytest.mark.usefixtures("_table")
def test_own_prices_come_first():
    model = ModelConfig(name="m", model="anthropic/claude-test", prices=Prices(input=1, output=2, cached_input=0.1))
    usage = Usage(prompt_tokens=100, completion_tokens=10, cached_tokens=50)
    assert prices.cost(model, usage) == pytest.approx((50 * 1 + 50 * 0.1 + 10 * 2) / 1e6)


@pytest.mark.usefixtures("_table")
def test_facts_of_models():
    assert prices.context_window(MODEL) == 200_000
    assert prices.context_window(ModelConfig(name="m", model="x/claude-test")) is None, "another provider's"
    assert prices.context_window(ModelConfig(name="m", model="x/y", context_window=7)) == 7
    assert prices.cost(ModelConfig(name="m", model="x/y"), Usage(prompt_tokens=1)) is None
    assert prices.capabilities(MODEL).vision is True
    assert prices.capabilities(MODEL).tools is False
    assert prices.capabilities(ModelConfig(name="m", model="x/y")).vision is None


def test_the_real_table():
    found = prices.table()
    assert len(found) > 1000
    gpt = ModelConfig(name="m", model="openai/gpt-4o")
    cost = prices.cost(gpt, Usage(prompt_tokens=1_000_000, completion_tokens=0))
    assert cost is not None
    assert 0.1 < cost < 50
    assert prices.context_window(gpt) == 128_000
    assert prices.capabilities(gpt).vision is True
    assert prices.capabilities(ModelConfig(name="m", model="deepseek/deepseek-reasoner")).reasoning is True


def test_figures_need_no_import_of_litellm():
    code = (
        "import sys; from ai_assistant.gateway import prices, tokens, gateway; prices.table(); "
        "tokens.count_text('hello'); assert 'litellm' not in sys.modules, 'litellm was imported'; "
        "assert 'openai' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# Tokens


def test_counting():
    assert tokens.count_text("Hello world") == 2
    assert tokens.count_text("") == 0
    assert 3 <= tokens.count_text("Größe 世界") <= 8


def test_counting_stays_quick_for_bad_texts():
    started = time.monotonic()
    for text in ("a" * 1_000_000, "ab " * 400_000, "🎉" * 100_000, "\u0000" * 100_000):
        assert tokens.count_text(text) > 1000
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(
    "text", ["Hello, how are you today? I am fine.", "Ich wünsche einen schönen Abend.", "世界你好吗"]
)
def test_the_rule_is_near_the_count(text: str):
    assert tokens.count_text(text) / 2.5 <= tokens.estimate_text(text) <= tokens.count_text(text) * 2.5


def test_estimating_a_conversation():
    call = {"id": "c", "function": {"name": "look", "arguments": '{"a": 1}'}}
    messages = [
        {"role": "user", "content": "x" * 400},
        {"role": "user", "content": [{"type": "text", "text": "x" * 40}, {"type": "image_url", "image_url": {}}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
    ]
    got = tokens.estimate_tokens(messages)
    assert 100 + 10 + tokens.PER_MEDIA < got < 100 + 10 + tokens.PER_MEDIA + 40
    assert tokens.count_prompt(GatewayRequest(messages=messages[:1], tools=[{"a": 1}])) > tokens.count_prompt(
        GatewayRequest(messages=messages[:1])
    )


# Waits


def test_backoff_grows_and_is_bounded():
    backoff = Backoff(first=1.0, longest=4.0)
    error = ChatError("provider_unavailable", "x")
    for attempt, full in ((1, 1.0), (2, 2.0), (3, 4.0), (9, 4.0)):
        delays = [backoff.delay(attempt, error) for _ in range(50)]
        assert all(delay is not None and full / 2 <= delay <= full for delay in delays)
        assert len(set(delays)) > 10, "with jitter"


def test_backoff_obeys_the_provider():
    backoff = Backoff(longest_retry_after=10)
    assert backoff.delay(1, ChatError("provider_rate_limited", "x", retry_after=7)) == 7
    assert backoff.delay(1, ChatError("provider_rate_limited", "x", retry_after=11)) is None
    assert backoff.delay(1, ChatError("provider_auth", "x")) is None


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:10 GMT"}, 10),
        ({"retry-after": "Wed, 21 Oct 2015 07:27:00 GMT"}, 0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-4"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({}, None),
    ],
)
def test_retry_after(headers: dict[str, str], expected: float | None):
    assert parse_retry_after(headers, now=1445412480.0) == expected


# Breaker and slots


def test_breaker():
    clock = [0.0]
    breaker = CircuitBreaker(threshold=2, cooldown=10, clock=lambda: clock[0])
    breaker.failed()
    breaker.succeeded()
    breaker.failed()
    assert (breaker.state, breaker.allow()) == ("closed", True)
    breaker.failed()
    assert (breaker.state, breaker.allow(), breaker.remaining()) == ("open", False, 10)
    clock[0] = 10
    assert breaker.state == "half_open"
    assert breaker.allow(), "one probe"
    assert not breaker.allow(), "and no second one"
    breaker.abandoned()
    assert breaker.allow(), "a cancelled probe leaves the next one free"
    breaker.failed()
    assert breaker.state == "open"
    clock[0] = 20
    assert breaker.allow()
    breaker.succeeded()
    assert (breaker.state, breaker.failures) == ("closed", 0)


async def test_slots_are_given_in_order():
    slots = Slots()
    order: list[int] = []
    assert slots.try_acquire(1)

    async def take(number: int) -> None:
        await slots.acquire(1)
        order.append(number)
        slots.release()

    tasks = [asyncio.ensure_future(take(number)) for number in range(4)]
    await asyncio.sleep(0)
    assert (slots.open, slots.queued) == (1, 4)
    tasks[1].cancel()
    await asyncio.sleep(0)
    slots.release()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert order == [0, 2, 3]
    assert (slots.open, slots.queued) == (0, 0)


async def test_a_slot_given_to_a_cancelled_waiter_is_not_lost():
    slots = Slots()
    assert slots.try_acquire(1)
    waiter = asyncio.ensure_future(slots.acquire(1))
    await asyncio.sleep(0)
    slots.release()
    waiter.cancel()
    await asyncio.gather(waiter, return_exceptions=True)
    assert slots.try_acquire(1)
