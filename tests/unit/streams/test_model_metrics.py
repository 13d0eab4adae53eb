"""Figures of models: from what calls bring, by way of the totals' names, to Prometheus' lines."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ai_assistant.core import genai
from ai_assistant.core.genai import ModelCounts, ModelField, field_of, parsed_field
from ai_assistant.core.metrics import render
from ai_assistant.core.model import ModelConfig
from ai_assistant.core.usage import Usage
from ai_assistant.gateway.chunks import Finish, ReasoningDelta, TextDelta, ToolCallDelta
from ai_assistant.gateway.tally import Tally
from ai_assistant.streams.model_metrics import gateway_families, model_families
from tests.prometheus import Page

MODEL = ModelConfig(name="house", model="anthropic/claude")
OWN = {"gen_ai_operation_name": "chat", "gen_ai_provider_name": "anthropic", "gen_ai_request_model": "claude"}


def page_of(tally: Tally) -> Page:
    """What the totals show when everything a tally counted was added."""
    chunks = {f"chunks|{kind}": count for kind, count in tally.chunk_counts().items()}
    return Page(render(model_families({**chunks, **tally.models.counts})))


def sample(page: Page, name: str, **labels: str) -> float | None:
    """A line by its whole name."""
    return page.samples.get((name, frozenset(labels.items())))


def answered(tally: Tally, usage: Usage | None = None) -> None:
    """One call that succeeds."""
    call = tally.begin(MODEL)
    call.took([ReasoningDelta("Hm.")])
    call.took([TextDelta("a"), TextDelta("b"), ToolCallDelta(0, "id", "f")])
    call.took([Finish(reason="stop", usage=usage)])
    call.ended()
    call.ended()


def test_a_call_that_succeeds() -> None:
    tally = Tally()
    usage = Usage(prompt_tokens=100, completion_tokens=20, reasoning_tokens=5, cached_tokens=60, cost=0.25)
    answered(tally, usage)
    answered(tally, usage)
    page = page_of(tally)
    assert sample(page, f"{genai.DURATION}_count", **OWN) == 2, "each once, however often it is ended"
    assert sample(page, f"{genai.FIRST_CHUNK}_count", **OWN) == sample(page, f"{genai.FIRST_TOKEN}_count", **OWN) == 2
    assert sample(page, f"{genai.TOKEN_USAGE}_sum", gen_ai_token_type="input", **OWN) == 200
    assert sample(page, f"{genai.TOKEN_USAGE}_bucket", gen_ai_token_type="input", le="64", **OWN) == 0
    assert sample(page, f"{genai.TOKEN_USAGE}_bucket", gen_ai_token_type="input", le="256", **OWN) == 2
    labels = {"gen_ai_provider_name": "anthropic", "gen_ai_request_model": "claude"}
    tokens = {kind: page.get("tokens_total", type=kind, **labels) for kind in genai.TOKEN_TYPES}
    assert tokens == {"input": 200, "output": 40, "reasoning": 10, "cached": 120}
    assert page.get("cost_dollars_total", **labels) == 0.5
    chunks = {kind: page.get("chunks_total", type=kind) for kind in genai.CHUNK_TYPES}
    assert chunks == {"text": 4, "reasoning": 2, "tool_call": 2, "thinking": 0}


def test_calls_that_fail_or_are_given_up() -> None:
    tally = Tally()
    failed, given_up = tally.begin(MODEL), tally.begin(MODEL)
    failed.failed("provider_timeout")
    failed.ended()
    given_up.took([TextDelta("half")])
    given_up.ended()
    page = page_of(tally)
    assert sample(page, f"{genai.DURATION}_count", error_type="provider_timeout", **OWN) == 1
    assert sample(page, f"{genai.DURATION}_count", error_type="cancelled", **OWN) == 1
    assert sample(page, f"{genai.DURATION}_count", **OWN) is None
    assert sample(page, f"{genai.FIRST_CHUNK}_count", **OWN) == 1, "the one that failed had none"
    assert page.get("cost_dollars_total", gen_ai_provider_name="anthropic", gen_ai_request_model="claude") == 0


def test_a_call_that_was_never_sent() -> None:
    """A breaker was open: it says nothing of how long the provider takes."""
    tally = Tally()
    call = tally.begin(MODEL)
    call.failed("provider_unavailable", counts=False)
    call.ended()
    assert tally.models.counts == {}


def test_a_call_without_usage_or_price() -> None:
    tally = Tally()
    answered(tally)
    answered(tally, Usage(prompt_tokens=1, completion_tokens=1))
    page = page_of(tally)
    assert sample(page, f"{genai.DURATION}_count", **OWN) == 2
    assert sample(page, f"{genai.TOKEN_USAGE}_count", gen_ai_token_type="output", **OWN) == 1


def test_models_are_bounded() -> None:
    counts = ModelCounts()
    pairs = [counts.known("p", f"m{i}") for i in range(genai.MAX_MODELS + 20)]
    assert pairs[0] == ("p", "m0")
    assert set(pairs[genai.MAX_MODELS :]) == {(genai.OTHER, genai.OTHER)}
    assert counts.known("p", "m0") == ("p", "m0")


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=5, max_size=5))
def test_any_name_is_read_back(words: list[str]) -> None:
    assert parsed_field(field_of(*words)) == ModelField(*words)


def test_names_that_are_no_models() -> None:
    for name in ("events|text", "[", '["a"]', "", "[1,2]"):
        assert parsed_field(name) is None, name


def test_names_that_would_break_a_line() -> None:
    tally = Tally()
    call = tally.begin(ModelConfig(name="x", model='we"ird\\/a|b\n{le="1"}'))
    call.ended()
    text = render(model_families(tally.models.counts))
    assert Page(text).kinds[genai.DURATION] == "histogram"


def test_without_any_call_there_are_only_zeros() -> None:
    page = Page(render(model_families({})))
    assert set(page.samples.values()) == {0.0}
    assert page.names == {"ai_assistant_chunks_total"}


def test_breakers_and_streams_of_all_workers() -> None:
    infos = [
        {"gateway": {"providers": {"a": {"open": 2, "queued": 1}}, "breakers": {"m": {"state": "open"}}}},
        {"gateway": {"providers": {"b": {"open": 3, "queued": 0}}, "breakers": {"m": {"state": "closed"}}}},
        {},
    ]
    page = Page(render(gateway_families(infos)))
    assert page.get("provider_streams", state="open") == 5
    assert page.get("provider_streams", state="queued") == 1
    assert [page.get("breakers", model="m", state=state) for state in ("closed", "half_open", "open")] == [1, 0, 1]
