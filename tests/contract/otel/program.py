"""A program of somebody else: it calls a model with the official SDK, instrumented by one of the peers, and exports
with OpenTelemetry's own exporter. In a process of its own: instrumentations change the libraries that they observe.

    python program.py openinference|openllmetry|langfuse MODEL_URL

Prints as JSON the trace's id and the ids of its spans by name, in the order of their beginning.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import openai
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The weather of a city.",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]


class Noted(SpanExporter):
    """Notes what was made, and how its export went where it is exported from here."""

    def __init__(self, exporter: SpanExporter | None):
        self.spans: list[ReadableSpan] = []
        self._exporter = exporter

    def export(self, spans: Any) -> SpanExportResult:
        self.spans.extend(spans)
        result = self._exporter.export(spans) if self._exporter else SpanExportResult.SUCCESS
        assert result is SpanExportResult.SUCCESS
        return result

    def shutdown(self) -> None:
        if self._exporter:
            self._exporter.shutdown()


def openinference(provider: TracerProvider) -> Any:
    """The official client, and what the root is made with."""
    from openinference.instrumentation import using_attributes
    from openinference.instrumentation.openai import OpenAIInstrumentor

    OpenAIInstrumentor().instrument(tracer_provider=provider)

    @contextmanager
    def root() -> Iterator[Any]:
        with (
            using_attributes(user_id="u1", session_id="s1", tags=["a", "b"]),
            provider.get_tracer("program").start_as_current_span("pipeline") as span,
        ):
            span.set_attributes({"openinference.span.kind": "CHAIN", "input.value": '{"city": "Paris"}'})
            yield span

    return openai.OpenAI, root


def openllmetry(provider: TracerProvider) -> Any:
    """Likewise."""
    from opentelemetry.instrumentation.openai import OpenAIInstrumentor

    OpenAIInstrumentor().instrument(tracer_provider=provider)
    return openai.OpenAI, lambda: provider.get_tracer("program").start_as_current_span("pipeline")


def langfuse(provider: TracerProvider) -> Any:
    """Likewise; this one exports by itself, to the host and with the keys of its own variables."""
    from langfuse import Langfuse, propagate_attributes
    from langfuse.openai import OpenAI

    made = Langfuse(tracer_provider=provider)

    @contextmanager
    def root() -> Iterator[Any]:
        with (
            propagate_attributes(user_id="u1", session_id="s1", tags=["a", "b"], trace_name="checkout"),
            made.start_as_current_observation(as_type="span", name="pipeline", input={"city": "Paris"}),
        ):
            yield trace.get_current_span()

    return OpenAI, root


PEERS = {"openinference": openinference, "openllmetry": openllmetry, "langfuse": langfuse}


def work(client: openai.OpenAI) -> None:
    """Four calls: plain, streamed, with a tool, and one that fails."""
    create = client.chat.completions.create
    create(
        model="gpt-4o-mini",
        temperature=0.2,
        messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "say hello"}],
    )
    for _ in create(
        model="gpt-4o-mini",
        messages=[{"role": "user", "content": "stream hello"}],
        stream=True,
        stream_options={"include_usage": True},
    ):
        pass
    create(model="gpt-4o-mini", messages=[{"role": "user", "content": "weather?"}], tools=TOOLS)
    try:
        create(model="gpt-4o-mini", messages=[{"role": "user", "content": "please fail"}])
    except openai.APIStatusError:
        pass
    else:
        raise AssertionError("the last call did not fail")


def main(peer: str, url: str) -> None:
    """Runs it."""
    noted = Noted(None if peer == "langfuse" else OTLPSpanExporter())
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(noted))
    trace.set_tracer_provider(provider)
    client, start = PEERS[peer](provider)
    with start() as root:
        work(client(base_url=url, api_key="none", max_retries=0))
    provider.force_flush()
    provider.shutdown()
    context = root.get_span_context()
    spans = sorted({each.context.span_id: each for each in noted.spans}.values(), key=lambda each: each.start_time)
    said = {
        "trace": format(context.trace_id, "032x"),
        "root": format(context.span_id, "016x"),
        "spans": [[each.name, format(each.context.span_id, "016x")] for each in spans],
    }
    sys.stdout.write(f"{json.dumps(said)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
