"""Watches one answer go by: has it begun, is it still within the bound, what did it use."""

from __future__ import annotations

import math

import msgspec

from ai_assistant.core.model import ModelConfig
from ai_assistant.core.usage import Usage
from ai_assistant.gateway import failures, prices, tokens
from ai_assistant.gateway.chunks import Chunk, Finish, ReasoningDelta, Status, TextDelta, ToolCallDelta
from ai_assistant.gateway.request import GatewayRequest

#: What a tool call counts besides its text: a provider that sends calls without end must meet the bound, too.
_CALL_SIZE = 1000
#: Figures beyond these are no count of tokens and no price in dollars, whatever a provider says.
_MOST_TOKENS, _MOST_COST = 10**9, 10.0**6


class Meter:
    """One answer. `begun` is true from the first delta or block on: then there is neither retry nor fallback."""

    def __init__(self, request: GatewayRequest, model: ModelConfig, max_characters: int):
        self._request = request
        self._model = model
        self._max = max_characters
        self._size = 0
        self._thought: list[str] = []
        self._said: list[str] = []
        self.begun = False
        self.finish: Finish | None = None

    def add(self, chunks: list[Chunk]) -> None:
        """Count chunks; raises `ChatError` when the answer outgrows the bound."""
        for chunk in chunks:
            kind = type(chunk)
            if kind is TextDelta:
                self._said.append(chunk.text)  # pyright: ignore[reportAttributeAccessIssue]
                self._size += len(chunk.text)  # pyright: ignore[reportAttributeAccessIssue]
            elif kind is ReasoningDelta:
                self._thought.append(chunk.text)  # pyright: ignore[reportAttributeAccessIssue]
                self._size += len(chunk.text)  # pyright: ignore[reportAttributeAccessIssue]
            elif isinstance(chunk, ToolCallDelta):
                self._said.append((chunk.name or "") + chunk.arguments)
                self._size += len(chunk.arguments)
                if chunk.name is not None:
                    self._size += len(chunk.name) + len(chunk.id or "") + _CALL_SIZE
            elif isinstance(chunk, Finish):
                self.finish = chunk
            elif isinstance(chunk, Status):
                continue
            self.begun = True
        if self._size > self._max:
            raise failures.too_long(self._model, self._max)

    def settle(self) -> Finish:
        """The `Finish` with its usage and cost filled in. May count tokens: call it in a thread when `counts`."""
        finish = self.finish
        assert finish is not None
        usage = finish.usage if finish.usage is not None and has_figures(finish.usage) else self._estimate()
        if not usage.prompt_tokens:  # Ollama leaves the figure out where it had the prompt in its cache
            prompt = tokens.count_prompt(self._request)
            usage = msgspec.structs.replace(
                usage, prompt_tokens=prompt, total_tokens=prompt + usage.completion_tokens, estimated=True
            )
        if usage.cost is None or not (math.isfinite(usage.cost) and 0 <= usage.cost <= _MOST_COST):
            usage = msgspec.structs.replace(usage, cost=prices.cost(self._model, usage, finish.cache_write_tokens))
        return msgspec.structs.replace(finish, usage=usage)

    @property
    def counts(self) -> bool:
        """Whether `settle` has to count tokens itself."""
        usage = self.finish.usage if self.finish is not None else None
        return self.finish is not None and not (usage and usage.prompt_tokens and has_figures(usage))

    def _estimate(self) -> Usage:
        prompt = tokens.count_prompt(self._request)
        reasoning = tokens.count_text("".join(self._thought))
        completion = reasoning + tokens.count_text("".join(self._said))
        return Usage(
            prompt_tokens=prompt,
            completion_tokens=completion,
            reasoning_tokens=reasoning,
            total_tokens=prompt + completion,
            estimated=True,
        )


def has_figures(usage: Usage) -> bool:
    """Whether a provider's usage says anything, and nothing absurd: it counts against the user's budget."""
    figures = (usage.prompt_tokens, usage.completion_tokens, usage.reasoning_tokens, usage.cached_tokens)
    return usage.total_tokens > 0 and all(0 <= figure <= _MOST_TOKENS for figure in (*figures, usage.total_tokens))
