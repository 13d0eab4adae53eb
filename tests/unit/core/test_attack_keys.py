"""Where a model's key goes: the same provider and server, or another one."""

import pytest

from ai_assistant.core.model_rules import key_goes_to, parameters_problem

HERE = key_goes_to("openai/gpt-x", "https://here.example/v1")


@pytest.mark.parametrize(
    ("model", "api_base"),
    [
        ("openai/other", "https://here.example/v1"),
        ("gpt-x", "https://here.example/v1"),
        ("OpenAI/gpt-x", "https://HERE.example:443/v2?x=1"),
    ],
)
def test_same(model, api_base):
    assert key_goes_to(model, api_base) == HERE


@pytest.mark.parametrize(
    ("model", "api_base"),
    [
        ("anthropic/gpt-x", "https://here.example/v1"),
        ("openai/gpt-x", "http://here.example/v1"),
        ("openai/gpt-x", "https://here.example:8443/v1"),
        ("openai/gpt-x", "https://here.example.attacker.example/v1"),
        ("openai/gpt-x", "https://here.example@attacker.example/v1"),
        ("openai/gpt-x", ""),
        ("openai/gpt-x", None),
    ],
)
def test_another(model, api_base):
    assert key_goes_to(model, api_base) != HERE


def test_no_parameter_names_another_server():
    for name in ("api_base", "base_url", "api_key"):
        assert name in str(parameters_problem({name: "https://attacker.example"}))
