"""An Ollama on this machine or near it: its address from `OLLAMA_HOST`, and the models that it has."""

from __future__ import annotations

import logging

from ai_assistant.core import model_rules
from ai_assistant.core.errors import ConfigError

log = logging.getLogger(__name__)

TIMEOUT_S = 2.0
_EMBEDDING = ("embed", "minilm", "bge-", "rerank")


def ollama_url(host: str) -> str:
    """The address behind an `OLLAMA_HOST`, which may lack scheme and port, or be what a server binds to."""
    url = host.strip()
    url = url if "://" in url else f"http://{url}"
    if problem := model_rules.api_base_problem(url):
        raise ConfigError("OLLAMA_HOST", f"{problem.split(';')[0]}; write host:port, for example 127.0.0.1:11434")
    scheme, _, rest = url.rstrip("/").partition("://")
    rest = rest.replace("0.0.0.0", "127.0.0.1", 1)
    has_port = rest.rpartition("]")[2].count(":") or "/" in rest
    return f"{scheme}://{rest}" if has_port or scheme == "https" else f"{scheme}://{rest}:11434"


def installed_models(base: str, timeout: float = TIMEOUT_S) -> list[str]:
    """Names of the chat models that an Ollama has pulled, the last used or pulled first (`GET /api/tags`).

    Empty when it does not answer within `timeout` seconds, which is logged: it may be started later.
    """
    import httpx

    try:
        answer = httpx.get(f"{base}/api/tags", timeout=timeout)
        answer.raise_for_status()
        names = [str(row["name"]) for row in answer.json()["models"]]
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        log.warning("OLLAMA_HOST: no list of models from %s (%s)", base, type(error).__name__)
        return []
    return [name.removesuffix(":latest") for name in names if not any(word in name for word in _EMBEDDING)]
