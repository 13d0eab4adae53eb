"""The models: there is one, it has what its provider asks for, and its address answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import aclosing

import httpx
import msgspec

from ai_assistant.core.errors import ChatError, ConfigError
from ai_assistant.core.model import ModelConfig, Timeouts
from ai_assistant.core.settings import Settings
from ai_assistant.gateway import prices
from ai_assistant.gateway.chunks import ReasoningDelta, TextDelta
from ai_assistant.gateway.client import make_client
from ai_assistant.gateway.gateway import Gateway
from ai_assistant.gateway.providers import CHAT_PROVIDERS
from ai_assistant.gateway.request import GatewayRequest
from ai_assistant.gateway.routing import route
from ai_assistant.site.doctor.finding import Finding, Subject, failure, note, ok, warning

REACH_S = 4.0
ASK_TIMEOUTS = Timeouts(connect=5.0, first_token=30.0, idle=15.0, total=45.0)
QUESTION = "Answer with the single word: ready"
OTHER_BASES = {"anthropic": "https://api.anthropic.com", "ollama": "http://127.0.0.1:11434"}
"""Addresses of the wires that are not in `CHAT_PROVIDERS`: each provider's own documentation."""
KEYLESS = frozenset(
    {"ollama", "ollama_chat", "lm_studio", "llamafile", "xinference", "vllm", "hosted_vllm", "openai_like"}
)
"""Providers that people run themselves and that ask for no key unless told to."""


def check(subject: Subject) -> Iterator[Finding]:
    """All models, without calling one."""
    models, settings = configured(subject)
    enabled = [model for model in models.values() if model.enabled]
    if not enabled:
        off = f" ({len(models)} are there, all disabled)" if models else ""
        yield failure(
            "models.enabled",
            f"No model is enabled{off}: nobody can chat.",
            "In the Desk: /app/ai-model/new, then its button Test",
            count=0,
        )
        return
    yield ok(
        "models.enabled", f"{len(enabled)} enabled: {', '.join(model.name for model in enabled)}", count=len(enabled)
    )
    yield default(models, settings, enabled)
    for model in enabled:
        yield from setting(model)
        yield from key(model)
        yield from fallbacks(model, models)
    yield from unpriced(enabled)
    yield from asyncio.run(reached(enabled))


def configured(subject: Subject) -> tuple[dict[str, ModelConfig], Settings]:
    """The models with their keys, and the settings."""
    with subject.open() as access:
        return access.models(), access.settings()


def default(models: dict[str, ModelConfig], settings: Settings, enabled: list[ModelConfig]) -> Finding:
    """The model for requests that name none."""
    name = settings.default_model
    if not name:
        return note(
            "models.default",
            f"No default model is set; {enabled[0].name}, the oldest enabled one, is taken.",
            "In the Desk: /app/ai-assistant-settings, Default Model",
        )
    model = models.get(name)
    if model is None or not model.enabled:
        state = "disabled" if model else "gone"
        return failure(
            "models.default",
            f"The default model {name} is {state}; {enabled[0].name} is taken instead.",
            "In the Desk: /app/ai-assistant-settings, Default Model",
            model=name,
        )
    return ok("models.default", f"Default: {name}", model=name)


def setting(model: ModelConfig) -> Iterator[Finding]:
    """Settings that cannot be met."""
    try:
        route(model)
    except ConfigError as error:
        yield failure("models.setting", f"{model.name}: {error}", at_form(model), model=model.name)


def key(model: ModelConfig) -> Iterator[Finding]:
    """A key where the provider asks for one."""
    if model.api_key or model.demo or model.provider in KEYLESS:
        return
    if model.api_base:
        yield note(
            "models.key", f"{model.name} has no API key; right if {model.api_base} asks for none.", model=model.name
        )
    elif is_direct(model):
        text = f"{model.name} has no API key, and {model.provider} answers nobody without one."
        yield failure("models.key", text, f"{at_form(model)}, API Key", model=model.name)
    else:
        text = (
            f"{model.name} has no API key: LiteLLM takes {model.provider}'s credentials from the worker's environment."
        )
        yield note("models.key", text, model=model.name)


def is_direct(model: ModelConfig) -> bool:
    """Whether our own wire speaks to it, so that its needs are known."""
    try:
        return route(model) is not None
    except ConfigError:
        return False


def unpriced(models: list[ModelConfig]) -> Iterator[Finding]:
    """Models whose cost cannot be told; budgets in tokens are not concerned."""
    found = [model.name for model in models if not is_priced(model)]
    if found:
        text = f"No price is known of {', '.join(found)}: the cost of their answers is shown as unknown."
        yield note("models.price", text, "In the Desk: /app/ai-model, Own Prices of each model", models=found)


def is_priced(model: ModelConfig) -> bool:
    """Whether the form or LiteLLM's table has a price."""
    entry = prices.facts(model)
    own = model.prices.input is not None or model.prices.output is not None
    return own or (entry is not None and entry.input_cost_per_token is not None)


def fallbacks(model: ModelConfig, models: dict[str, ModelConfig]) -> Iterator[Finding]:
    """Fallbacks that would not be asked."""
    off = [name for name in model.fallbacks if name not in models or not models[name].enabled]
    if off:
        yield warning(
            "models.fallbacks",
            f"{model.name}: its fallback {', '.join(off)} is disabled or gone, and is left out.",
            f"{at_form(model)}, Fallbacks",
            model=model.name,
        )


def at_form(model: ModelConfig) -> str:
    """Where the model is changed."""
    return f"In the Desk: /app/ai-model/{model.name}"


def base_of(model: ModelConfig) -> str | None:
    """The address that the model's requests go to, as far as it is known without LiteLLM."""
    provider = CHAT_PROVIDERS.get(model.provider)
    name = "ollama" if model.provider.startswith("ollama") else model.provider
    return model.api_base or (provider.base if provider else OTHER_BASES.get(name))


async def reached(models: list[ModelConfig]) -> list[Finding]:
    """Each address once, all at the same time, by the client that the worker uses."""
    bases: dict[str, list[str]] = {}
    for model in models:
        if base := base_of(model):
            bases.setdefault(base, []).append(model.name)
    client = make_client(len(bases) or 1, 1)
    try:
        return list(await asyncio.gather(*(answers(client, base, names) for base, names in bases.items())))
    finally:
        await client.aclose()


async def answers(client: httpx.AsyncClient, base: str, names: list[str]) -> Finding:
    """Any HTTP answer will do: without a key it is a refusal."""
    who, started = f"{base} (of {', '.join(names)})", time.perf_counter()
    try:
        async with client.stream("GET", base, timeout=httpx.Timeout(REACH_S)):
            pass  # the status line is enough
    except httpx.RemoteProtocolError:
        return ok("models.reached", f"{who} takes connections; it answers no plain GET", base=base, models=names)
    except (httpx.HTTPError, OSError, asyncio.TimeoutError) as error:
        return failure(
            "models.reached",
            f"{who} does not answer: {str(error) or type(error).__name__}",
            f"curl -sS -m 10 -o /dev/null -w '%{{http_code}}\\n' {base}   (on the machine of the workers)",
            "Behind a proxy? HTTPS_PROXY in the environment of the workers",
            base=base,
            models=names,
        )
    took = round((time.perf_counter() - started) * 1000)
    return ok("models.reached", f"{who} answers in {took} ms", base=base, models=names, ms=took)


def ask(subject: Subject) -> Iterator[Finding]:
    """Asks each enabled model a short line, as the worker does. Costs a few tokens."""
    models, _ = configured(subject)
    for model in models.values():
        if model.enabled:
            yield asyncio.run(asked(model))


async def asked(model: ModelConfig) -> Finding:
    """One answer, or the provider's error in words."""
    gateway, started = Gateway(), time.perf_counter()
    model = msgspec.structs.replace(model, retries=0, timeouts=ASK_TIMEOUTS)
    request = GatewayRequest(messages=[{"role": "user", "content": QUESTION}])
    first: float | None = None
    text = ""
    try:
        async with aclosing(gateway.stream(request, [model])) as stream:
            async for chunks in stream:
                for chunk in chunks:
                    if isinstance(chunk, (TextDelta, ReasoningDelta)):
                        first = first or time.perf_counter() - started
                    text += chunk.text if isinstance(chunk, TextDelta) else ""
    except ChatError as error:
        return failure(
            "models.asked",
            f"{model.name}: {error.message} ({error.code})",
            at_form(model),
            model=model.name,
            code=error.code,
        )
    finally:
        await gateway.aclose()
    if first is None:
        return failure("models.asked", f"{model.name} ended without a word.", at_form(model), model=model.name)
    total = time.perf_counter() - started
    return ok(
        "models.asked",
        f"{model.name}: first token after {first:.2f} s, whole answer after {total:.2f} s: {short(text)}",
        model=model.name,
        ttft_ms=round(first * 1000),
        total_ms=round(total * 1000),
    )


def short(text: str) -> str:
    """The first few words, on one line."""
    words = "".join(letter if letter.isprintable() else " " for letter in text).split()
    line = " ".join(words)
    return f"“{line[:60]}{'…' if len(line) > 60 else ''}”" if line else "(only reasoning)"
