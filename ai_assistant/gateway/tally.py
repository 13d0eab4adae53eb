"""Counts what calls to models bring: chunks, time, tokens, money. One call is one attempt at one model."""

from __future__ import annotations

import time
from collections import Counter

from ai_assistant.core import genai
from ai_assistant.core.model import ModelConfig
from ai_assistant.core.usage import Usage
from ai_assistant.gateway.chunks import Chunk, Finish, ReasoningDelta, Status, TextDelta, ThinkingBlock, ToolCallDelta

CHUNK_NAMES = {
    TextDelta: "text",
    ReasoningDelta: "reasoning",
    ToolCallDelta: "tool_call",
    ThinkingBlock: "thinking",
}
CANCELLED = "cancelled"
"""The `error.type` of a call that was given up by us: its stream was closed before its end."""


class Tally:
    """What one gateway has counted since its start."""

    def __init__(self) -> None:
        self.chunks: Counter[type] = Counter()
        self.models = genai.ModelCounts()

    def begin(self, model: ModelConfig) -> Call:
        """A request that is sent now."""
        return Call(self, self.models.known(model.provider, model.model_id))

    def chunk_counts(self) -> dict[str, int]:
        """Chunks that came, by type."""
        return {name: self.chunks[kind] for kind, name in CHUNK_NAMES.items()}


class Call:
    """One request. Tell it of every chunk; then call `failed`, or `ended` without having done so."""

    __slots__ = ("_finish", "_is_over", "_pair", "_started", "_tally", "_waits")

    def __init__(self, tally: Tally, pair: tuple[str, str]):
        self._tally = tally
        self._pair = pair
        self._started = time.perf_counter()
        self._waits = True
        self._finish: Finish | None = None
        self._is_over = False

    def took(self, chunks: list[Chunk]) -> None:
        """Chunks that one read brought."""
        counts = self._tally.chunks
        for chunk in chunks:
            counts[type(chunk)] += 1
        last = chunks[-1]
        if type(last) is Finish:
            self._finish = last
        if self._waits and type(chunks[0]) not in (Finish, Status):
            self._waits = False
            waited = time.perf_counter() - self._started
            self._tally.models.observe(genai.FIRST_CHUNK, self._pair, waited)
            self._tally.models.observe(genai.FIRST_TOKEN, self._pair, waited)

    def failed(self, code: str, *, counts: bool = True) -> None:
        """It ended with an error of this code (`core.errors.ErrorCode`). `counts`: whether it was sent at all."""
        if counts:
            self._close(code)
        self._is_over = True

    def ended(self) -> None:
        """It is over; without an end mark and without an error it was given up. More than one call counts once."""
        self._close("" if self._finish is not None else CANCELLED)

    def _close(self, error: str) -> None:
        if self._is_over:
            return
        self._is_over = True
        models = self._tally.models
        models.observe(genai.DURATION, self._pair, time.perf_counter() - self._started, error)
        if self._finish is not None and self._finish.usage is not None:
            self._spent(self._finish.usage)

    def _spent(self, usage: Usage) -> None:
        models, pair = self._tally.models, self._pair
        models.observe(genai.TOKEN_USAGE, pair, usage.prompt_tokens, "input")
        models.observe(genai.TOKEN_USAGE, pair, usage.completion_tokens, "output")
        models.add(genai.TOKENS_TOTAL, pair, usage.reasoning_tokens, "reasoning")
        models.add(genai.TOKENS_TOTAL, pair, usage.cached_tokens, "cached")
        models.add(genai.COST_TOTAL, pair, round((usage.cost or 0.0) * genai.MICRO))
