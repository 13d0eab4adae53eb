"""What is counted of calls to models, named after OpenTelemetry's conventions for generative AI where they have a name.

Source of names, units and buckets: semantic conventions for generative AI metrics
(https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/), written as Prometheus does: dots become
underscores, and seconds a suffix.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

import msgspec

DURATION_S: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKEN_S: Final = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
TOKENS: Final = tuple(4.0**power for power in range(14))

DURATION: Final = "gen_ai_client_operation_duration_seconds"
FIRST_CHUNK: Final = "gen_ai_client_operation_time_to_first_chunk_seconds"
FIRST_TOKEN: Final = "gen_ai_server_time_to_first_token_seconds"
TOKEN_USAGE: Final = "gen_ai_client_token_usage"
TOKENS_TOTAL: Final = "tokens_total"
COST_TOTAL: Final = "cost_dollars_total"

BOUNDS: Final[dict[str, tuple[float, ...]]] = {
    DURATION: DURATION_S,
    FIRST_CHUNK: DURATION_S,
    FIRST_TOKEN: TOKEN_S,
    TOKEN_USAGE: TOKENS,
}
"""Upper ends of the buckets of each histogram."""
MICRO: Final = 1_000_000
"""Redis adds whole numbers: sums and dollars are counted in millionths."""
OTHER: Final = "_OTHER"
"""The convention's word for a value that is not told apart."""
MAX_MODELS: Final = 100
"""Models that one process tells apart; only configured ones are ever called, but their names may change for years."""
TOKEN_TYPES: Final = ("input", "output", "reasoning", "cached")
"""`reasoning` is a part of `output`, `cached` of `input`."""
CHUNK_TYPES: Final = ("text", "reasoning", "tool_call", "thinking")


class ModelField(msgspec.Struct, array_like=True, frozen=True):
    """What one number of a model counts. As JSON it is the name under which the number is kept."""

    figure: str
    provider: str
    model: str
    kind: str = ""
    """Of durations the error's code, of tokens their type."""
    bucket: str = ""
    """The bucket's upper end, `sum`, or nothing where the figure is no histogram."""


_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(ModelField)


def field_of(figure: str, provider: str, model: str, kind: str = "", bucket: str = "") -> str:
    """The name of a number."""
    return _encode(ModelField(figure, provider, model, kind, bucket)).decode()


def parsed_field(name: str) -> ModelField | None:
    """The reverse; `None` for a name that is not a model's."""
    if not name.startswith("["):
        return None
    try:
        return _decoder.decode(name)
    except msgspec.DecodeError:
        return None


class ModelCounts:
    """Adds up what calls bring, under the names of `field_of`. Not thread-safe."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self._models: set[tuple[str, str]] = set()

    def known(self, provider: str, model: str) -> tuple[str, str]:
        """The labels of a model: its own, or those of all others once there are too many."""
        pair = provider, model
        if pair in self._models:
            return pair
        if len(self._models) >= MAX_MODELS:
            return OTHER, OTHER
        self._models.add(pair)
        return pair

    def add(self, figure: str, pair: tuple[str, str], value: int, kind: str = "") -> None:
        """Adds to a plain counter."""
        self._grow(field_of(figure, *pair, kind), value)

    def observe(self, figure: str, pair: tuple[str, str], value: float, kind: str = "") -> None:
        """Adds one observation to a histogram."""
        bounds = BOUNDS[figure]
        at = bisect_left(bounds, value)
        self._grow(field_of(figure, *pair, kind, f"{bounds[at]:g}" if at < len(bounds) else "+Inf"), 1)
        self._grow(field_of(figure, *pair, kind, "sum"), round(value * MICRO))

    def _grow(self, field: str, value: int) -> None:
        if value:
            self.counts[field] = self.counts.get(field, 0) + value
