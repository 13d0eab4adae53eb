"""The models that a host must be configured with to run this suite against it: they point to the suite's providers.

`python -m tests.wire.catalogue http://127.0.0.1:9999` prints them as TOML, for people who set up a host.
"""

from __future__ import annotations

import json
import sys
from typing import Any

#: Sent to the providers, and nowhere else.
API_KEY = "wire-test-key-0123456789abcdef"
#: Kept to this role; the suite's first user has it, the second has not.
ROLE = "Wire Tester"
QUICK = {"connect": 2.0, "first_token": 1.0, "idle": 1.0, "total": 4.0}


def models(upstream: str) -> list[dict[str, Any]]:
    """Each model as the keys of a `[[models]]` table; `upstream` is the address of the suite's provider."""
    return [*scripted(upstream), *emulated(upstream)]


def scripted(upstream: str) -> list[dict[str, Any]]:
    """Models that play the suite's scripts."""
    here: dict[str, Any] = {"model": "openai/scripted", "api_base": f"{upstream}/s/v1", "retries": 0}
    prices = {"input": 2.0, "output": 10.0, "cached_input": 0.5}
    claude = {"model": "anthropic/claude-sonnet-4-5", "api_base": f"{upstream}/s", "retries": 0}
    return [
        {"name": "plain", **here},
        {"name": "retrying", **here, "retries": 1},
        {"name": "falling", **here, "fallbacks": ["plain"]},
        {"name": "shaky", **here},
        {"name": "impatient", **here, "timeouts": QUICK},
        {"name": "priced", **here, "prices": prices},
        {"name": "small", **here, "context_window": 2000},
        {"name": "tuned", **here, "parameters": {"temperature": 0.3, "max_tokens": 55}},
        {"name": "disabled", **here, "enabled": False},
        {"name": "restricted", **here, "roles": [ROLE]},
        {"name": "unreachable", **here, "api_base": "http://127.0.0.1:9/v1", "timeouts": QUICK},
        {"name": "through-litellm", **here, "transport": "litellm"},
        {"name": "thinker", **claude},
        {"name": "local", "model": "ollama/qwen3", "api_base": f"{upstream}/s", "retries": 0},
    ]


def emulated(upstream: str) -> list[dict[str, Any]]:
    """Models that aimock answers, one for each protocol."""
    base = f"{upstream}/aimock"
    gpt = {"model": "openai/gpt-5", "api_base": f"{base}/v1", "retries": 0}
    claude = {"model": "anthropic/claude-sonnet-4-5", "api_base": base, "retries": 0}
    return [
        {"name": "mock-chat", **gpt, "wire": "openai-chat"},
        {"name": "mock-responses", **gpt, "wire": "openai-responses"},
        {"name": "mock-anthropic", **claude},
        {"name": "mock-ollama", "model": "ollama/qwen3", "api_base": base, "retries": 0},
        {"name": "mock-gemini", "model": "gemini/gemini-2.5-flash", "api_base": f"{base}/v1beta", "retries": 0},
    ]


def toml(tables: list[dict[str, Any]], name: str) -> str:
    """Tables of an array in TOML; JSON's scalars and arrays are TOML's as well."""
    return "\n".join(f"[[{name}]]\n" + "".join(f"{k} = {_value(v)}\n" for k, v in table.items()) for table in tables)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_value(item)}" for key, item in value.items()) + " }"
    return json.dumps(value)


def with_key(tables: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same with the API key, which the environment variable WIRE_PROVIDER_KEY holds."""
    return [{**table, "api_key": "env:WIRE_PROVIDER_KEY"} for table in tables]


if __name__ == "__main__":
    sys.stdout.write(toml(with_key(models(sys.argv[1])), "models"))
