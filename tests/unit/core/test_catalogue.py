"""Which model answers."""

from __future__ import annotations

import pytest

from ai_assistant.core.catalogue import candidates, chosen_model
from ai_assistant.core.chat import ChatRequest
from ai_assistant.core.errors import ApiError, PermissionError_, ValidationError
from ai_assistant.core.model import ModelConfig
from ai_assistant.core.session import User
from ai_assistant.core.settings import Mode, Settings

ADA = User(name="ada", roles=frozenset({"Dev"}))
BOB = User(name="bob")
MODELS = {
    model.name: model
    for model in (
        ModelConfig(name="off", model="openai/a", enabled=False),
        ModelConfig(name="fast", model="deepseek/chat", fallbacks=("slow", "secret", "off", "fast")),
        ModelConfig(name="slow", model="openai/b", fallbacks=("fast", "last")),
        ModelConfig(name="secret", model="openai/c", roles=("Dev",)),
        ModelConfig(name="last", model="ollama/d"),
    )
}


def chosen(user: User = BOB, settings: Settings | None = None, **request: str) -> str:
    asked = ChatRequest(messages=[], **request)  # type: ignore[arg-type]
    return chosen_model(MODELS, settings or Settings(), user, asked).name


def test_named_default_mode_and_first() -> None:
    assert chosen(model="slow") == "slow"
    assert chosen(model="ollama/d") == "last"
    assert chosen() == "fast"
    assert chosen(settings=Settings(default_model="slow")) == "slow"
    agent = Settings(default_model="slow", modes={"agent": Mode(model="last")})
    assert chosen(settings=agent, mode="agent") == "last"
    assert chosen(settings=agent) == "slow"
    assert chosen(settings=Settings(default_model="secret")) == "fast"
    assert chosen(ADA, Settings(default_model="secret")) == "secret"
    assert chosen(provider="ollama") == "last"


@pytest.mark.parametrize(
    ("request_", "error", "words"),
    [
        ({"model": "none"}, ValidationError, "model: there is no model 'none'; you may use: fast, slow, last"),
        ({"model": "off"}, ValidationError, "model: 'off' is disabled"),
        ({"model": "secret"}, PermissionError_, "model: 'secret' is kept to other roles"),
        ({"provider": "mistral"}, ValidationError, "provider: no model of 'mistral' is open to you"),
        ({"model": "fast", "provider": "openai"}, ValidationError, "provider: the model 'fast' is of deepseek"),
    ],
)
def test_refusals_say_what_to_do(request_: dict[str, str], error: type[ApiError], words: str) -> None:
    with pytest.raises(error) as refused:
        chosen(**request_)
    assert words in refused.value.message


def test_fallbacks_are_those_that_the_user_may_use_none_twice() -> None:
    assert [model.name for model in candidates(MODELS, "fast", BOB)] == ["fast", "slow", "last"]
    assert [model.name for model in candidates(MODELS, "fast", ADA)] == ["fast", "slow", "secret", "last"]
