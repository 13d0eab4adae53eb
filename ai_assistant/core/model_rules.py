"""What a configured model may be: the rules that the AI Model form and the embedded host's config file share.

Each check gives `None` when all is well, or a sentence that says what is wrong and what to do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args
from urllib.parse import urlsplit

import msgspec

from ai_assistant.core.model import Transport

TRANSPORTS: tuple[str, ...] = get_args(Transport)
WIRES = ("openai-chat", "openai-responses", "anthropic", "ollama")

#: Set by us for each request; as a parameter of a model they would break it or leak a key into a log.
RESERVED_PARAMETERS = frozenset(
    {"model", "messages", "input", "stream", "stream_options", "api_key", "api_base", "base_url"}
)


def model_problem(model: str) -> str | None:
    """Whether `model` has LiteLLM's form `provider/model`."""
    if not model.strip():
        return "is empty; write LiteLLM's provider/model, for example openai/gpt-6-luna"
    if any(character.isspace() or ord(character) < 32 for character in model):
        return "holds a space; write LiteLLM's provider/model, for example openai/gpt-6-luna"
    if not all(model.split("/")):
        return "has an empty part beside a slash; write LiteLLM's provider/model, for example openai/gpt-6-luna"
    return None


def api_base_problem(url: str) -> str | None:
    """Whether `url` is an HTTP address without credentials in it."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        parts = None
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        return "is no URL; write it with its scheme, for example https://example.com/v1"
    if parts.username or parts.password:
        return "holds credentials; put them into api_key"
    return None


def key_goes_to(model: str, api_base: str | None) -> tuple[str, str, str, int | None]:
    """Where the key of a model is sent: its provider, and scheme, host and port of `api_base`, empty for the provider's
    own server. Both have passed their checks."""
    provider = model.partition("/")[0].lower() if "/" in model else "openai"
    parts = urlsplit(api_base or "")
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return provider, parts.scheme, parts.hostname or "", port


def parameters_problem(parameters: Any) -> str | None:
    """Whether `parameters` can be sent to a provider with each request."""
    if not isinstance(parameters, dict):
        return 'must be an object, for example {"temperature": 0.2}'
    reserved = sorted(RESERVED_PARAMETERS & parameters.keys())
    if reserved:
        return f"{reserved[0]} is set with each request and cannot be a parameter; take it out"
    try:
        msgspec.json.encode(parameters)
    except (TypeError, ValueError, OverflowError) as error:
        return f"cannot be written as JSON ({error})"
    return None


def fallback_loop(fallbacks: Mapping[str, Sequence[str]], start: str) -> list[str] | None:
    """The way from `start` back to itself, `[start, …, start]`, or `None`. Takes any number of models."""
    came_from: dict[str, str] = {}
    queue = [start]
    while queue:
        name = queue.pop(0)
        for follower in fallbacks.get(name, ()):
            if follower == start:
                return [*_path(came_from, start, name), start]
            if follower not in came_from:
                came_from[follower] = name
                queue.append(follower)
    return None


def _path(came_from: dict[str, str], start: str, end: str) -> list[str]:
    path = [end]
    while path[-1] != start:
        path.append(came_from[path[-1]])
    return path[::-1]
