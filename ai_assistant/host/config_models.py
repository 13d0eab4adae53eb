"""The models of the embedded host: from the config file's `[[models]]`, else from the keys in the environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ai_assistant.core import model_rules
from ai_assistant.core.errors import ConfigError
from ai_assistant.core.model import ModelConfig, Prices, Timeouts, Transport
from ai_assistant.gateway.routing import route
from ai_assistant.host.config_table import ConfigTable
from ai_assistant.host.ollama import installed_models, ollama_url

PROVIDER_KEYS = {
    "openai": "OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "deepseek": "DEEPSEEK_API_KEY",
    "gemini": "GEMINI_API_KEY",
    "groq": "GROQ_API_KEY",
    "mistral": "MISTRAL_API_KEY",
    "openrouter": "OPENROUTER_API_KEY",
    "xai": "XAI_API_KEY",
}
"""Where a model has neither `api_key` nor `api_base`, its key is taken from here. Never with an `api_base`: a key
must not go to another address by accident."""

DEFAULT_MODELS: dict[str, tuple[tuple[str, str], ...]] = {
    "ANTHROPIC_API_KEY": (
        ("anthropic/claude-sonnet-5-5", "Claude Sonnet 5.5"),
        ("anthropic/claude-opus-5-5", "Claude Opus 5.5"),
        ("anthropic/claude-haiku-5-5", "Claude Haiku 5.5"),
    ),
    "OPENAI_API_KEY": (
        ("openai/gpt-6.1-sol", "GPT-6.1 Sol"),
        ("openai/gpt-6-luna", "GPT-6 Luna"),
        ("openai/gpt-6-astra", "GPT-6 Astra"),
    ),
    "DEEPSEEK_API_KEY": (
        ("deepseek/deepseek-v4-flash", "DeepSeek V4 Flash"),
        ("deepseek/deepseek-v4-pro", "DeepSeek V4 Pro"),
    ),
}
"""The models that a key alone gives, as LiteLLM's price table names them (November 2026); the first is the default."""

OLLAMA_MODELS = ("qwen3", "gpt-oss:20b")
"""Models that think, for an Ollama that says nothing of what it has."""

DEMO_MODEL = ModelConfig(name="demo", title="Demonstration model", model="openai/demo", demo=True)
"""Stands in when there is no model at all. The host fills in `api_base` when it starts."""


def models_of_file(root: ConfigTable, environ: Mapping[str, str]) -> tuple[ModelConfig, ...]:
    """The `[[models]]` of a config file, checked one by one and against each other."""
    tables = root.tables("models")
    models = tuple(_model(table, environ) for table in tables)
    _check_names(tables, models)
    _check_fallbacks(tables, models)
    return models


def models_of_environment(environ: Mapping[str, str]) -> tuple[ModelConfig, ...]:
    """Models for the keys that are set; none when there is no key."""
    models = [
        ModelConfig(name=model.partition("/")[2], title=title, model=model, api_key=environ[variable].strip())
        for variable, rows in DEFAULT_MODELS.items()
        if environ.get(variable, "").strip()
        for model, title in rows
    ]
    if environ.get("OLLAMA_HOST", "").strip():
        models += _ollama_models(environ)
    return tuple(models)


def _ollama_models(environ: Mapping[str, str]) -> list[ModelConfig]:
    base = ollama_url(environ["OLLAMA_HOST"])
    chosen = [name.strip() for name in environ.get("AI_ASSISTANT_OLLAMA_MODELS", "").split(",")]
    names = [name for name in chosen if name] or installed_models(base) or OLLAMA_MODELS
    return [
        ModelConfig(name=name.replace("/", "-"), title=f"{name} (Ollama)", model=f"ollama/{name}", api_base=base)
        for name in names
    ]


def _model(table: ConfigTable, environ: Mapping[str, str]) -> ModelConfig:
    """One `[[models]]` table."""
    enabled = table.boolean("enabled", True)
    name, model = table.required("name"), table.required("model")
    if len(name) > 140:
        raise table.error("name", f"{len(name)} characters; at most 140 are allowed")
    if problem := model_rules.model_problem(model):
        raise table.error("model", problem)
    config = ModelConfig(
        name=name,
        model=model,
        title=table.text("title") or "",
        api_base=_api_base(table),
        api_key=_api_key(table, model, environ, enabled),
        transport=cast(Transport, table.text("transport", "auto", choices=model_rules.TRANSPORTS)),
        wire=_wire(table),
        enabled=enabled,
        parameters=parameters_of(table),
        fallbacks=table.strings("fallbacks"),
        prices=_prices(table.table("prices")),
        roles=table.strings("roles"),
        context_window=table.integer("context_window", 0, low=1) or None,
        max_streams=table.integer("max_streams", 64, low=1, high=10_000),
        timeouts=_timeouts(table.table("timeouts")),
        retries=table.integer("retries", 2, high=20),
    )
    table.done()
    check_route(table, config)
    return config


def check_route(table: ConfigTable, config: ModelConfig) -> None:
    """That its transport and wire can be had for its provider, at the start instead of with the first question."""
    try:
        route(config)
    except ConfigError as error:
        raise table.error(error.key.rsplit(".", 1)[-1], error.message) from error


def _api_base(table: ConfigTable) -> str | None:
    url = table.secret("api_base")
    if url and (problem := model_rules.api_base_problem(url)):
        raise table.error("api_base", problem)
    return url.rstrip("/") if url else None


def _api_key(table: ConfigTable, model: str, environ: Mapping[str, str], enabled: bool) -> str | None:
    """The key. A disabled model may name a variable that is not set."""
    if not enabled and table.is_env("api_key"):
        return None
    if table.has("api_key") or table.has("api_base"):
        return table.secret("api_key")
    provider = model.partition("/")[0] if "/" in model else "openai"
    return environ.get(PROVIDER_KEYS.get(provider, ""), "").strip() or None


def _wire(table: ConfigTable) -> str | None:
    wire = table.text("wire", choices=model_rules.WIRES)
    if wire and table.text("transport") == "litellm":
        raise table.error("wire", 'has no use with transport = "litellm"; take one of the two out')
    return wire


def parameters_of(table: ConfigTable) -> dict[str, Any]:
    """The `parameters` table of a model or of a mode."""
    parameters = table.mapping("parameters")
    if problem := model_rules.parameters_problem(parameters):
        raise table.error("parameters", problem)
    return parameters


def _prices(table: ConfigTable) -> Prices:
    prices = Prices(**{name: table.number(name, None) for name in ("input", "output", "cached_input")})
    table.done()
    return prices


def _timeouts(table: ConfigTable) -> Timeouts:
    default = Timeouts()
    names = ("connect", "first_token", "idle", "total")
    timeouts = Timeouts(**{name: table.number(name, getattr(default, name), above=True) for name in names})
    table.done()
    return timeouts


def _check_names(tables: list[ConfigTable], models: tuple[ModelConfig, ...]) -> None:
    first: dict[str, int] = {}
    for i, model in enumerate(models):
        if model.name in first:
            raise tables[i].error("name", f'"{model.name}" is the name of models[{first[model.name]}] already')
        first[model.name] = i


def _check_fallbacks(tables: list[ConfigTable], models: tuple[ModelConfig, ...]) -> None:
    names = {model.name: model.fallbacks for model in models}
    for table, model in zip(tables, models, strict=True):
        for j, fallback in enumerate(model.fallbacks):
            key = f"fallbacks[{j}]"
            if fallback not in names:
                raise table.error(key, f'there is no model "{fallback}"; there are: {", ".join(names)}')
            if fallback == model.name:
                raise table.error(key, f'"{fallback}" is this model itself; take it out')
    for table, model in zip(tables, models, strict=True):
        if loop := model_rules.fallback_loop(names, model.name):
            key = f"fallbacks[{model.fallbacks.index(loop[1])}]"
            raise table.error(key, f"leads back to this model ({' → '.join(loop)}); take one of these fallbacks out")
