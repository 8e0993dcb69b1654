"""What OpenTelemetry sends spans to: a collector on loopback that keeps them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass
class Collector:
    """Spans in the order in which they came."""

    address: str = ""
    spans: list[Span] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    services: set[str] = field(default_factory=set)
    hangs: bool = False
    """Whether it takes spans, and does not say so."""

    def of_trace(self, trace_id: bytes) -> list[Span]:
        """Return the spans of one trace, by when they began."""
        return sorted((span for span in self.spans if span.trace_id == trace_id), key=lambda s: s.start_time_unix_nano)

    def take(self, body: bytes) -> None:
        """Take in what was sent."""
        self.bodies.append(body)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.services.add(attributes(resource.resource)["service.name"])
            for scope in resource.scope_spans:
                self.spans += scope.spans


def attributes(told: Any) -> dict[str, Any]:
    """Return what a span or a resource says, by name."""
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in told.attributes}


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path.endswith("/v1/traces")
            collector.take(self.rfile.read(int(self.headers["Content-Length"])))
            while collector.hangs:
                time.sleep(0.05)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        collector.hangs = False
        server.shutdown()
        server.server_close()
        thread.join()
