"""Observes clients of Anthropic's Python SDK."""

from __future__ import annotations

from typing import Any, Final, TypeVar

from ai_assistant.tracing.integrations.anthropic_answers import MessagesAnswer
from ai_assistant.tracing.integrations.sdk_client import Endpoint, Observed, checked, observe, options_from

C = TypeVar("C")

ENDPOINTS: Final = {"/v1/messages": Endpoint("chat", MessagesAnswer)}


def observe_anthropic(
    client: C, *, name: str | None = None, metadata: dict[str, Any] | None = None, **options: Any
) -> C:
    """Makes each call of an `Anthropic` or `AsyncAnthropic` client a generation: `messages.create`, `parse` and
    `stream`, also those of `beta`. Thinking becomes reasoning, without its signature.

    Gives the same client. `name`: of the observations, else `chat` and the model. `options`: `capture_input`,
    `capture_output`, `capture_reasoning`, `reasoning_max_length`. What `with_streaming_response` gives is not
    observed. Needs version 0.43 of the SDK or later. Raises TypeError for another object, ValueError for an option.
    """
    checked(
        "observe_anthropic", client, ("messages",), "an Anthropic or AsyncAnthropic client of the package anthropic"
    )
    how = Observed(ENDPOINTS, "anthropic", options_from("observe_anthropic", options), name, metadata)
    return observe(client, how)
