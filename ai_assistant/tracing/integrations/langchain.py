"""A callback handler for LangChain: models, chains, tools, retrievers and agents become observations."""

from __future__ import annotations

from typing import Any

from ai_assistant.tracing.integrations.sdk_client import options_from


def callback_handler(*, chains: bool = True, metadata: dict[str, Any] | None = None, **options: Any) -> Any:
    """A handler for `config={"callbacks": [handler]}`, of synchronous and asynchronous calls alike; one may serve
    many at once.

    What has no run above it goes below the current observation. `chains`: whether chains (and graphs and their
    nodes) are observed, or only models, tools and retrievers. `metadata` is added to the topmost. `options`:
    `capture_input`, `capture_output`, `capture_reasoning`, `reasoning_max_length`. Raises ValueError for an option,
    ImportError where langchain-core is not installed.
    """
    try:
        from ai_assistant.tracing.integrations.langchain_handler import Handler
    except ImportError as error:
        raise ImportError(f"callback_handler needs langchain-core (pip install langchain-core): {error}") from error
    return Handler(options_from("callback_handler", options), chains=chains, metadata=metadata)
