"""A logger for LiteLLM: its calls, of whichever provider, become generations."""

from __future__ import annotations

import importlib
from typing import Any

from ai_assistant.tracing.integrations.litellm_calls import Calls
from ai_assistant.tracing.integrations.options import DEFAULT


def litellm_logger(*, name: str | None = None, metadata: dict[str, Any] | None = None, **options: Any) -> Any:
    """An object for `litellm.callbacks = [litellm_logger()]`: completions, Responses and embeddings, streamed or not,
    with usage and LiteLLM's own `response_cost`.

    A stream's observation ends when LiteLLM has seen its end; one that the program breaks off stays open until its
    process ends. `name`: of the observations, else the operation and the model. `options`: `capture_input`,
    `capture_output`, `capture_reasoning`, `reasoning_max_length`. Raises ValueError for an option, ImportError
    without litellm. Imports litellm, which takes seconds.
    """
    checked = DEFAULT.merged(options, "litellm_logger")
    try:
        library: Any = importlib.import_module("litellm.integrations.custom_logger")
    except ImportError as error:
        raise ImportError(f"litellm_logger needs litellm (pip install litellm): {error}") from error
    logger = type("Logger", (Calls, library.CustomLogger), {"__module__": __name__})
    return logger(checked, name=name, metadata=metadata)
