"""Which model answers: the one named, the mode's, or the default, as far as the user may use it."""

from __future__ import annotations

from typing import Any

from ai_assistant.core.chat import ChatRequest
from ai_assistant.core.check import shown
from ai_assistant.core.errors import PermissionError_, ValidationError
from ai_assistant.core.model import ModelConfig, ModelFacts
from ai_assistant.core.session import User
from ai_assistant.core.settings import Settings


def allowed_models(models: dict[str, ModelConfig], user: User) -> list[ModelConfig]:
    """The enabled models that the user may use, in the admin's order."""
    return [model for model in models.values() if model.enabled and user.may_use(model.roles)]


def chosen_model(
    models: dict[str, ModelConfig], settings: Settings, user: User, request: ChatRequest | None
) -> ModelConfig:
    """The model for a request (`None`: the user's default).

    Raises ValidationError for an unknown or disabled model, PermissionError_ for one kept to other roles.
    """
    named = request.model if request else None
    allowed = allowed_models(models, user)
    if named:
        return checked_provider(named_model(models, user, named, allowed), request)
    mode = settings.modes.get(request.mode if request else "ask")
    for name in (mode.model if mode else None, settings.default_model):
        for model in allowed:
            if name == model.name and provider_fits(model, request):
                return model
    for model in allowed:
        if provider_fits(model, request):
            return model
    if request and request.provider:
        raise ValidationError(
            f"provider: no model of {shown(request.provider)} is open to you; "
            f"there are: {', '.join(sorted({m.provider for m in allowed})) or 'none'}"
        )
    raise ValidationError("model: no model is configured that you may use; ask your administrator to add one")


def named_model(models: dict[str, ModelConfig], user: User, name: str, allowed: list[ModelConfig]) -> ModelConfig:
    """The model of that name; a provider's own name of a configured model is taken too."""
    model = models.get(name) or next((m for m in allowed if name in (m.model, m.model_id)), None)
    if model is None:
        known = ", ".join(m.name for m in allowed[:20]) or "none"
        raise ValidationError(f"model: there is no model {shown(name)}; you may use: {known}")
    if not model.enabled:
        raise ValidationError(f"model: {shown(model.name)} is disabled; choose another one")
    if not user.may_use(model.roles):
        raise PermissionError_(f"model: {shown(model.name)} is kept to other roles; choose another one")
    return model


def provider_fits(model: ModelConfig, request: ChatRequest | None) -> bool:
    """Whether the model is of the provider that the request wants."""
    return not (request and request.provider) or request.provider == model.provider


def checked_provider(model: ModelConfig, request: ChatRequest | None) -> ModelConfig:
    """The model, if it is of the provider that the request names."""
    if not provider_fits(model, request):
        raise ValidationError(
            f"provider: the model {shown(model.name)} is of {model.provider}, not of "
            f"{shown(request.provider if request else '')}; leave provider out"
        )
    return model


def candidates(models: dict[str, ModelConfig], name: str, user: User) -> list[ModelConfig]:
    """The model and its fallbacks in order, without those that are disabled or kept from the user, none twice."""
    found: dict[str, ModelConfig] = {}
    queue = [name]
    while queue:
        model = models.get(queue.pop(0))
        if model is None or model.name in found or not user.may_use(model.roles):
            continue
        found[model.name] = model
        queue.extend(model.fallbacks)
    return [model for model in found.values() if model.enabled]


def described(model: ModelConfig, default: ModelConfig, facts: ModelFacts) -> dict[str, Any]:
    """A row of `get_models`."""
    return {
        "name": model.name,
        "title": model.label,
        "model": model.model,
        "provider": model.provider,
        "is_default": model.name == default.name,
        "demo": model.demo,
        "context_window": facts.context_window,
        "capabilities": facts.capabilities,
        "fallbacks": list(model.fallbacks),
    }
