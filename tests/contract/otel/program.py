"""A program of somebody else: it calls a model with the official SDK, instrumented by one of the peers, and exports
with OpenTelemetry's own exporter. In a process of its own: instrumentations change the libraries that they observe.

    python program.py openinference|openllmetry|langfuse MODEL_URL

Prints as JSON the trace's id and the ids of its spans by name, in the order of their beginning.
"""

from __future__ import annotations

import json
import sys
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
    """Exports, and notes what."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []
        self.results: list[SpanExportResult] = []
        self._exporter = OTLPSpanExporter()

    def export(self, spans: Any) -> SpanExportResult:
        self.spans.extend(spans)
        self.results.append(self._exporter.export(spans))
        return self.results[-1]

    def shutdown(self) -> None:
        self._exporter.shutdown()


def client_of(peer: str, provider: TracerProvider, exporter: SpanExporter, url: str) -> openai.OpenAI:
    """The official client, observed by a peer."""
    kind: Any = openai.OpenAI
    if peer == "openinference":
        from openinference.instrumentation.openai import OpenAIInstrumentor

        OpenAIInstrumentor().instrument(tracer_provider=provider)
    elif peer == "openllmetry":
        from opentelemetry.instrumentation.openai import OpenAIInstrumentor as Traceloop

        Traceloop().instrument(tracer_provider=provider)
    else:
        from langfuse import Langfuse
        from langfuse.openai import OpenAI

        # it wants keys and an address; what it makes goes to our exporter
        Langfuse(
            public_key="none", secret_key="none", host="http://127.0.0.1:1", tracer_provider=provider,
            span_exporter=exporter,
        )  # fmt: skip
        kind = OpenAI
    return kind(base_url=url, api_key="none", max_retries=0)


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
    exporter = Noted()
    provider = TracerProvider()
    if peer != "langfuse":
        provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    client = client_of(peer, provider, exporter, url)
    with provider.get_tracer("program").start_as_current_span("pipeline") as root:
        work(client)
    provider.force_flush()
    provider.shutdown()
    if peer == "langfuse":
        from langfuse import get_client

        get_client().flush()
    assert exporter.results
    assert all(result is SpanExportResult.SUCCESS for result in exporter.results), exporter.results
    context = root.get_span_context()
    spans = sorted({each.context.span_id: each for each in exporter.spans}.values(), key=lambda each: each.start_time)
    said = {
        "trace": format(context.trace_id, "032x"),
        "root": format(context.span_id, "016x"),
        "spans": [[each.name, format(each.context.span_id, "016x")] for each in spans],
    }
    sys.stdout.write(f"{json.dumps(said)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
