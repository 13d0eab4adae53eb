"""The metrics of the GenAI conventions, counted from finished observations, as OTLP histograms.

https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/. Sums are cumulative since this process began, so
that a delivery that fails loses nothing but resolution.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from ai_assistant.core.genai import DURATION_S, OTHER, TOKEN_S, TOKENS
from ai_assistant.traces.otlp_out import OPERATIONS, SCOPE
from ai_assistant.traces.otlp_schema import CUMULATIVE

MAX_SERIES: Final = 2_000
"""Combinations of attributes that are told apart; what comes beyond them is counted under `_OTHER`."""
Labels = tuple[tuple[str, str], ...]


class Metric(NamedTuple):
    """Name, unit and the upper ends of the buckets that the conventions recommend."""

    name: str
    unit: str
    bounds: tuple[float, ...]
    description: str


USAGE: Final = Metric("gen_ai.client.token.usage", "{token}", TOKENS, "Number of input and output tokens used.")
DURATION: Final = Metric("gen_ai.client.operation.duration", "s", DURATION_S, "GenAI operation duration.")
FIRST_CHUNK: Final = Metric(
    "gen_ai.client.operation.time_to_first_chunk", "s", TOKEN_S, "Time to the first chunk, as the client sees it."
)
FIRST_TOKEN: Final = Metric(
    "gen_ai.server.time_to_first_token", "s", TOKEN_S, "Time to generate the first token of successful responses."
)


class Series:
    """One histogram: of one metric with one set of attributes."""

    __slots__ = ("counts", "high", "low", "metric", "sum")

    def __init__(self, metric: Metric):
        self.metric = metric
        self.counts = [0] * (len(metric.bounds) + 1)
        self.sum = 0.0
        self.low = float("inf")
        self.high = float("-inf")

    def add(self, value: float) -> None:
        """One observation, in the metric's unit."""
        self.counts[bisect_left(self.metric.bounds, value)] += 1
        self.sum += value
        self.low, self.high = min(self.low, value), max(self.high, value)

    def point(self, labels: Labels, began: int, now: int) -> dict[str, Any]:
        """The HistogramDataPoint; times are epoch nanoseconds."""
        return {
            "startTimeUnixNano": began,
            "timeUnixNano": now,
            "count": sum(self.counts),
            "sum": self.sum,
            "bucketCounts": list(self.counts),
            "explicitBounds": list(self.metric.bounds),
            "min": self.low,
            "max": self.high,
            "attributes": dict(labels),
        }


class GenAiMetrics:
    """Those of one site in this process. Not thread-safe."""

    def __init__(self) -> None:
        self._began = time.time_ns()
        self._series: dict[tuple[str, Labels], Series] = {}

    def count(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Counts observations that have ended; only calls of models, tools, agents and retrievers are operations."""
        for row in rows:
            operation = OPERATIONS.get(str(row.get("type")))
            if operation:
                self._count(row, operation)

    def _count(self, row: Mapping[str, Any], operation: str) -> None:
        labels = {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": row.get("provider") or OTHER,
            "gen_ai.request.model": row.get("model") or None,
        }
        failed = row.get("status") in ("failed", "interrupted")
        error = {"error.type": row.get("error_type") or OTHER} if failed else {}
        took = (row["ended_at"] - row["started_at"]) / 1e6
        self._add(DURATION, took, labels | error)
        for kind, column in (("input", "prompt_tokens"), ("output", "completion_tokens")):
            if row.get(column) is not None and operation == OPERATIONS["generation"]:
                self._add(USAGE, row[column], labels | {"gen_ai.token.type": kind})
        if row.get("ttft_ms") is not None:
            self._add(FIRST_CHUNK, row["ttft_ms"] / 1000, labels)
            if not failed:
                self._add(FIRST_TOKEN, row["ttft_ms"] / 1000, labels)

    def _add(self, metric: Metric, value: float, labels: Mapping[str, Any]) -> None:
        key = tuple((name, str(text)) for name, text in labels.items() if text)
        series = self._series.get((metric.name, key))
        if series is None:
            if len(self._series) >= MAX_SERIES:
                key = tuple((name, text if name == "gen_ai.operation.name" else OTHER) for name, text in key)
            series = self._series.setdefault((metric.name, key), Series(metric))
        series.add(value)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was counted."""
        return not self._series

    def request(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        """The ExportMetricsServiceRequest."""
        now = time.time_ns()
        metrics: dict[str, dict[str, Any]] = {}
        for (name, labels), series in self._series.items():
            metric = series.metric
            found = metrics.setdefault(
                name,
                {
                    "name": name,
                    "unit": metric.unit,
                    "description": metric.description,
                    "histogram": {"aggregationTemporality": CUMULATIVE, "dataPoints": []},
                },
            )
            found["histogram"]["dataPoints"].append(series.point(labels, self._began, now))
        scope = {"scope": SCOPE, "metrics": list(metrics.values())}
        return {"resourceMetrics": [{"resource": {"attributes": dict(resource)}, "scopeMetrics": [scope]}]}
