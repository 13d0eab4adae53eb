"""A collector of the tests' own: takes OTLP/HTTP, reads it with the official definitions, answers as it is told."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Answer:
    """What a request is answered with."""

    def __init__(self, status: int = 200, headers: dict[str, str] | None = None, body: bytes = b""):
        self.status = status
        self.headers = headers or {}
        self.body = body


class Received(NamedTuple):
    """A request that came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def spans(self) -> list[Span]:
        """The spans of an export."""
        request = ExportTraceServiceRequest.FromString(self.body)
        return [span for group in request.resource_spans for part in group.scope_spans for span in part.spans]

    @property
    def resource(self) -> dict[str, str]:
        """The attributes of the first resource."""
        kind: Any = ExportTraceServiceRequest if self.path.endswith("traces") else ExportMetricsServiceRequest
        request = kind.FromString(self.body)
        (resource, *_) = getattr(request, "resource_spans", None) or request.resource_metrics
        return {pair.key: pair.value.string_value for pair in resource.resource.attributes}

    @property
    def metrics(self) -> dict[str, Any]:
        """The metrics of an export, by name."""
        request = ExportMetricsServiceRequest.FromString(self.body)
        return {metric.name: metric for metric in request.resource_metrics[0].scope_metrics[0].metrics}


class Sink:
    """Listens on loopback. `answers` are used up one by one; after them all is well."""

    def __init__(self, port: int = 0):
        self.received: list[Received] = []
        self.answers: list[Answer] = []
        self.hold = threading.Event()
        """Answers wait until it is set."""
        self.hold.set()
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                body = gzip.decompress(raw) if self.headers.get("Content-Encoding") == "gzip" else raw
                sink.received.append(Received(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                sink.hold.wait(30)
                answer = sink.answers.pop(0) if sink.answers else Answer()
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, *_: Any) -> None:
                """Nothing on stderr."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @contextmanager
    def listening(self) -> Iterator[Sink]:
        """Serves within the block."""
        thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield self
        self.hold.set()
        self._server.shutdown()
        self._server.server_close()
        thread.join()

    @property
    def spans(self) -> dict[str, Span]:
        """Every span that came, by its id."""
        return {span.span_id.hex(): span for each in self.received if each.path == "/v1/traces" for span in each.spans}

    @property
    def exports(self) -> list[Received]:
        """The exports of spans."""
        return [each for each in self.received if each.path == "/v1/traces"]

    @property
    def metrics(self) -> list[Received]:
        """The exports of metrics."""
        return [each for each in self.received if each.path == "/v1/metrics"]


def partly(rejected: int, message: str) -> Answer:
    """An answer that refuses some spans."""
    answer = ExportTraceServiceResponse()
    answer.partial_success.rejected_spans = rejected
    answer.partial_success.error_message = message
    return Answer(200, {"Content-Type": "application/x-protobuf"}, answer.SerializeToString())
