"""Models: which a user sees, which answers, which are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from .chunks import answer
from .client import Client
from .script import Script

SAYING = [{"role": "user", "content": "Hello"}]
Ask = Callable[..., tuple[dict[str, Any], Script]]


def test_each_model_comes_with_provider_capabilities_and_default(user: Client) -> None:
    models = {model["name"]: model for model in user.get("get_models")}
    assert {"plain", "thinker", "restricted", "mock-gemini"} <= models.keys()
    assert models["plain"]["provider"] == "openai"
    assert models["thinker"]["provider"] == "anthropic"
    assert models["local"]["provider"] == "ollama"
    for model in models.values():
        assert "capabilities" in model, "get_models: provider, capabilities, default"
    assert [name for name, model in models.items() if model["is_default"]] == ["plain"]


def test_no_model_shows_its_key_or_address(user: Client) -> None:
    text = user.request("get_models", "GET").text
    assert "wire-test-key" not in text
    assert "api_key" not in text
    assert "http://" not in text


def test_only_what_a_user_may_use_is_listed(user: Client, other: Client) -> None:
    mine = {model["name"] for model in user.call("get_models")}
    theirs = {model["name"] for model in other.call("get_models")}
    assert mine - theirs == {"restricted"}
    assert "disabled" not in mine | theirs


def test_the_default_model_answers(ask: Ask) -> None:
    task, played = ask(answer("By default."))
    assert task["model"] in ("plain", "openai/scripted", "scripted")
    assert task["provider"] == "openai"
    assert played.calls[0].body["model"] == "scripted"


def test_the_role_opens_a_model(ask: Ask) -> None:
    task, _ = ask(answer("For some."), model="restricted")
    assert task["message"]["content"] == "For some."


def test_a_provider_alone_chooses_a_model_of_it(user: Client, ask: Ask) -> None:
    task, _ = ask(answer("Of the provider."), provider="openai")
    assert (task["status"], task["provider"]) == ("completed", "openai")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"model": "no-such-model"}, ["model", "no-such-model"]),
        ({"model": "disabled"}, ["model", "disabled"]),
        ({"model": "plain", "provider": "anthropic"}, ["provider", "anthropic"]),
        ({"provider": "no-such-provider"}, ["provider", "no-such-provider"]),
    ],
)
def test_a_wrong_model_is_refused_by_name(user: Client, arguments: dict[str, str], words: list[str]) -> None:
    refused = user.refused("chat_completion", messages=SAYING, **arguments)
    assert (refused.status, refused.exc_type) == (417, "ValidationError")
    assert all(word in refused.message for word in words), refused.message


def test_an_unknown_model_and_one_kept_from_the_user(other: Client) -> None:
    assert other.refused("chat_completion", messages=SAYING, model="restricted").status == 403
    assert other.refused("chat_completion", messages=SAYING, model="no-such-model").status == 417
