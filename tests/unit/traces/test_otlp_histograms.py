"""The metrics of the GenAI conventions, as the official library reads them."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from ai_assistant.traces import otlp_histograms
from ai_assistant.traces.otlp_histograms import GenAiMetrics
from ai_assistant.traces.otlp_proto import encode
from ai_assistant.traces.otlp_schema import METRICS_REQUEST

CALL = {
    "type": "generation",
    "status": "completed",
    "model": "claude",
    "provider": "anthropic",
    "prompt_tokens": 7,
    "completion_tokens": 300,
    "ttft_ms": 90,
    "started_at": 1_000_000,
    "ended_at": 1_500_000,
}


def points(metrics: GenAiMetrics) -> dict[tuple[str, frozenset[tuple[str, str]]], Any]:
    """Each histogram by metric and attributes."""
    request = ExportMetricsServiceRequest.FromString(encode(METRICS_REQUEST, metrics.request({"service.name": "x"})))
    (resource,) = request.resource_metrics
    return {
        (metric.name, frozenset((pair.key, pair.value.string_value) for pair in point.attributes)): point
        for metric in resource.scope_metrics[0].metrics
        for point in metric.histogram.data_points
    }


def test_a_call_is_counted_in_each_metric() -> None:
    metrics = GenAiMetrics()
    assert metrics.is_empty
    metrics.count([CALL, {**CALL, "ended_at": 1_600_000}])
    assert not metrics.is_empty
    found = points(metrics)
    labels = {
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "anthropic"),
        ("gen_ai.request.model", "claude"),
    }
    token = "gen_ai.token.type"
    assert set(found) == {
        ("gen_ai.client.operation.duration", frozenset(labels)),
        ("gen_ai.client.operation.time_to_first_chunk", frozenset(labels)),
        ("gen_ai.server.time_to_first_token", frozenset(labels)),
        ("gen_ai.client.token.usage", frozenset({*labels, (token, "input")})),
        ("gen_ai.client.token.usage", frozenset({*labels, (token, "output")})),
    }
    duration = found["gen_ai.client.operation.duration", frozenset(labels)]
    assert (duration.count, duration.sum) == (2, pytest.approx(1.1))
    assert (duration.min, duration.max) == (pytest.approx(0.5), pytest.approx(0.6))
    assert list(duration.explicit_bounds)[:3] == [0.01, 0.02, 0.04]
    assert list(duration.bucket_counts) == [2 if bound == 0.64 else 0 for bound in duration.explicit_bounds] + [0]
    tokens = found["gen_ai.client.token.usage", frozenset({*labels, (token, "output")})]
    assert (tokens.count, tokens.sum) == (2, 600)
    assert tokens.start_time_unix_nano < tokens.time_unix_nano


def test_they_are_histograms_of_all_there_was() -> None:
    metrics = GenAiMetrics()
    metrics.count([CALL])
    request = ExportMetricsServiceRequest.FromString(encode(METRICS_REQUEST, metrics.request({})))
    for metric in request.resource_metrics[0].scope_metrics[0].metrics:
        assert metric.histogram.aggregation_temporality == 2, "cumulative"
        assert metric.unit == ("{token}" if metric.name.endswith("usage") else "s")


def test_failures_carry_their_type() -> None:
    metrics = GenAiMetrics()
    metrics.count([{**CALL, "status": "failed", "error_type": "timeout"}, {**CALL, "status": "interrupted"}])
    types = {dict(labels).get("error.type") for name, labels in points(metrics) if name.endswith("duration")}
    assert types == {"timeout", "_OTHER"}
    assert not any(name.startswith("gen_ai.server") for name, _ in points(metrics))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("tool", "execute_tool"), ("agent", "invoke_agent"), ("retriever", "retrieval"), ("span", None), ("event", None)],
)
def test_which_observations_are_operations(kind: str, expected: str | None) -> None:
    metrics = GenAiMetrics()
    metrics.count([{**CALL, "type": kind, "ttft_ms": None}])
    found = [dict(labels)["gen_ai.operation.name"] for _, labels in points(metrics)]
    assert found == ([expected] if expected else [])


def test_their_number_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp_histograms, "MAX_SERIES", 10)
    metrics = GenAiMetrics()
    metrics.count({**CALL, "model": f"m{each}"} for each in range(100))
    found = points(metrics)
    assert len(found) < 20
    assert sum(point.count for (name, _), point in found.items() if name.endswith("duration")) == 100
