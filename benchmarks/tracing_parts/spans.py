"""What one span costs: on the caller's thread, and in the whole process with the exporter's thread. One library per
process.

    python -m benchmarks.tracing_parts.spans LIBRARY ADDRESS [--spans N] [--rounds N]

`ADDRESS`: of a Redis for ours and for `xadd`, of the sink for the others. Each span is a call of a function below one
root, with an argument and a result of about 1 KB of JSON, which are captured. Prints medians of the rounds as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

INPUT = {
    "messages": [
        {"role": "system", "content": "You read receipts and answer with what stands on them, no more. " * 3},
        {"role": "user", "content": "Lunch at the station, two soups and a coffee, paid in cash. " * 11},
        {"role": "assistant", "content": "There are three items on it. "},
    ],
    "temperature": 0.2,
    "model": "m-large",
}
OUTPUT = {
    "choices": [
        {"message": {"role": "assistant", "content": "It is a receipt of a restaurant: two soups, a coffee. " * 16}}
    ],
    "finish_reason": "stop",
    "usage": {"prompt": 231, "completion": 190},
}

PER_TRACE = 20
"""Spans below one root; the root's own cost is theirs to bear."""

Call = Callable[[dict[str, Any]], dict[str, Any]]
Flush = Callable[[], Any]
Wrap = Callable[[Call], Call]


def work(payload: dict[str, Any]) -> dict[str, Any]:
    """What is traced; it does nothing."""
    return OUTPUT


def ours(address: str) -> tuple[Wrap, Wrap, Flush]:
    """This project's SDK, into a Redis Stream."""
    from ai_assistant import tracing

    tracing.init(redis_url=address, site="benchmark", verify=False, max_stream_entries=10**6, max_stream_bytes=2**32)
    return tracing.traced("call", type="tool"), tracing.traced("root"), lambda: tracing.flush(60)


def opentelemetry(address: str) -> tuple[Wrap, Wrap, Flush]:
    """The OpenTelemetry SDK with its batch processor and OTLP over HTTP; attributes as an instrumentation sets them."""
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    exporter = OTLPSpanExporter(endpoint=f"{address}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=200_000, max_export_batch_size=512))
    trace.set_tracer_provider(provider)
    tracer = trace.get_tracer("benchmark")

    def wrap(function: Call) -> Call:
        def call(payload: dict[str, Any]) -> dict[str, Any]:
            with tracer.start_as_current_span("call") as span:
                span.set_attribute("input.value", json.dumps({"payload": payload}))
                result = function(payload)
                span.set_attribute("output.value", json.dumps(result))
                return result

        return call

    def root(function: Call) -> Call:
        def call(payload: dict[str, Any]) -> dict[str, Any]:
            with tracer.start_as_current_span("root"):
                return function(payload)

        return call

    return wrap, root, lambda: provider.force_flush(60_000)


def langfuse(address: str) -> tuple[Wrap, Wrap, Flush]:
    """Langfuse's SDK and its decorator."""
    from langfuse import Langfuse, observe  # pyright: ignore[reportMissingImports]

    os.environ["OTEL_BSP_MAX_QUEUE_SIZE"] = "200000"
    client = Langfuse(public_key="pk-lf-benchmark", secret_key="sk-lf-benchmark", host=address)
    return observe(name="call"), observe(name="root"), client.flush


def mlflow(address: str) -> tuple[Wrap, Wrap, Flush]:
    """MLflow's tracing SDK and its decorator, exporting over OTLP."""
    os.environ["MLFLOW_TRACKING_URI"] = address  # without one it looks for a local store with each span
    os.environ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] = f"{address}/v1/traces"
    os.environ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] = "http/protobuf"
    os.environ["OTEL_BSP_MAX_QUEUE_SIZE"] = "200000"
    import mlflow as library  # pyright: ignore[reportMissingImports]
    from opentelemetry import trace

    def flush() -> None:
        flushing = getattr(library, "flush_trace_async_logging", None)
        if flushing:
            flushing()
        provider = trace.get_tracer_provider()
        getattr(provider, "force_flush", lambda: None)()

    return library.trace(name="call"), library.trace(name="root"), flush


def xadd(address: str) -> tuple[Wrap, Wrap, Flush]:
    """Two synchronous XADDs, one at the begin and one at the end: what a first version writes."""
    import redis

    client = redis.Redis.from_url(address)

    def wrap(function: Call) -> Call:
        def call(payload: dict[str, Any]) -> dict[str, Any]:
            client.xadd("benchmark", {"e": json.dumps({"kind": "start", "input": payload})})
            result = function(payload)
            client.xadd("benchmark", {"e": json.dumps({"kind": "end", "output": result})})
            return result

        return call

    return wrap, lambda function: function, lambda: None


LIBRARIES = {"ours": ours, "opentelemetry": opentelemetry, "langfuse": langfuse, "mlflow": mlflow, "xadd": xadd}


def measure(library: str, address: str, spans: int, rounds: int) -> dict[str, Any]:
    """Microseconds of CPU per span: `caller` of this thread, `process` of all threads until everything is exported."""
    wrap, as_root, flush = LIBRARIES[library](address)
    call = wrap(work)

    def many(payload: dict[str, Any]) -> dict[str, Any]:
        for _ in range(PER_TRACE):
            call(payload)
        return {}

    root, traces = as_root(many), spans // PER_TRACE
    callers, processes = [], []
    for each in range(rounds + 1):
        thread, process = time.thread_time(), time.process_time()
        for _ in range(traces):
            root(INPUT)
        caller = time.thread_time() - thread
        flush()
        if each:  # the first is for imports, connections and caches
            callers.append(caller / spans * 1e6)
            processes.append((time.process_time() - process) / spans * 1e6)
    floor = empty(spans)
    return {
        "library": library,
        "caller_us": round(statistics.median(callers) - floor, 2),
        "process_us": round(statistics.median(processes) - floor, 2),
        "caller_best_us": round(min(callers) - floor, 2),
    }


def empty(spans: int) -> float:
    """Microseconds of the loop without any tracing."""
    began = time.thread_time()
    for _ in range(spans):
        work(INPUT)
    return (time.thread_time() - began) / spans * 1e6


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("library", choices=LIBRARIES)
    parser.add_argument("address")
    parser.add_argument("--spans", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    print(json.dumps(measure(given.library, given.address, given.spans, given.rounds)), flush=True)
    os._exit(0)  # some of the peers wait for seconds at their end
