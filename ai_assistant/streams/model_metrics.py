"""Figures of each model, from the totals of a scope: calls, time, tokens, money; and the state of breakers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ai_assistant.core import genai
from ai_assistant.core.genai import parsed_field
from ai_assistant.core.metrics import Family, Histogram, Sample, counters, gauges

TEXTS = {
    genai.DURATION: "Time of one call to a model, from the request to its end; error_type where it failed.",
    genai.FIRST_CHUNK: "Time from the request to the first chunk of the answer.",
    genai.FIRST_TOKEN: "The same as gen_ai_client_operation_time_to_first_chunk_seconds, by the name that vendors use.",
    genai.TOKEN_USAGE: "Tokens of one call, by type.",
}
KIND_LABELS = {genai.DURATION: "error_type", genai.TOKEN_USAGE: "gen_ai_token_type"}
BREAKER_STATES = ("closed", "half_open", "open")
MAX_BREAKERS = 200
"""Models whose breakers are shown."""

Series = dict[tuple[str, str, str], dict[str, int]]
"""Of one figure: (provider, model, kind) → bucket → count."""


def model_families(totals: Mapping[str, int]) -> list[Family]:
    """All figures of models. A model comes with its first call: nobody knows it before."""
    figures = by_figure(totals)
    families = [histogram_family(name, figures[name]) for name in TEXTS]
    chunks = {kind: totals.get(f"chunks|{kind}", 0) for kind in genai.CHUNK_TYPES}
    return [
        *families,
        tokens_family(figures),
        cost_family(figures),
        counters("chunks_total", "Chunks of answers that came from providers.", "type", chunks),
    ]


def by_figure(totals: Mapping[str, int]) -> dict[str, Series]:
    """The numbers of models, sorted by what they count."""
    figures: dict[str, Series] = defaultdict(lambda: defaultdict(dict))
    for name, value in totals.items():
        field = parsed_field(name)
        if field is not None:
            figures[field.figure][field.provider, field.model, field.kind][field.bucket] = value
    return figures


def labels_of(provider: str, model: str, **more: str) -> dict[str, str]:
    """The convention's labels; an empty one is left out."""
    labels = {"gen_ai_provider_name": provider, "gen_ai_request_model": model, **more}
    return {name: value for name, value in labels.items() if value}


def histogram_family(name: str, series: Series) -> Family:
    """A histogram of each model, and of each kind where the figure has kinds."""
    operation = {"gen_ai_operation_name": "chat"}
    samples: list[Sample] = []
    for (provider, model, kind), buckets in sorted(series.items()):
        more = {KIND_LABELS[name]: kind} if name in KIND_LABELS else {}
        found = Histogram(genai.BOUNDS[name])
        bounds = [f"{bound:g}" for bound in found.bounds]
        found.counts = [buckets.get(bound, 0) for bound in (*bounds, "+Inf")]
        found.sum = buckets.get("sum", 0) / genai.MICRO
        samples += found.samples({**operation, **labels_of(provider, model, **more)})
    return Family(name, "histogram", TEXTS[name], samples)


def tokens_family(figures: Mapping[str, Series]) -> Family:
    """Tokens of each model; those in and out are the sums of their histogram."""
    samples = []
    for (provider, model, kind), buckets in sorted(figures[genai.TOKEN_USAGE].items()):
        value = buckets.get("sum", 0) // genai.MICRO
        samples.append(Sample(value, {"type": kind, **labels_of(provider, model)}))
    for (provider, model, kind), buckets in sorted(figures[genai.TOKENS_TOTAL].items()):
        samples.append(Sample(buckets.get("", 0), {"type": kind, **labels_of(provider, model)}))
    text = "Tokens by type; reasoning is a part of output, cached a part of input."
    return Family(genai.TOKENS_TOTAL, "counter", text, samples)


def cost_family(figures: Mapping[str, Series]) -> Family:
    """Money spent on each model, zero where its price is not known."""
    spent = figures[genai.COST_TOTAL]
    models = {(provider, model) for provider, model, _ in figures[genai.DURATION]}
    samples = [
        Sample(spent.get((*pair, ""), {}).get("", 0) / genai.MICRO, labels_of(*pair))
        for pair in sorted(models | {(provider, model) for provider, model, _ in spent})
    ]
    return Family(genai.COST_TOTAL, "counter", "US dollars, where the price of the model is known.", samples)


def gateway_families(infos: Iterable[Mapping[str, Any]]) -> list[Family]:
    """Breakers and streams of all living workers together, from their heartbeats."""
    breakers: dict[str, dict[str, int]] = {}
    streams = {"open": 0.0, "queued": 0.0}
    for gateway in (info.get("gateway", {}) for info in infos):
        for provider in gateway.get("providers", {}).values():
            for state in streams:
                streams[state] += provider.get(state, 0)
        for model, breaker in gateway.get("breakers", {}).items():
            counted = breakers.setdefault(model, dict.fromkeys(BREAKER_STATES, 0))
            counted[breaker.get("state", "closed")] = counted.get(breaker.get("state", "closed"), 0) + 1
    text = "Requests to providers that are open, and that wait for one of the provider's places."
    states = "Workers by the state of their breaker of a model; open: the model is not asked for a while."
    return [
        gauges("provider_streams", text, "state", streams),
        Family("breakers", "gauge", states, list(breaker_samples(breakers))),
    ]


def breaker_samples(breakers: Mapping[str, Mapping[str, int]]) -> Iterator[Sample]:
    """One line for each model and state."""
    for model, states in sorted(breakers.items())[:MAX_BREAKERS]:
        for state in BREAKER_STATES:
            yield Sample(states.get(state, 0), {"model": model, "state": state})
